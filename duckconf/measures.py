"""The picture of a cluster in numbers, for monitoring. Pure.

Names and units follow Prometheus: seconds, and `_total` for what only grows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeVar

from duckconf.picture import RUNS, AppSeen, NodeSeen, Picture, Process, Step

READY = "ready"
# The events that tell of an action on a node, with what was done.
ACTIONS: Mapping[str, str] = {"started": "start", "restarted": "restart", "removed": "remove"}
FAILED = "failed"


class Measure(NamedTuple):
    """`values` has for the values of the labels, in their order, the number of now."""

    name: str
    words: str
    labels: tuple[str, ...]
    values: Mapping[tuple[str, ...], float]


class Passes(NamedTuple):
    """Of a control loop, since it began: how many, and how many seconds they took together until they had decided."""

    number: int = 0
    seconds: float = 0.0


Of = TypeVar("Of")
Columns = Mapping[str, tuple[str, Callable[[Of], float]]]

OF_AN_APP: Columns[AppSeen] = {
    "duckconf_app_instances_desired": ("How many instances it should have.", lambda app: app.wanted),
    "duckconf_app_instances_ready": ("Its instances that are ready.", lambda app: app.ready),
    "duckconf_app_instances_updated": ("Its instances that run what is declared.", lambda app: app.updated),
    "duckconf_app_updating": ("1 while an update of it is not done.", lambda app: bool(app.rollout)),
}
OF_A_NODE: Columns[NodeSeen] = {
    "duckconf_node_ready": ("1 for a node that is ready.", lambda node: node.status == READY),
    "duckconf_node_cordoned": ("1 for a node that gets no new instances.", lambda node: node.cordoned),
    "duckconf_node_instances": ("The containers of ours on it.", lambda node: node.instances),
    "duckconf_node_heard_timestamp_seconds": ("When it last answered, since the epoch; 0: unknown.", lambda node: node.heard),
}
OF_A_PROCESS: Columns[Process] = {
    "duckconf_process_up": ("1 for a process of the control plane that is heard of.", lambda process: process.state == RUNS),
}
OF_A_STEP: Columns[Step] = {
    "duckconf_step_timestamp_seconds": ("When it was last done, since the epoch; 0: unknown.", lambda step: step.at),
}


def measures(picture: Picture) -> Iterator[Measure]:
    apps, nodes, containers = picture.apps, picture.nodes, picture.instances.values()
    yield from _columns("app", apps, OF_AN_APP)
    states = Counter[tuple[str, ...]]((one.app, one.status) for one in containers if one.app in apps and not one.surplus)
    yield Measure("duckconf_app_instances", "Instances of an app in each state.", ("app", "state"), states)
    restarts: dict[tuple[str, ...], int] = {(name,): 0 for name in apps}
    for one in containers:
        if (one.app,) in restarts:
            restarts[one.app,] += one.restarts
    yield Measure("duckconf_app_restarts", "How often the containers that it has now were restarted.", ("app",), restarts)
    surplus = sum(one.surplus for one in containers)
    yield Measure("duckconf_surplus_containers", "Containers of ours that nobody asks for.", (), {(): surplus})
    yield Measure("duckconf_desired_state_faults", "What of the desired state cannot be read.", (), {(): len(picture.faults)})
    yield from _columns("node", nodes, OF_A_NODE)
    status: dict[tuple[str, ...], int] = {(name, node.status): 1 for name, node in nodes.items()}
    yield Measure("duckconf_node_status", "1 for the status that a node has.", ("node", "status"), status)
    yield from _columns("process", picture.processes, OF_A_PROCESS)
    yield from _columns("step", picture.steps, OF_A_STEP)


def _columns(label: str, rows: Mapping[str, Of], columns: Columns[Of]) -> Iterator[Measure]:
    for name, (words, number) in columns.items():
        yield Measure(name, words, (label,), {(key,): number(row) for key, row in rows.items()})


def actions_in(events: Mapping[str, int]) -> dict[tuple[str, str], int]:
    """Of events, counted by kind: how many of each action were done, and how many of any have failed."""
    done = {(action, "done"): events.get(kind, 0) for kind, action in ACTIONS.items()}
    return done | {("any", FAILED): events.get(FAILED, 0)}
