"""An update of twelve replicas on three nodes, one at a time and the new one first, beside Docker Swarm with the same policy.

Swarm counts a task as updated when it runs; so do we with a `monitor` of nothing. Both are asked until they say that it is done.
"""

from __future__ import annotations

from functools import partial

from benchmarks.measure import Row, timed
from benchmarks.nodes import CLUSTER, until
from benchmarks.swarm import swarm
from duckconf.cli.cluster.api import api_client
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.cli.terminal.say import say
from duckconf.naming import LABEL_APP, LABEL_CLUSTER, WEB_IMAGE
from duckconf.reach.api.client import ApiClient
from duckconf.reach.inventory.project import Project
from duckconf.rollout import DONE

APP = "updated"
REPLICAS = 12
POLICY = {"parallelism": "1", "order": "start-first", "monitor": "0s"}
ROUNDS = 5


def updates(project: Project, engine: LocalEngine) -> list[Row]:
    api = api_client(project)
    ours, theirs = [], []
    declare(api, 0)
    with swarm(engine) as other:
        other.create(REPLICAS)
        say(f"  {ROUNDS} updates of {REPLICAS} replicas, and as many of a swarm")
        for number in range(1, 1 + ROUNDS):
            ours.append(timed(partial(declare, api, number)))
            until(lambda: len(containers(engine)) == REPLICAS, 120)
            theirs.append(timed(partial(other.update, number)))
    api.call("DELETE", f"/app/{APP}")
    until(lambda: not containers(engine), 120)
    return [Row(f"update of {REPLICAS} replicas against Docker Swarm", ours, theirs, 1.0)]


def declare(api: ApiClient, number: int) -> None:
    """Returns when all instances have this revision."""
    api.call(
        "PUT", f"/app/{APP}", {"image": WEB_IMAGE, "replicas": REPLICAS, "update_config": POLICY, "env": {"ROUND": str(number)}}
    )

    def done() -> bool:
        past = api.call("GET", f"/app/{APP}/history")["revisions"]
        return bool(past) and past[-1]["app"]["env"]["ROUND"] == str(number) and past[-1]["outcome"] == DONE

    until(done, 300)


def containers(engine: LocalEngine) -> list[object]:
    return list(engine.listing("ps", "-a", f"--filter=label={LABEL_CLUSTER}={CLUSTER}", f"--filter=label={LABEL_APP}={APP}"))
