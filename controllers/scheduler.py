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

from controllers.component import Component, Once, batches, main
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
from duckconf.together import needs_of_unit, unit_of
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
    needs = {one.app.name: needs_of_unit(one, instances) for one in firsts.values()}
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


class Scheduler:
    """What it does after each wake-up: `once` returns the seconds after which it is due without one."""

    def __init__(self, component: Component, config: ControlConfig) -> None:
        self._component = component
        self._config = config
        self._turn = 0

    def once(self, api: ApiClient) -> float:
        """Updates first: what is placed afterwards runs what was decided on them."""
        return min(self._update(api), self._place(api))

    def _update(self, api: ApiClient) -> float:
        plan = advanced(api.call("GET", "/rollouts")["rollouts"])
        for part in batches(plan.decisions, MOST_DECISIONS):
            api.call("PUT", "/rollouts", {"rollouts": list(part)})
        return self._config.interval if plan.due is None else plan.due

    def _place(self, api: ApiClient) -> float:
        answer = api.call("GET", "/apps?nodeName=")
        entries, everywhere = [*answer["apps"], *answer.get("moves", ())], answer.get("everywhere", [])
        if not entries and not everywhere:
            return self._balance(api)
        sites = self._config.sites
        nodes = api.call("GET", "/nodes?facts=true")["nodes"]
        revisions = {str(entry["name"]): str(entry["revision"]) for entry in entries}
        siblings = {str(entry["name"]): entry["siblings"] for entry in entries if "siblings" in entry}
        instances = [read_instance(entry) for entry in entries]
        wide = schedule_everywhere(everywhere, nodes, sites)
        data = schedule_bound([one for one in instances if one.bound], nodes, revisions, sites)
        back = schedule_bound(_serving(entries, instances), nodes, revisions, sites)
        if self._bind(api, (*wide.bindings, *data.bindings, *back.bindings)):
            # They have taken ports and room of the nodes, and apps have changed by it.
            return 0.0
        plan = schedule([one for one in instances if not one.bound], nodes, self._turn, revisions, siblings, sites)
        self._turn += len(plan.bindings)
        self._bind(api, plan.bindings)
        reasons = {**plan.reasons, **wide.reasons, **data.reasons}
        self._tell_of_waits(api, reasons, answer.get("notes", {}))
        if plan.bindings:
            return self._config.interval
        # What fits nowhere keeps nothing else from moving.
        later = self._balance(api)
        return min(AGAIN, later) if reasons else later

    def _bind(self, api: ApiClient, bindings: Sequence[Mapping[str, Any]]) -> bool:
        for part in batches(bindings):
            answer = api.call("PUT", "/apps", {"apps": list(part)})
            changed = counted(len(answer["refused"]), "app")
            self._component.log.info("placed %s, %s had changed meanwhile", counted(answer["bound"], "instance"), changed)
        return bool(bindings)

    def _tell_of_waits(self, api: ApiClient, reasons: Mapping[str, str], shown: Mapping[str, str]) -> None:
        """What the api-server shows already is no news; after its restart it shows nothing."""
        news = [Event("pending", why, app_of(name), instance=name) for name, why in reasons.items() if shown.get(name) != why]
        self._component.tell(api, news)

    def _balance(self, api: ApiClient) -> float:
        config = self._config
        return balance(self._component, api, config.rebalance, config.sites, config.interval)


def begin(component: Component, config: ControlConfig) -> Callable[[], Once]:
    # Whose turn it is goes on over terms; it knows nothing else.
    scheduler = Scheduler(component, config)

    def of_term() -> Once:
        for path in ("/apps?nodeName=&", "/nodes?", "/rollouts?", "/rebalance?"):
            component.watch(path)
        return scheduler.once

    return of_term


if __name__ == "__main__":
    sys.exit(main(NAME, sys.argv[1:], begin))
