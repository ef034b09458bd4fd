"""The scheduler: gives every app that has no node one, many in one transaction. `python -m controllers.scheduler`.

It looks at the apps that are not placed and at the nodes, decides with the shared placement, and binds through the API.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from controllers.component import Component, main
from duckconf.codec import revision
from duckconf.counts import counted
from duckconf.events import Event
from duckconf.facts import facts_from_json
from duckconf.model import App, parse_app
from duckconf.ports import Port, parse_held
from duckconf.reach.api.client import ApiClient
from duckconf.reach.api.control_config import ControlConfig
from duckconf.refusal import Refusal, by_node, refusal_from_json, with_siblings
from duckconf.spreading import FULL, Room, spread_many

NAME = "scheduler"
# Bindings in one transaction: an agent that gets ten apps is woken once and not ten times.
BATCH = 10_000
# While an app fits nowhere: a port may become free without a node's or an app's change of place.
AGAIN = 2.0
READY = "ready"


class Schedule(NamedTuple):
    """Bindings as `PUT /apps` takes them, and for the apps that fit nowhere the reason."""

    bindings: tuple[dict[str, str], ...]
    reasons: Mapping[str, str]


def schedule(apps: Sequence[App], nodes: Sequence[Mapping[str, Any]], turn: int) -> Schedule:
    """Pure. `nodes` are rows of `GET /nodes`; only those that are ready, have space and are not cordoned get something new."""
    rooms: list[Room] = []
    known = {str(node["name"]): facts_from_json(node) for node in nodes}
    refusals = by_node(with_siblings(_refusals(nodes), known))
    misfits: Counter[str] = Counter()
    for node in nodes:
        if node["cordoned"]:
            misfits["cordoned"] += 1
        elif node["status"] != READY:
            misfits[str(node["status"])] += 1
        elif node["full"]:
            misfits[FULL] += 1
        else:
            name = str(node["name"])
            rooms.append(Room(name, int(node["apps"]), _ports(node), refusals.get(name, {}), known[name]))
    ordered = sorted(apps, key=lambda app: app.name)
    placed, reasons = spread_many(ordered, rooms, misfits, turn)
    bindings = tuple(
        {"name": app.name, "node": placed[app.name], "revision": revision(app)} for app in ordered if app.name in placed
    )
    return Schedule(bindings, reasons)


def _ports(node: Mapping[str, Any]) -> list[Port]:
    return [parse_held(text) for text in node.get("ports", ())]


def _refusals(nodes: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Refusal]:
    """What the nodes' agents said that their engines refuse for now."""
    told = [refusal_from_json(str(node["name"]), entry, 0.0) for node in nodes for entry in node.get("refusals", ())]
    return {(refusal.node, refusal.app): refusal for refusal in told}


def begin(component: Component, config: ControlConfig) -> Callable[[ApiClient], float]:
    component.watch("/apps?nodeName=&")
    component.watch("/nodes?")
    said: dict[str, str] = {}
    turn = 0

    def once(api: ApiClient) -> float:
        nonlocal turn
        unplaced = [parse_app(_spec(entry), placed=True) for entry in api.call("GET", "/apps?nodeName=")["apps"]]
        if not unplaced:
            said.clear()
            return config.interval
        plan = schedule(unplaced, api.call("GET", "/nodes?facts=true")["nodes"], turn)
        turn += len(plan.bindings)
        for first in range(0, len(plan.bindings), BATCH):
            part = plan.bindings[first : first + BATCH]
            answer = api.call("PUT", "/apps", {"apps": list(part)})
            component.log.info("placed %s, %d had changed meanwhile", counted(answer["bound"], "app"), len(answer["refused"]))
        news = [Event("pending", why, app) for app, why in plan.reasons.items() if said.get(app) != why]
        said.clear()
        said.update(plan.reasons)
        component.tell(api, news)
        return AGAIN if plan.reasons else config.interval

    return once


def _spec(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "revision"}


if __name__ == "__main__":
    sys.exit(main(NAME, sys.argv[1:], begin))
