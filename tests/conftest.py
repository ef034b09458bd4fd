"""For all tests: the order in which they run, which of them one worker runs together, and that none of them fails for being slow:
speed is measured in benchmarks/."""

from __future__ import annotations

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from tests.together import place, together

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling | None:
    """A worker takes a whole file, or all files of a folder that share a cluster."""
    if config.getvalue("dist") != "loadfile":
        return None
    scheduling = LoadFileScheduling(config, log)
    scheduling._split_scope = together
    return scheduling


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Those that take longest begin first, so that several workers end together; in a file the order stays."""
    if not hasattr(config, "workerinput"):
        return
    slow = {together(item.nodeid) for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: place(together(item.nodeid), slow))
