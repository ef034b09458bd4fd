"""A command on a node that is spoken to for hours: lines in, lines out. Silence is no failure here.

A node that freezes is not noticed by it, but by the next command on the same connection, which then ends this too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType

import paramiko

from duckconf.frame import Opening

CHUNK = 65536
LONGEST_LINE = 65536
LAST_WORDS = 2.0


class Talk:
    """Used by one thread that reads and one that writes."""

    def __init__(self, channel: paramiko.Channel, opening: Opening) -> None:
        self._channel = channel
        self._opening = opening
        channel.settimeout(None)

    def send(self, data: bytes) -> None:
        """Raises OSError when the program or the connection has ended."""
        self._channel.sendall(data)

    def lines(self) -> Iterator[bytes]:
        """Each line that the program prints, until it ends or the connection breaks. Longer ones than it may have are cut."""
        rest = b""
        while data := self._channel.recv(CHUNK):
            *lines, rest = (rest + self._opening.after(data)).split(b"\n")
            yield from lines
            rest = rest[:LONGEST_LINE]

    def hang_up(self) -> None:
        """The end of the program's input."""
        with suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.shutdown_write()

    def exit_code(self) -> int:
        """Of the program that ended; -1 when it is not known."""
        return self._channel.recv_exit_status() if self._channel.status_event.wait(LAST_WORDS) else -1

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(EOFError, OSError, paramiko.SSHException):
            self._channel.close()
