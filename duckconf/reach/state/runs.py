"""What `./inv run` has under way, one small file for each in the state folder, so that what a broken connection left is removed
at the next contact with its node; and whose turn it is."""

from __future__ import annotations

from pathlib import Path

import psutil

from duckconf.reach.state.files import write_durably

FOLDER = "runs"
TURN = "run-turn"


class Runs:
    """The runs of one cluster. Each file is named like its container and holds the node and the process that attends it."""

    def __init__(self, state: Path) -> None:
        self._folder = state / FOLDER
        self._turn = state / TURN

    def begin(self, container: str, node: str, process: int) -> None:
        """Return when it is on disk. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_durably(self._folder / container, f"{node} {process}\n".encode())

    def settle(self, container: str) -> None:
        """Nothing is left of it."""
        (self._folder / container).unlink(missing_ok=True)

    def left_on(self, node: str) -> list[str]:
        """Containers that may still be on the node although nobody attends them."""
        found = []
        for path in sorted(self._folder.glob("*")):
            where, _, process = path.read_text("utf-8").strip().partition(" ")
            if where == node and not (process.isdigit() and psutil.pid_exists(int(process))):
                found.append(path.name)
        return found

    def take_turn(self) -> int:
        """A number that grows by one with each run. Raises OSError."""
        try:
            turn = int(self._turn.read_text("ascii"))
        except (FileNotFoundError, ValueError):
            turn = 0
        self._turn.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_durably(self._turn, f"{turn + 1}\n".encode())
        return turn
