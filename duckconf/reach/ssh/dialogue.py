"""Commands on a node that are talked to while they run: one that is spoken to, and one whose words a person sees as they come."""

from __future__ import annotations

import functools
import select
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import paramiko

from duckconf.errors import Unreachable
from duckconf.frame import Opening
from duckconf.reach.ssh.transport import STALLED, OutflowGuard

# A command that is silent for this long makes us ask whether the node still lives.
PULSE = 1.0
CHUNK = 65536
# Between the end of what it prints and its exit code.
A_MOMENT = 0.02


class SshDialogue:
    """A command that runs and is spoken to, until it is closed or its connection is."""

    def __init__(
        self, transport: paramiko.Transport, channel: paramiko.Channel,
        patiently: Callable[[float, Callable[[], Any]], Any], opening: Opening,
    ) -> None:  # fmt: skip
        """`patiently` repeats a step that times out, for as long as the node lives and it is not too late. `opening` skips
        what a login prints first."""
        self._transport = transport
        self._channel = channel
        self._patiently = patiently
        self._opening = opening
        channel.settimeout(PULSE)

    @property
    def connected(self) -> bool:
        return self._transport.is_active()

    def send(self, data: bytes, end: float) -> None:
        while data:
            sent = self._patiently(end, functools.partial(self._channel.send, data))
            data = data[sent:]

    def receive(self, size: int, end: float) -> bytes:
        while received := self._patiently(end, functools.partial(self._channel.recv, size)):
            if answer := self._opening.after(received):
                return answer
        return b""

    def close(self) -> None:
        self._channel.close()


class Attended:
    """A command whose output is passed on until it ends. Its input stays open, so that it can see that nobody attends it, unless
    it is fed one that ends."""

    def __init__(
        self, node: str, transport: paramiko.Transport, channel: paramiko.Channel, opening: Opening, check: Callable[[], None]
    ) -> None:
        """`check` raises NodeFailure when the node does not live any more."""
        self._node = node
        self._transport = transport
        self._channel = channel
        self._opening = opening
        self._check = check

    def pump(self, out: Callable[[bytes], None], err: Callable[[bytes], None]) -> int | None:
        """Returns its exit code, None after `close`. Raises NodeFailure when it is not known how it ended."""
        channel = self._channel
        while not channel.closed:
            ready, _, _ = select.select([channel], [], [], PULSE)
            passed_on = self._pass_on(out, err)
            if not passed_on and channel.exit_status_ready():
                break
            if not passed_on and ready:
                # The end of its output was read, and is seen again until its exit code is there.
                channel.status_event.wait(A_MOMENT)
            elif not ready:
                self._check()
        while self._pass_on(out, err):
            pass
        if self._opening.held:
            out(self._opening.held)
        code: int = channel.recv_exit_status() if channel.exit_status_ready() else -1
        if code < 0 and not self._is_closed_here:
            raise Unreachable(self._node, "the connection broke before the command ended", may_have_run=True)
        return code if code >= 0 else None

    def feed(self, pieces: Iterable[bytes]) -> None:
        """Its input, to the end, for a thread of its own. A node that takes nothing any more is given up: `pump` says so."""
        with suppress(EOFError, OSError, paramiko.SSHException), OutflowGuard(self._transport, STALLED) as guard:
            for piece in guard.counting(pieces):
                self._channel.sendall(piece)
            self._channel.shutdown_write()

    def resize(self, columns: int, rows: int) -> None:
        """Of its terminal."""
        with suppress(EOFError, OSError, paramiko.SSHException):
            self._channel.resize_pty(columns, rows)

    def close(self) -> None:
        """From any thread: the command sees that nobody attends it."""
        self._is_closed_here = True
        with suppress(EOFError, OSError, paramiko.SSHException):
            self._channel.close()

    _is_closed_here = False

    def _pass_on(self, out: Callable[[bytes], None], err: Callable[[bytes], None]) -> bool:
        channel = self._channel
        told = False
        if channel.recv_ready():
            told = True
            if data := self._opening.after(channel.recv(CHUNK)):
                out(data)
        if channel.recv_stderr_ready():
            told = True
            err(channel.recv_stderr(CHUNK))
        return told
