"""How often a person asked that a node be tried again: a number for each node in the cluster's state. Tasks count it up,
the control loop compares it with what it saw last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from duckconf.reach.state.files import write_durably

FILE_NAME = "asked.json"


class Asked:
    """The file of one cluster. One that cannot be read counts as empty: then nobody asked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def numbers(self) -> Mapping[str, int]:
        try:
            return {str(node): int(number) for node, number in json.loads(self.path.read_bytes()).items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def ask(self, node: str) -> None:
        """Returns when it is on disk."""
        known = self.numbers()
        write_durably(self.path, json.dumps({**known, node: known.get(node, 0) + 1}).encode() + b"\n")
