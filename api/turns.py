"""What push mode remembers: whose turn it is, the last number given, and starts whose outcome nobody knows.

It is on disk before it is used, so that no restart repeats a name. It says nothing about what runs: that is the
lesson of push.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any, NamedTuple

from duckconf.errors import SetupError
from duckconf.reach.state.files import GroupCommit


class Turn(NamedTuple):
    """`number` names the app, `position` picks the node; both grow by one with each request."""

    number: int
    position: int


class TurnBook:
    """The file `push.json`, for many threads of one process."""

    def __init__(self, path: Path, first_number: int = 1) -> None:
        """`first_number` counts only when there is no file yet; raises SetupError for a file that is not ours."""
        self._lock = threading.Lock()
        self._next = Turn(first_number, 0)
        self._doubts: dict[str, list[str]] = {}
        self._file = GroupCommit(path, self._content)
        if path.exists():
            self._read(path)

    def take(self) -> Turn:
        """The next turn, never given before. Raises OSError when it cannot be written, and nothing is given."""
        with self._lock:
            mine = self._next
            self._next = Turn(mine.number + 1, mine.position + 1)
        self._file.save()
        return mine

    def doubt(self, node: str, container: str) -> None:
        """The node fell silent while it started `container`: it may run there although the app went elsewhere."""
        with self._lock:
            self._doubts.setdefault(node, []).append(container)
        self._file.save()

    def doubts(self, node: str) -> tuple[str, ...]:
        with self._lock:
            return tuple(self._doubts.get(node, ()))

    def settle(self, node: str, container: str) -> None:
        with self._lock:
            if container not in self._doubts.get(node, ()):
                return
            self._doubts[node].remove(container)
        self._file.save()

    def _content(self) -> bytes:
        with self._lock:
            doubts = {node: names for node, names in self._doubts.items() if names}
            state = {"next_number": self._next.number, "next_position": self._next.position, "doubts": doubts}
        return json.dumps(state, indent=1).encode() + b"\n"

    def _read(self, path: Path) -> None:
        try:
            state: dict[str, Any] = json.loads(path.read_bytes())
            self._next = Turn(int(state["next_number"]), int(state["next_position"]))
            self._doubts = {str(node): [str(name) for name in names] for node, names in state["doubts"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            remedy = "repair it, or move it away: numbers then continue after the highest one in use"
            raise SetupError(f"{path} cannot be read: {type(error).__name__} {error}", remedy) from error
