"""The control loop's own code over the nodes of a project folder: `python -m benchmarks.clients.ours DIR CLUSTER`.

`look` is the pass's sensing, `pass` the whole of it, `connect` the first look. It acts on nothing: a pass with something
to do ends it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import wait
from pathlib import Path

from benchmarks.clients.passes import serve
from controllers.cycle import Cycle, Look
from controllers.loop import Outside
from controllers.reconciler import Reconciler
from duckconf.errors import DuckconfError
from duckconf.plan import Step
from duckconf.reach.inventory.project import Project
from duckconf.reach.state.placements import FILE_NAME, PlacementBook
from duckconf.settings import Settings

# Until all are connected to; and the time between two attempts.
PATIENCE = 60.0
AGAIN = 0.1


class OnlyLooking(Outside):
    """The loop's world without its hands."""

    def act(self, step: Step, done: Callable[[DuckconfError | None], None]) -> None:
        sys.exit(f"there is something to do: {step}")

    def look_at_all(self) -> None:
        """What the pass does to sense, but waiting for everyone; any failure ends it."""
        for look in self._ask():
            look.result()

    def connect(self) -> None:
        """Look until everyone has answered: who is not there at once is knocked at again."""
        end = time.monotonic() + PATIENCE
        first = True
        while silent := [look for look in self._ask() if look.exception() is not None]:
            if first:
                print(f"  {len(silent)} did not answer at once, such as {silent[0].exception()}", file=sys.stderr, flush=True)
            first = False
            if time.monotonic() > end:
                sys.exit(f"{len(silent)} hosts are not there after {PATIENCE:g} s")
            time.sleep(AGAIN)

    def _ask(self) -> list[Look]:
        looks = [self.look(host) for host in self.inventory().node_hosts()]
        wait(looks)
        return looks


def main(folder: str, cluster: str) -> None:
    project = Project(Path(folder), Settings(inventory="hosts.ini"), cluster)
    outside = OnlyLooking(project)
    book = PlacementBook(project.state / FILE_NAME)
    cycle = Cycle(outside, Reconciler(cluster, book, project.settings.node_timeout))
    serve({"connect": outside.connect, "look": outside.look_at_all, "pass": cycle.once})


if __name__ == "__main__":
    main(*sys.argv[1:])
