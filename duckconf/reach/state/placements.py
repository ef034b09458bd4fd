"""What the reconciler remembers: where it decided that each app belongs. On disk before a decision is acted on.

Without it, a restart while a node is silent would start that node's apps a second time elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from duckconf.errors import SetupError
from duckconf.placement import Placement
from duckconf.reach.state.files import write_durably

FILE_NAME = "placements.json"


class Book(Protocol):
    """Where each app belongs; `certain` is false when that may not be all there is."""

    placements: Mapping[str, Placement]
    certain: bool

    def keep(self, placements: Mapping[str, Placement]) -> None: ...


class FoundPlacements:
    """For a loop whose only node is its own machine: what it forgets, it finds again in what is there."""

    def __init__(self) -> None:
        self.placements: Mapping[str, Placement] = {}
        self.certain = True

    def keep(self, placements: Mapping[str, Placement]) -> None:
        self.placements = dict(placements)


class PlacementBook:
    """The file `placements.json` of one cluster; one process writes it."""

    def __init__(self, path: Path) -> None:
        """Raises SetupError for a file that cannot be read. `certain` is false when there was none."""
        self._path = path
        self.placements: Mapping[str, Placement] = {}
        self.certain = path.exists()
        if self.certain:
            self._read()

    def keep(self, placements: Mapping[str, Placement]) -> None:
        """Return when they are on disk. Raises OSError, and the old ones hold."""
        if placements != self.placements or not self._path.exists():
            content = {name: _values(placement) for name, placement in sorted(placements.items())}
            write_durably(self._path, json.dumps(content, indent=1).encode() + b"\n")
            self.placements = dict(placements)

    def _read(self) -> None:
        try:
            content = json.loads(self._path.read_bytes())
            self.placements = {
                str(name): Placement(str(node), str(container), int(generation), *map(str, more))
                for name, (node, container, generation, *more) in content.items()
            }
        except (ValueError, TypeError, AttributeError) as error:
            remedy = "move it away: placements are then read from the running containers"
            raise SetupError(f"{self._path} cannot be read: {error}", remedy) from error


def _values(placement: Placement) -> list[object]:
    values = [placement.node, placement.container, placement.generation]
    return [*values, placement.end, placement.spec] if placement.end or placement.spec else values
