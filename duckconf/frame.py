"""Where the answer of a command begins in what a login prints: login files such as .bashrc may print before it. Pure.

The shell prints a mark before it becomes the command, so that no process and no round trip is added. The mark is sent in
two halves: a shell that echoes its commands (`set -x`) does not print it whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from duckconf.command import Command

# Of what a login prints before the mark, as much is kept to be quoted.
LONGEST_NOISE = 4096


@dataclass(frozen=True)
class Frame:
    """`token` is random and of letters and digits, so that no login file can print it by accident."""

    token: str

    def line(self, command: Command) -> str:
        """The shell line that prints the mark, then runs the command in the place of the shell."""
        middle = len(self.token) // 2
        return f"printf '%s%s\\n' {self.token[:middle]} {self.token[middle:]}; exec {command.shell_line()}"

    def answer(self, stdout: bytes) -> tuple[bytes, bool]:
        """What the command itself printed and True; everything and False where there is no mark, as under a forced command."""
        _, mark, answer = stdout.partition(self._mark)
        return (answer, True) if mark else (stdout, False)

    def opening(self, *, terminal: bool = False) -> Opening:
        """For an answer that comes in pieces; a terminal ends lines in its own way."""
        return Opening(self._mark.replace(b"\n", b"\r\n") if terminal else self._mark)

    @property
    def _mark(self) -> bytes:
        return f"{self.token}\n".encode()


class Opening:
    """Passes on what comes after the mark. Where no mark comes, what was held back is another program's."""

    def __init__(self, mark: bytes) -> None:
        self._mark: bytes | None = mark
        self.held = b""

    def after(self, data: bytes) -> bytes:
        """What of the next piece belongs to the command; never more than the piece."""
        if self._mark is None:
            return data
        noise, found, rest = (self.held + data).partition(self._mark)
        if found:
            self._mark, self.held = None, b""
        else:
            self.held = noise[-LONGEST_NOISE:]
        return rest
