"""What the api-server of agents mode tells of its cluster, put before the decision on a rebalance. Pure: the scheduler decides by
it, and tasks show what it would move."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from duckconf.errors import BadInput
from duckconf.healthcheck import HEALTHY, NO_CHECK, UNHEALTHY
from duckconf.instance import Instance
from duckconf.model import FIELDS, parse_app
from duckconf.naming import instance_name
from duckconf.rebalancing import Sight
from duckconf.restart import is_end
from duckconf.sites import Sites
from duckconf.told_nodes import READY, rooms_of

RUNNING = "running"
ON_THE_WAY = ("starting", "pending")
SUSPECT = "suspect"


def sight(apps: Sequence[Mapping[str, Any]], nodes: Sequence[Mapping[str, Any]], sites: Sites) -> Sight:
    """From the `apps` of `GET /apps` and the `nodes` of `GET /nodes?facts=true`. An app with a field that is not known here
    stays, and counts on its node."""
    instances: list[Instance] = []
    told: dict[str, Mapping[str, Any]] = {}
    for entry in apps:
        try:
            app = parse_app({name: value for name, value in entry.items() if name in FIELDS})
        except BadInput:
            continue
        for one in entry["instances"]:
            if one["node"] and not is_end(one["status"]):
                instances.append(Instance(app, int(one["slot"]), str(one["node"]), int(one.get("generation", 0))))
                told[instances[-1].name] = one
    rooms, _ = rooms_of(nodes)
    counts = Counter(one.node for one in instances)
    rooms = [replace(room, instances=max(room.instances, counts[room.node])) for room in rooms]
    failed = {name for name, one in told.items() if _has_failed(one)}
    away = {str(node["name"]) for node in nodes if node["status"] == SUSPECT or node.get("unreadable") or node["full"]}
    return Sight(
        instances,
        {name for name, one in told.items() if _is_ready(one)},
        rooms,
        sites,
        # The agent on the other node counts anew.
        dict.fromkeys(failed, 1),
        failed,
        (),
        away,
        next(_why_not_now(apps), ""),
        next(_why_unsafe(nodes), ""),
    )


def _is_ready(one: Mapping[str, Any]) -> bool:
    fit = one["status"] == RUNNING and one.get("health", NO_CHECK) in (NO_CHECK, HEALTHY)
    return fit and bool(one.get("ready", True))


def _has_failed(one: Mapping[str, Any]) -> bool:
    """Its container ended or does not serve, or the node's engine refuses it."""
    if one["status"] == RUNNING:
        return one.get("health") == UNHEALTHY
    return "refused" in one or (one["status"] not in ON_THE_WAY and "container" in one)


def _why_not_now(apps: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for entry in apps:
        if _is_updated(entry):
            yield f"{entry['name']} is being updated"
        for one in entry["instances"]:
            if one["node"] and not is_end(one["status"]) and not _is_ready(one) and not _has_failed(one):
                yield f"{instance_name(entry['name'], one['slot'])} is not ready yet"


def _is_updated(entry: Mapping[str, Any]) -> bool:
    """Whether some of its instances do not have its present spec yet, and nothing keeps them from it."""
    if entry.get("paused") or " failed: " in entry.get("rollout", ""):
        return False
    return any(one["status"] == RUNNING and not one.get("updated", True) and "refused" not in one for one in entry["instances"])


def _why_unsafe(nodes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for node in nodes:
        if node["status"] != READY:
            yield f"{node['name']} is {node['status']}"
    for node in nodes:
        if node["cordoned"] and node["apps"]:
            yield f"{node['name']} is cordoned and runs instances: it may be drained"
