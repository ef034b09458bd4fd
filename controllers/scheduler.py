"""The scheduler: gives every instance that has no node one, many in one transaction, and decides which slots of an app that is
updated run its next revision now. `python -m controllers.scheduler`.

It looks at updates, at the instances that are not placed and at the nodes, decides as the loop of reconcile mode does, and
writes through the API.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from controllers.component import Component, batches, main
from controllers.everywhere import schedule_bound, schedule_everywhere
from controllers.rebalancer import balance
from controllers.schedule import Schedule
from controllers.updates import advanced
from duckconf.counts import counted
from duckconf.events import Event
from duckconf.instance import Instance
from duckconf.naming import app_of
from duckconf.reach.api.client import ApiClient
from duckconf.reach.api.control_config import ControlConfig
from duckconf.share import read_instance
from duckconf.sites import NOWHERE, Sites
from duckconf.spreading import spread_many
from duckconf.together import unit_of, whole
from duckconf.told_nodes import rooms_of

NAME = "scheduler"
# While an app fits nowhere: a port may become free without a node's or an app's change of place.
AGAIN = 2.0
# Updates decided in one transaction: each carries the revisions of its app.
MOST_DECISIONS = 200


def schedule(
    instances: Sequence[Instance],
    nodes: Sequence[Mapping[str, Any]],
    turn: int,
    revisions: Mapping[str, str] = MappingProxyType({}),
    siblings: Mapping[str, Sequence[str]] = MappingProxyType({}),
    sites: Sites = NOWHERE,
) -> Schedule:
    """Pure. An instance that has a node moves. `revisions` are those of the apps as they were read, `siblings` the nodes that
    they have already. `nodes` are rows of `GET /nodes`; only those that are ready, have space and are not cordoned get something
    new."""
    rooms, misfits = rooms_of(nodes)
    ordered = sorted(instances, key=lambda instance: (instance.app.name, instance.slot))
    # The first of a stack is placed where all of them fit, and binds the others.
    firsts = {unit_of(one.app): one for one in reversed(ordered) if unit_of(one.app)}
    ordered = [one for one in ordered if not unit_of(one.app) or firsts[unit_of(one.app)] is one]
    needs = {one.app.name: whole(one, instances) for one in firsts.values()}
    chosen, reasons = spread_many(ordered, rooms, misfits, turn, siblings, sites, needs)
    reasons |= {one.name: f"cannot leave {one.node}: {reasons[one.name]}" for one in ordered if one.node and one.name in reasons}
    return Schedule(tuple(_binding(one, chosen[one.name], revisions) for one in ordered if one.name in chosen), reasons)


def _binding(instance: Instance, node: str, revisions: Mapping[str, str]) -> dict[str, Any]:
    name = instance.app.name
    return {"name": name, "slot": instance.slot, "node": node, "revision": revisions.get(name, "")}


def _serving(entries: Sequence[Mapping[str, Any]], instances: Sequence[Instance]) -> list[Instance]:
    """Those without a place of which a container still runs as it should, each bound to the node of that."""
    told = zip(entries, instances)
    return [replace(one, bound=str(entry["serves"])) for entry, one in told if entry.get("serves") and not one.bound]


def begin(component: Component, config: ControlConfig) -> Callable[[ApiClient], float]:
    component.watch("/apps?nodeName=&")
    component.watch("/nodes?")
    component.watch("/rollouts?")
    component.watch("/rebalance?")
    turn = 0

    def update(api: ApiClient) -> float:
        """Before anything is placed: that runs what is decided here."""
        plan = advanced(api.call("GET", "/rollouts")["rollouts"])
        for part in batches(plan.decisions, MOST_DECISIONS):
            api.call("PUT", "/rollouts", {"rollouts": list(part)})
        return config.interval if plan.due is None else plan.due

    def bind(api: ApiClient, bindings: Sequence[Mapping[str, Any]]) -> bool:
        for part in batches(bindings):
            answer = api.call("PUT", "/apps", {"apps": list(part)})
            changed = counted(len(answer["refused"]), "app")
            component.log.info("placed %s, %s had changed meanwhile", counted(answer["bound"], "instance"), changed)
        return bool(bindings)

    def place(api: ApiClient) -> float:
        nonlocal turn
        answer = api.call("GET", "/apps?nodeName=")
        entries, everywhere = [*answer["apps"], *answer.get("moves", ())], answer.get("everywhere", [])
        if not entries and not everywhere:
            return balance(component, api, config.rebalance, config.sites, config.interval)
        nodes = api.call("GET", "/nodes?facts=true")["nodes"]
        revisions = {str(entry["name"]): str(entry["revision"]) for entry in entries}
        siblings = {str(entry["name"]): entry["siblings"] for entry in entries if "siblings" in entry}
        instances = [read_instance(entry) for entry in entries]
        wide = schedule_everywhere(everywhere, nodes, config.sites)
        data = schedule_bound([one for one in instances if one.bound], nodes, revisions, config.sites)
        back = schedule_bound(_serving(entries, instances), nodes, revisions, config.sites)
        if bind(api, (*wide.bindings, *data.bindings, *back.bindings)):
            # They have taken ports and room of the nodes, and apps have changed by it.
            return 0.0
        plan = schedule([one for one in instances if not one.bound], nodes, turn, revisions, siblings, config.sites)
        plan = plan._replace(reasons={**plan.reasons, **wide.reasons, **data.reasons})
        turn += len(plan.bindings)
        bind(api, plan.bindings)
        # What the api-server shows already is no news; after its restart it shows nothing.
        shown = answer.get("notes", {})
        news = [
            Event("pending", why, app_of(name), instance=name) for name, why in plan.reasons.items() if shown.get(name) != why
        ]
        component.tell(api, news)
        if plan.bindings:
            return config.interval
        # What fits nowhere keeps nothing else from moving.
        later = balance(component, api, config.rebalance, config.sites, config.interval)
        return min(AGAIN, later) if plan.reasons else later

    def once(api: ApiClient) -> float:
        return min(update(api), place(api))

    return once


if __name__ == "__main__":
    sys.exit(main(NAME, sys.argv[1:], begin))
