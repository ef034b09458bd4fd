"""`./inv explain APP|NODE`: asks what is known, for the sentences of `duckconf/explain.py`. It decides and changes nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from duckconf.cli.apps.scene import scene_of
from duckconf.cli.cluster.api import api_client
from duckconf.cli.cluster.modes import AGENTS, PUSH, mode_of
from duckconf.cli.look.event_source import event_source
from duckconf.cli.look.explain_pushed import explain_pushed
from duckconf.cli.look.picture import Scene
from duckconf.cli.look.steps import expected_lines
from duckconf.cli.look.under_way import foretold
from duckconf.cli.terminal.tables import print_json
from duckconf.cli.terminal.times import clock
from duckconf.decision import decide
from duckconf.desired import Desired
from duckconf.elsewhere import places
from duckconf.errors import NotFound
from duckconf.events import Event
from duckconf.explain import AGENT, NODE, RUNNING, Known, Part, explain_app, explain_instance
from duckconf.explain_node import explain_node
from duckconf.globally import with_slots
from duckconf.naming import app_of, instance_name
from duckconf.overview import AppView, overview
from duckconf.picture import InstanceSeen, NodeSeen
from duckconf.reach.api.client import ApiClient, ApiRefused, path_of
from duckconf.reach.inventory.project import Project
from duckconf.suggest import meant

# Of the newest events; the last ones of them that tell of trouble.
EVENTS, MOST = 1000, 3
TROUBLE = ("failed", "unhealthy", "pending", "update-failed", "job-failed", "exited", "name-taken")
ABOUT_NODE = "node-"
TITLES = {"state": "", "why": "why", "tried": "tried", "next": "next", "change": "to change it"}
NODE_TITLES = {**TITLES, "tried": "lately"}
Nodes = Mapping[str, NodeSeen]


def explain(project: Project, what: str, *, as_json: bool) -> None:
    """Raises NotFound where there is neither such an app, instance or node."""
    events = event_source(project).tail(EVENTS).events
    parts = explain_pushed(project, what, _of_nodes(events)) if mode_of(project) == PUSH else _declared(project, what, events)
    print_json([part.to_json() for part in parts]) if as_json else say(parts)


def _declared(project: Project, what: str, events: Sequence[Event]) -> list[Part]:
    api = api_client(project)
    picture = api.call("GET", "/picture")
    nodes = {name: _read(NodeSeen, told) for name, told in picture["nodes"].items()}
    instances = {name: _read(InstanceSeen, told) for name, told in picture["instances"].items()}
    if what in nodes and what not in picture["apps"]:
        return _node(project, what, nodes[what], instances, _of_nodes(events).get(what, ()), picture)
    return _app(project, api, what, nodes, events, picture)


def say(parts: Sequence[Part]) -> None:
    for number, part in enumerate(parts):
        print(f"{chr(10) if number else ''}{part.kind} {part.about}")
        for field, title in (NODE_TITLES if part.kind == NODE else TITLES).items():
            for line, sentence in enumerate(getattr(part, field)):
                print(f"  {title if not line else '':<14}{sentence}" if title else f"  {sentence}")
    sys.stdout.flush()


def _app(
    project: Project,
    api: ApiClient,
    what: str,
    nodes: Mapping[str, NodeSeen],
    events: Sequence[Event],
    picture: Mapping[str, Any],
) -> list[Part]:
    name = app_of(what)
    try:
        entry = api.call("GET", path_of("app", name))
    except ApiRefused as refused:
        if refused.status != 404:
            raise
        like = meant(what, [*picture["apps"], *picture["instances"], *nodes])
        raise NotFound(f"there is no app, instance or node {what!r}{like}", "see `./inv apps` and `./inv nodes`") from None
    history = api.call("GET", path_of("app", name, "history"))["revisions"]
    common = {"nodes": nodes, "timeout": float(picture["timeout"]), "history": history, "failures": troubles(events, name)}
    with scene_of(project, {name}) as (scene, _):
        known = _of_agents(project, entry, scene) if mode_of(project) == AGENTS else _of_loop(project, entry, scene)
        known = replace(known, later=_later(project, entry, scene), **common)
    if what == name:
        return explain_app(entry, known)
    mine = [one for one in entry["instances"] if instance_name(name, int(one["slot"])) == what]
    if not mine:
        remedy = f"./inv explain {name}, or more of them: ./inv scale {name}=N"
        raise NotFound(f"{name} has no instance {what}: it has {len(entry['instances'])}", remedy)
    return [explain_instance(entry, mine[0], known)]


def _of_agents(project: Project, entry: Mapping[str, Any], scene: Scene) -> Known:
    desired, placements = scene.desired()[0], scene.memory.placements
    found = _places(with_slots(desired, scene.fleet, placements), scene, placements, str(entry["name"]))
    return Known(time.time(), scene.now, actor=AGENT, places=found)


def _of_loop(project: Project, entry: dict[str, Any], scene: Scene) -> Known:
    """What the loop would decide now; the instances of `entry`, which it has told of before, become those of now."""
    name, memory, fleet = str(entry["name"]), scene.memory, scene.fleet
    desired = with_slots(scene.desired()[0], fleet, memory.placements)
    decision = decide(project.cluster, desired, fleet, memory, scene.now)
    views = [view for view in overview(desired, fleet, decision, memory) if view.app == name and view.desired == "yes"]
    if views:
        entry["instances"] = [_instance(view) for view in views]
        entry["running"] = sum(view.state == RUNNING for view in views)
    steps: dict[str, list[str]] = {}
    for step in decision.plan.steps:
        steps.setdefault(step.instance, []).append(f"{step.action}, because: {step.reason}")
    found = _places(desired, scene, decision.placements, name)
    return Known(time.time(), scene.now, places=found, steps=steps, notes=decision.plan.notes, tries=memory.tries)


def _instance(view: AppView) -> dict[str, Any]:
    """As the API shows it."""
    told = {name: getattr(view, name) for name in ("slot", "node", "started", "restarts", "health", "ready", "updated", "note")}
    return told | {"status": view.state}


def _later(project: Project, entry: Mapping[str, Any], scene: Scene) -> list[str]:
    """The steps that follow of an update."""
    if not entry.get("rollout"):
        return []
    later = foretold(project.cluster, scene, {str(entry["name"]): str(entry["rollout"])})
    return [line for one in later.values() for line in expected_lines(one.expected)]


def _places(desired: Desired, scene: Scene, placements: Mapping[str, Any], name: str) -> dict[str, Any]:
    return places(desired, scene.fleet, placements, scene.memory.data or {}, name)


def _node(
    project: Project, name: str, seen: NodeSeen, instances: Mapping[str, InstanceSeen], lately: Sequence[str],
    picture: Mapping[str, Any],
) -> list[Part]:  # fmt: skip
    with scene_of(project, ()) as (scene, _):
        fleet = scene.fleet
        held = sorted(one for one, data in (scene.memory.data or {}).items() if data.node == name)
        refusals = [refusal for (node, _), refusal in sorted(fleet.refusals.items()) if node == name]
        return explain_node(
            name, seen, instances, facts=fleet.fact(name), refusals=refusals, data=held, events=lately,
            now=time.time(), clock=scene.now, timeout=float(picture["timeout"]),
        )  # fmt: skip


def _of_nodes(events: Iterable[Event]) -> dict[str, list[str]]:
    """What happened to each node lately."""
    found: dict[str, list[str]] = {}
    for event in events:
        if event.node and (event.kind.startswith(ABOUT_NODE) or event.kind in TROUBLE):
            found.setdefault(event.node, []).append(_sentence(event))
    return {node: lines[-MOST:] for node, lines in found.items()}


def troubles(events: Iterable[Event], app: str) -> dict[str, list[str]]:
    """What went wrong last, by instance; by app where no instance is named."""
    found: dict[str, list[str]] = {}
    for event in events:
        if event.app == app and event.kind in TROUBLE:
            found.setdefault(event.instance or event.app, []).append(_sentence(event))
    return {name: lines[-MOST:] for name, lines in found.items()}


def _sentence(event: Event) -> str:
    where = f" on {event.node}" if event.node else ""
    return f"{clock(event.time)} {event.kind}{where}: {event.message.rstrip('.')}"


def _read(kind: Any, told: Mapping[str, Any]) -> Any:
    """An API of another version may tell more."""
    names = {item.name for item in fields(kind)}
    return kind(**{name: value for name, value in {"status": "", "app": "", **told}.items() if name in names})
