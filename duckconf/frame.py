"""Where the answer of a command begins in what a login prints: login files such as .bashrc may print before it. Pure.

The shell prints a mark before it becomes the command, so that no process and no round trip is added. The mark is sent in
two halves: a shell that echoes its commands (`set -x`) does not print it whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from duckconf.command import Command


@dataclass(frozen=True)
class Frame:
    """`token` is random and of letters and digits, so that no login file can print it by accident."""

    token: str

    def line(self, command: Command) -> str:
        """The shell line that prints the mark, then runs the command in the place of the shell."""
        middle = len(self.token) // 2
        return f"printf '%s%s\\n' {self.token[:middle]} {self.token[middle:]}; exec {command.shell_line()}"

    def answer(self, stdout: bytes) -> bytes:
        """What the command itself printed; everything where there is no mark, as under a forced command."""
        _, mark, answer = stdout.partition(f"{self.token}\n".encode())
        return answer if mark else stdout
