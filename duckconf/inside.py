"""A command inside a container that runs, as argv for its node, and the process id that it tells there. Pure.

A signal has to be sent inside the container: the engine's client, which the login could end, would leave the command running.
Where the container has a shell, that tells its process id before it becomes the command.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from duckconf.command import Command
from duckconf.engine import DOCKER

# What is run where nothing is typed.
SHELL = ("sh",)
INSIDE = """\
mark=$1 container=$2 flags=$3 user=$4 folder=$5
shift 5
if docker exec "$container" sh -c : </dev/null >/dev/null 2>&1; then
  set -- sh -c 'echo "$0 $$" >&2; exec "$@"' "$mark" "$@"
fi
exec docker exec "$flags" ${user:+"--user=$user"} ${folder:+"--workdir=$folder"} "$container" "$@\""""
# All that the command started, as Ctrl-C does.
SIGNAL = 'kill -s "$1" -- "-$2" 2>/dev/null || kill -s "$1" "$2"'


class Terminal(NamedTuple):
    """The one that a person sits at: what $TERM says, and its size in characters."""

    kind: str
    columns: int
    rows: int


class Inside(NamedTuple):
    """What is run; the container's own user and folder where they are ""."""

    words: Sequence[str]
    user: str = ""
    folder: str = ""


def run_inside(container: str, what: Inside, token: str, *, terminal: bool) -> Command:
    flags = "-it" if terminal else "-i"
    return Command(("sh", "-c", INSIDE, "sh", token, container, flags, what.user, what.folder, *(what.words or SHELL)))


def signal_inside(container: str, process: int, name: str) -> Command:
    """`name` is that of the signal without SIG."""
    return Command((DOCKER, "exec", container, "sh", "-c", SIGNAL, "sh", name, str(process)))


class Greeting:
    """Takes the line with the process id out of what comes first, and passes on all else at once."""

    def __init__(self, token: str) -> None:
        self.process: int | None = None
        self._mark = f"{token} ".encode()
        self._held = b""
        self._over = False

    def after(self, data: bytes) -> bytes:
        if self._over:
            return data
        self._held += data
        if self._mark.startswith(self._held[: len(self._mark)]) and b"\n" not in self._held:
            return b""
        line, _, rest = self._held.partition(b"\n")
        self._over = True
        number = line[len(self._mark) :].strip()
        if line.startswith(self._mark) and number.isdigit():
            self.process, self._held = int(number), b""
            return rest
        return self.end()

    def end(self) -> bytes:
        """What was held back and is no greeting."""
        held, self._held = self._held, b""
        return held
