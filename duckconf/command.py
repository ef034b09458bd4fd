"""A command as a value, its outcome, and the one protocol that runs it.

`Runner` is what SSH (`reach/ssh/runner.py`), the local machine (`reach/nodes/local.py`) and the tests' fake implement; one
contract test holds all three to it. Nothing here runs anything.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from duckconf.engine_api import Request


class Secret(str):
    """An argument that is sent as it is and printed as `***`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('***')"


@dataclass(frozen=True)
class Command:
    """A program and its arguments, never a shell string.

    `stdin` is sent whole and never printed; `deadline` is in seconds for the whole command, None for the runner's own.
    `request` does the same over a line to the node's engine, where the runner has one and it serves.
    """

    argv: Sequence[str]
    stdin: bytes = field(default=b"", repr=False)
    deadline: float | None = None
    request: Request | None = field(default=None, repr=False, compare=False)

    def shell_line(self) -> str:
        """The line for a POSIX shell that gives the program exactly these arguments."""
        return shlex.join(self.argv)

    def __str__(self) -> str:
        return shlex.join("***" if isinstance(item, Secret) else item for item in self.argv)


@dataclass(frozen=True)
class Completed:
    """A command that ended: exit code (128 or more for a signal; SSH does not say which) and what it
    printed, as UTF-8 with anything else replaced. `ours` is false when it was certainly another program that ended."""

    code: int
    stdout: str
    stderr: str
    ours: bool = True

    @property
    def ok(self) -> bool:
        return self.code == 0


class Runner(Protocol):
    """Runs one command at a time or many from many threads, and answers each within its deadline."""

    def run(self, command: Command) -> Completed:
        """Run to the end.

        A program that does not exist is `Completed` with code 127, as a shell has it. Raises NodeFailure when
        the place cannot be reached or the deadline passed (`may_have_run` tells whether the command was handed
        over), BadInput when the command cannot be sent (longer than a shell takes).
        """
        ...  # pragma: no cover
