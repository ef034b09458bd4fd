"""The node-controller, as a process: `python -m controllers.node_controller`.

It marks nodes without a heartbeat as lost and unschedules their apps. It also unschedules an app that the engine of its node
refuses to run, and one after the other those of a node that is drained. The age of a heartbeat is measured by the api-server, so
that the clocks of the nodes do not matter. `duckconf/health.py` decides which nodes are lost, and has the brake for many nodes
that become unreachable together.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from controllers.component import Component, Once, batches, main
from controllers.draining import empty
from duckconf.counts import counted
from duckconf.events import Event
from duckconf.health import Health, judge, next_verdict
from duckconf.patterns import some_of
from duckconf.reach.api.client import ApiClient
from duckconf.reach.api.control_config import ControlConfig
from duckconf.told_nodes import READY

NAME = "node-controller"
# A verdict is looked for this long after it is due, so that one look is enough.
LATE = 0.02
SHORTEST = 0.05


@dataclass(frozen=True)
class Watch:
    """What the controller knows after a look: the verdict, who was suspect, who had no space, and who refuses an app."""

    health: Health = field(default_factory=Health)
    suspect: frozenset[str] = frozenset()
    full: frozenset[str] = frozenset()
    refusing: frozenset[str] = frozenset()
    unreadable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Judgement:
    """`lost` are the nodes whose apps are rescheduled now; `due` is in seconds from this look."""

    watch: Watch
    lost: tuple[str, ...]
    events: tuple[Event, ...]
    due: float


def look(watch: Watch, nodes: Sequence[Mapping[str, Any]], timeout: float, interval: float, now: float) -> Judgement:
    """Pure. `nodes` are rows of `GET /nodes`, whose `age` was measured by the server; `now` is on the caller's clock.

    A controller that has just started gives every silent node a full `timeout`: it cannot know what it missed.
    """
    ages = {str(node["name"]): float(node["age"]) for node in nodes}
    answered = {name: now - age for name, age in ages.items() if age < timeout / 2}
    health = judge(watch.health, tuple(ages), answered, now, timeout)
    now_known = Watch(
        health,
        frozenset(name for name in ages if name not in answered),
        frozenset(str(node["name"]) for node in nodes if node["full"] and node["name"] in answered),
        frozenset(str(node["name"]) for node in nodes if node.get("refusals") and node["name"] in answered),
        {str(node["name"]): str(node["unreadable"]) for node in nodes if node.get("unreadable") and node["name"] in answered},
    )
    events = _events(watch, now_known, ages)
    verdict = next_verdict(health, answered, now, timeout)
    waits = [timeout / 2 - ages[name] for name in answered] + ([] if verdict is None else [verdict])
    due = min([interval, *(wait + LATE for wait in waits)])
    return Judgement(now_known, tuple(sorted(health.lost)), events, max(due, SHORTEST))


def _events(watch: Watch, now: Watch, ages: Mapping[str, float]) -> tuple[Event, ...]:
    events = []
    for name in sorted(now.suspect - watch.suspect):
        events.append(
            Event("node-suspect", f"{name}: suspect (no heartbeat for {ages[name]:.0f} s); it gets no new apps", node=name)
        )
    for name in sorted(now.health.lost - watch.health.lost):
        events.append(Event("node-lost", f"{name}: lost (no heartbeat for {ages[name]:.0f} s); rescheduling its apps", node=name))
    for name in sorted(now.unreadable.keys() - watch.unreadable.keys()):
        words = f"{name}: answers, but its answer cannot be read: {now.unreadable[name]}; its apps count as running"
        events.append(Event("node-unreadable", words, node=name))
    back = (watch.suspect | watch.unreadable.keys()) - now.suspect - now.unreadable.keys()
    for name in sorted(back & ages.keys()):
        events.append(Event("node-back", f"{name}: ready again", node=name))
    for name in sorted(now.full - watch.full):
        events.append(Event("node-full", f"{name}: disk full; rescheduling the apps that cannot start there", node=name))
    if now.health.braked and not watch.health.braked:
        events.append(
            Event(
                "brake",
                f"{len(now.suspect)} of {counted(len(ages), 'node')} sent no heartbeat at the same time; no app is unscheduled",
            )
        )
    return tuple(events)


def begin(component: Component, config: ControlConfig) -> Callable[[], Once]:
    return partial(_of_term, component, config)


def _of_term(component: Component, config: ControlConfig) -> Once:
    component.watch("/nodes?")
    watch = Watch()

    def once(api: ApiClient) -> float:
        nonlocal watch
        answer = api.call("GET", "/nodes")
        judgement = look(watch, answer["nodes"], float(answer["node_timeout"]), config.interval, time.monotonic())
        counts = {str(node["name"]): int(node["apps"]) for node in answer["nodes"]}
        component.tell(api, judgement.events)
        unschedule(component, api, [node for node in judgement.lost if counts[node]])
        turn_away(component, api, judgement.watch, counts)
        watch = judgement.watch
        drained = [str(node["name"]) for node in answer["nodes"] if node.get("draining") and node["status"] == READY]
        soon = empty(component, api, drained)
        return judgement.due if soon is None else min(soon, judgement.due)

    return once


def unschedule(component: Component, api: ApiClient, nodes: Sequence[str]) -> None:
    """Take their instances from lost nodes, all at once; those that changed meanwhile are looked at again. A job that is over
    stays: it is not to run again elsewhere. So does an instance that is bound to its node."""
    entries = [entry for node in nodes for entry in api.call("GET", f"/apps?nodeName={node}")["apps"]]
    unbind(component, api, [entry for entry in entries if not (entry.get("ended") or entry.get("bound"))], "lost")


def turn_away(component: Component, api: ApiClient, watch: Watch, counts: Mapping[str, int]) -> None:
    """Take from nodes what their engine refuses to run."""
    if any(counts[node] for node in watch.full | watch.refusing):
        unbind(component, api, turned_away(api.call("GET", "/apps")["apps"], watch.full), "refused")


def turned_away(apps: Iterable[Mapping[str, Any]], full: Collection[str]) -> list[Mapping[str, Any]]:
    """Pure: the instances in `GET /apps` that their node refuses and that do not run there, and those of which nothing was
    ever started on their full node; one that has a copy found its space."""
    entries = ({**entry, "name": app["name"], "revision": app["revision"]} for app in apps for entry in app["instances"])
    return [entry for entry in entries if entry.get("refused") or (entry["node"] in full and not entry.get("started"))]


def unbind(component: Component, api: ApiClient, entries: Sequence[Mapping[str, Any]], why: str) -> None:
    """The scheduler is free to place these instances anew. An app that was changed since it was read is left as it is."""
    ordered = sorted(entries, key=lambda entry: str(entry["name"]))
    for part in batches(ordered):
        bindings = [
            {"name": entry["name"], "slot": entry.get("slot", 1), "node": "", "revision": entry["revision"]} for entry in part
        ]
        answer = api.call("PUT", "/apps", {"apps": bindings})
        where = some_of(sorted({entry["node"] for entry in part}))
        component.log.info("%s %s: %s unscheduled", where, why, counted(answer["bound"], "instance"))


if __name__ == "__main__":
    sys.exit(main(NAME, sys.argv[1:], begin))
