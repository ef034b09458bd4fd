"""The nodes that get nothing new, and those that are emptied: one name per line in the cluster's state, changed by
tasks, followed by services."""

from __future__ import annotations

from pathlib import Path

from duckconf.reach.state import asked
from duckconf.reach.state.asked import Asked
from duckconf.reach.state.files import whole_lines, write_durably

FILE_NAME = "cordoned"
DRAINS_NAME = "draining"


class Cordons:
    """One such file of a cluster. Without it, no node is meant."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> frozenset[str]:
        return frozenset(whole_lines(self.path))

    def change(self, node: str, *, cordoned: bool) -> bool:
        """Put a node in or take it out; says whether that was a change. Returns when it is on disk."""
        before = self.names()
        after = before | {node} if cordoned else before - {node}
        if after != before:
            write_durably(self.path, "".join(f"{name}\n" for name in sorted(after)).encode())
        return after != before


def set_cordon(folder: Path, node: str, *, cordoned: bool) -> bool:
    """In the state of a cluster; says whether that was a change. Who lets apps on a node again ends its drain, and has what it
    refused tried there at once."""
    if not cordoned:
        Asked(folder / asked.FILE_NAME).ask(node)
        Cordons(folder / DRAINS_NAME).change(node, cordoned=False)
    return Cordons(folder / FILE_NAME).change(node, cordoned=cordoned)


def drain(folder: Path, node: str) -> bool:
    """Have the loop empty a node, which is cordoned by that; says whether that was a change."""
    changes = [Cordons(folder / name).change(node, cordoned=True) for name in (FILE_NAME, DRAINS_NAME)]
    return any(changes)
