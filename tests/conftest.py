"""For all tests: the order in which they run, which of them one worker runs together, and that none of them fails for being slow:
speed is measured in benchmarks/."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

from tests.together import is_beside, place, taken, together

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# A third of what others get who want the processors too: enough that nothing here waits in vain.
LOWER = 5


class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # it has no types
    """A worker takes a whole file, or all files of a folder that share a cluster."""

    def _split_scope(self, nodeid: str) -> str:
        return together(nodeid)

    def _next(self, node: WorkerController) -> str | None:
        names = {together(nodeid) for nodeid in self.collection or ()}
        return taken(list(self.workqueue), beside=is_beside(node.gateway.id, self.numnodes, names))

    def _assign_work_unit(self, node: WorkerController) -> None:
        if (name := self._next(node)) is not None:
            self.workqueue.move_to_end(name, last=False)
            super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        if self._next(node) is None and not node.shutting_down:
            node.shutdown()
        super()._reschedule(node)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling | None:
    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Those that take longest begin first, so that several workers end together; in a file the order stays."""
    worker = getattr(config, "workerinput", None)
    if worker is None:
        return
    names = {item: together(item.nodeid) for item in items}
    slow = {names[item] for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: place(names[item], slow))
    if is_beside(worker["workerid"], worker["workercount"], set(names.values())):
        _give_way()


def _give_way() -> None:
    """From now on this process, and what it starts, leaves the processors to others. Linux shares them among sessions first."""
    os.nice(LOWER)
    with suppress(OSError):
        os.setsid()
        Path("/proc/self/autogroup").write_text(str(LOWER))
