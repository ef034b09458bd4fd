"""This machine as a node: commands run here, and its engine is asked over lines that stay open, as over SSH.

A look or a start then costs no process: with podman 11 ms of CPU, its service's counted, and no longer 45. For the agent, which
knows the machine's name before it asks.
"""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import suppress

from duckconf.command import Command, Completed
from duckconf.errors import Unreachable
from duckconf.reach.nodes.local import DEFAULT_DEADLINE, LocalRunner
from duckconf.reach.ssh.engine_line import EngineLine

ENDED_WITHIN = 1.0


class OwnRunner(LocalRunner):
    """A `LocalRunner` with a line to this machine's engine; `name` is the node's."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._node = name
        self.engine_line = EngineLine(name, self._dial, name_is_known=True)

    def run(self, command: Command) -> Completed:
        if command.request is not None:
            done = self.engine_line.perform(command.request, command.deadline or DEFAULT_DEADLINE)
            if done is not None:
                return done
        return super().run(command)

    def _dial(self, command: Command) -> LocalDialogue:
        return LocalDialogue(self._node, command)


class LocalDialogue:
    """A program of this machine that is spoken to, until it is closed. It ends with us, because its input does."""

    # Who asks about this machine is on it.
    connected = True

    def __init__(self, node: str, command: Command) -> None:
        """Raises Unreachable when there is no such program."""
        self._node = node
        self._near, far = socket.socketpair()
        with far:
            try:
                self._program = subprocess.Popen(
                    list(command.argv), stdin=far.fileno(), stdout=far.fileno(), stderr=subprocess.DEVNULL
                )
            except OSError as error:
                self._near.close()
                raise Unreachable(node, f"{command.argv[0]} cannot be started: {error.strerror}") from error

    def send(self, data: bytes, end: float) -> None:
        self._wait_until(end)
        try:
            self._near.sendall(data)
        except socket.timeout:  # noqa: UP041 (no TimeoutError before Python 3.10)
            raise self._late() from None

    def receive(self, size: int, end: float) -> bytes:
        self._wait_until(end)
        try:
            return self._near.recv(size)
        except socket.timeout:  # noqa: UP041 (no TimeoutError before Python 3.10)
            raise self._late() from None

    def close(self) -> None:
        self._near.close()
        self._program.kill()
        with suppress(subprocess.TimeoutExpired):
            self._program.wait(ENDED_WITHIN)

    def _wait_until(self, end: float) -> None:
        # None at all would mean: without waiting.
        self._near.settimeout(max(0.001, end - time.monotonic()))

    def _late(self) -> Unreachable:
        return Unreachable(self._node, "the engine did not answer within its deadline", may_have_run=True)
