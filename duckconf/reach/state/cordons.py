"""The nodes that get nothing new, and those that are emptied: one name per line in the cluster's state, changed by
tasks, followed by services."""

from __future__ import annotations

from pathlib import Path

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
