"""Many instances of one app at once, from nothing until all run, beside as many `podman run -d` from a few threads."""

from __future__ import annotations

import time

from benchmarks.measure import Row, timed
from benchmarks.nodes import CLUSTER, LABEL_FLOOR, Events, until
from benchmarks.push import at_once
from duckconf.cli.cluster.api import api_client
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.cli.terminal.say import say
from duckconf.naming import LABEL_APP, LABEL_CLUSTER, WEB_IMAGE
from duckconf.reach.inventory.project import Project

INSTANCES = 60
ROUNDS = 5
# Of the floor; more threads than these made it slower on two cores.
THREADS = 8
FLOOR = f"{LABEL_FLOOR}={CLUSTER}"


def many_at_once(project: Project, engine: LocalEngine) -> Row:
    api = api_client(project)
    ours, floor = [], []
    say(f"  {ROUNDS} times: 0 to {INSTANCES} instances, and as many podman run -d")
    with Events(engine) as events:
        for number in range(1 + ROUNDS):
            wanted = {LABEL_CLUSTER: CLUSTER, LABEL_APP: f"many-{number}"}
            begun = time.time()
            api.call("POST", "/app/start", {"image": WEB_IMAGE, "name": f"many-{number}", "replicas": INSTANCES})
            took = max(events.await_one("start", wanted) for _ in range(INSTANCES)) - begun
            api.call("DELETE", f"/app/many-{number}")
            until(
                lambda: (
                    not engine.listing("ps", "-a", f"--filter=label={LABEL_CLUSTER}={CLUSTER}", f"--filter=label={LABEL_APP}")
                ),
                120,
            )
            least = timed(lambda: at_once(lambda: engine.must("run", "-d", f"--label={FLOOR}", WEB_IMAGE), INSTANCES, THREADS))
            clean(engine)
            # The first round opens connections and caches.
            if number:
                ours.append(took)
                floor.append(least)
    return Row(f"0 to {INSTANCES} instances against {INSTANCES} podman run -d", ours, floor, 1.0)


def clean(engine: LocalEngine) -> None:
    engine.must("rm", "-f", "-t", "0", *(row["Id"] for row in engine.listing("ps", "-a", f"--filter=label={FLOOR}")))
