"""The bytes between this machine and one host's sshd: a TCP connection, or a program that passes them on.

A jump host is a program: OpenSSH's own client (`ssh -W`), which checks the jump host's key and logs in there. The program has
a process group of its own, is asked nothing on a terminal, and ends with the connection.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from duckconf.errors import HostKeyRefused, LoginRefused, NodeFailure, NotSupported, Unreachable
from duckconf.host_words import quoted
from duckconf.inventory import Host
from duckconf.reach.ssh.transport import PromptSocket

FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
# For a program that is ended to tell why it did not connect.
LAST_WORDS = 1.0
UNKNOWN_KEY = "Host key verification failed"
REFUSED_LOGIN = "Permission denied"
# The jump host is well, and what lies behind it is not.
BEYOND = "stdio forwarding failed"


class AtJump:
    """Of failures that are the jump host's own, and everybody's who goes through it."""


class JumpKeyRefused(AtJump, HostKeyRefused):
    pass


class JumpLoginRefused(AtJump, LoginRefused):
    pass


class JumpUnreachable(AtJump, Unreachable):
    pass


def local_path(text: str) -> Path:
    """A file of ssh's configuration: `~` and `${NAME}` are filled in here."""
    return Path(os.path.expandvars(text)).expanduser()


class Line:
    """One connection that is still to be made. What was opened in a `with` block is closed after it, unless it was kept."""

    def __init__(self, host: Host, deadline: float) -> None:
        self._host = host
        self._deadline = deadline
        self._opened: socket.socket | ProgramSocket | None = None

    @property
    def plain(self) -> bool:
        """Whether a TCP connection to the host's address is all that is wanted."""
        host = self._host
        return host.refused is None and not host.way.proxy and not host.way.bind and host.way.family not in FAMILIES

    def open(self) -> Any:
        """What Paramiko takes for a socket. Raises OSError, or NodeFailure where there is no such way."""
        way, refused = self._host.way, self._host.refused
        if refused is not None:
            raise NotSupported(self._host.name, refused.reason, refused.remedy)
        self._opened = ProgramSocket(self._host, self._deadline) if way.proxy else self._connected()
        return self._opened

    def _connected(self) -> socket.socket:
        host, way = self._host, self._host.way
        source = (way.bind, 0) if way.bind else None
        if way.family not in FAMILIES:
            return socket.create_connection((host.address, host.port), self._deadline, source)
        error: OSError = OSError(f"{host.address} has no address of the family {way.family}")
        for *_, found in socket.getaddrinfo(host.address, host.port, FAMILIES[way.family], socket.SOCK_STREAM):
            try:
                return socket.create_connection((str(found[0]), int(found[1])), self._deadline, source)
            except OSError as failed:
                error = failed
        raise error

    def why(self) -> NodeFailure | None:
        """Why the program did not connect, in its own words; None where there is none, or it said nothing."""
        if not isinstance(self._opened, ProgramSocket):
            return None
        host, said = self._host, self._opened.last_words()
        if not said:
            return None
        way, says = host.way, f"; it says: {quoted(said)}"
        if BEYOND in said:
            return Unreachable(host.name, f"cannot connect to {host.where} through {way.jump}{says}")
        trial = f"{way.try_jump} true" if way.try_jump else "see ProxyCommand in ssh's configuration"
        if UNKNOWN_KEY in said:
            remedy = f"compare the key and let ssh know it: {trial}"
            return JumpKeyRefused(host.name, f"the host key of {way.jump} is not known, or has changed{says}", remedy)
        if REFUSED_LOGIN in said:
            return JumpLoginRefused(host.name, f"{way.jump} refuses the login{says}", f"try: {trial}")
        return JumpUnreachable(host.name, f"cannot connect to {host.where} through {way.jump}{says}", f"try: {trial}")

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class ProgramSocket(PromptSocket):
    """One end of a pair of sockets whose other end is a program's input and output."""

    def __init__(self, host: Host, deadline: float) -> None:
        """Raises Unreachable when there is no such program."""
        program, *words = host.way.proxy
        if host.way.try_jump:
            # So that ssh itself tells that the jump host is silent, before the deadline ends all.
            words = ["-o", f"ConnectTimeout={max(1, math.ceil(deadline) - 1)}", *words]
        near, far = socket.socketpair()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the program)
        self._ending = threading.Lock()
        self._words: str | None = None
        try:
            # Out of reach of the terminal: ssh would ask there for passwords and host keys.
            environ = {**os.environ, "SSH_ASKPASS_REQUIRE": "never"}
            self._program = subprocess.Popen(
                [program, *words], stdin=far.fileno(), stdout=far.fileno(), stderr=self._said, start_new_session=True, env=environ
            )
        except OSError as error:
            near.close()
            self._said.close()
            raise Unreachable(host.name, f"{program} cannot be started: {error.strerror}", "install it here") from error
        finally:
            far.close()
        super().__init__(near)

    def close(self) -> None:
        super().close()
        self._end(0.0)

    def last_words(self) -> str:
        """What the program said on stderr; it is ended, if it has not done so by itself."""
        self._end(LAST_WORDS)
        return self._words or ""

    def _end(self, patience: float) -> None:
        with self._ending:
            if self._words is not None:
                return
            try:
                self._program.wait(patience)
            except subprocess.TimeoutExpired:
                # With all that it has started: the hops before it.
                os.killpg(self._program.pid, signal.SIGKILL)
                self._program.wait()
            self._said.seek(0)
            self._words = self._said.read().decode("utf-8", "replace").strip()
            self._said.close()
