"""For all tests: the order in which they run, and that none of them fails for being slow: speed is measured in benchmarks/."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The files that take longest begin first, so that several workers end together; in a file the order stays."""
    if not hasattr(config, "workerinput"):
        return
    places: defaultdict[Path, int] = defaultdict(lambda: 2)
    for item in items:
        place = 0 if item.get_closest_marker("hosts") else 1 if item.get_closest_marker("slow") else 2
        places[item.path] = min(place, places[item.path])
    items.sort(key=lambda item: places[item.path])
