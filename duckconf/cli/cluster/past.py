"""The past of each app goes with it between the modes reconcile and agents: its revisions, what each instance runs of them, and
how its jobs ended. Without it, a revision that was taken back would be started on all nodes, and a job that had failed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from duckconf.by_revision import revision_from_json
from duckconf.cli.cluster.api import api_client
from duckconf.codec import to_json
from duckconf.desired import Document
from duckconf.engine_output import Container
from duckconf.errors import DuckconfError, SetupError
from duckconf.instance import slots_of
from duckconf.model import App
from duckconf.naming import instance_name
from duckconf.placement import Placement
from duckconf.reach.api.client import path_of
from duckconf.reach.inventory.project import Project
from duckconf.reach.state.placements import FILE_NAME as PLACEMENTS
from duckconf.reach.state.placements import PlacementBook
from duckconf.reach.state.reports import FILE_NAME as REPORT
from duckconf.reach.state.revisions import FILE_NAME as HISTORY
from duckconf.reach.state.revisions import RevisionBook
from duckconf.share import read_instance

Told = Mapping[str, Sequence[Mapping[str, Any]]]
"""By app, its revisions as the API tells them, the newest last."""


def told_by(project: Project, apps: Iterable[str]) -> Told:
    """Empty when the API does not answer: the past then begins with what runs."""
    try:
        api = api_client(project)
        return {app: api.call("GET", path_of("app", app, "history"), deadline=10.0)["revisions"] for app in apps}
    except DuckconfError:
        return {}


def keep(state: Path, told: Told) -> None:
    """For the loop, which goes on with it. Raises OSError."""
    since = {(app, int(item["number"])): float(item.get("since", 0.0)) for app, past in told.items() for item in past}
    revisions = {app: tuple(map(revision_from_json, past)) for app, past in told.items() if past}
    RevisionBook.at(state / HISTORY).replace(revisions, since)


def places_told_by(project: Project) -> dict[str, Placement] | None:
    """Where each instance is, what it runs there and how it ended; None when the API does not answer: what runs tells it then."""
    try:
        api = api_client(project)
        apps = api.call("GET", "/apps", deadline=10.0)["apps"]
        nodes = [row["name"] for row in api.call("GET", "/nodes", deadline=10.0)["nodes"]]
        shares = [api.call("GET", f"/apps?nodeName={node}", deadline=10.0)["apps"] for node in nodes]
    except DuckconfError:
        return None
    containers = {instance_name(app["name"], one["slot"]): one.get("container", "") for app in apps for one in app["instances"]}
    instances = [read_instance(entry) for share in shares for entry in share]
    return {
        one.name: Placement(one.node, containers.get(one.name, ""), one.generation, one.ended, one.spec)
        for one in instances
        # Of one that has neither, nothing is there yet.
        if one.ended or containers.get(one.name)
    }


def keep_places(state: Path, places: Mapping[str, Placement] | None) -> None:
    """For the loop. What it remembered of an earlier time says nothing any more. Raises OSError."""
    (state / PLACEMENTS).unlink(missing_ok=True)
    (state / REPORT).unlink(missing_ok=True)
    if places is not None:
        PlacementBook(state / PLACEMENTS).keep(places)


def ended_in(state: Path) -> dict[str, Placement]:
    """The instances that the loop knows to be over, where they ended."""
    try:
        return {name: place for name, place in PlacementBook(state / PLACEMENTS).placements.items() if place.end}
    except SetupError:
        return {}


def of_all(
    state: Path,
    document: Document,
    found: Mapping[str, Container],
    over: Mapping[str, Placement],
    homes: Mapping[str, Sequence[str]],
) -> list[dict[str, Any]]:
    """What the loop ran, as `PUT /takeover` has it. `found` has the container of each instance, `over` those that have ended,
    `homes` the nodes of each app by slot."""
    book = RevisionBook.at(state / HISTORY)
    return [_of(app, book.told(name), found, over, homes[name]) for name, app in document.apps().items()]


def _of(
    app: App,
    past: Sequence[Mapping[str, Any]],
    found: Mapping[str, Container],
    over: Mapping[str, Placement],
    nodes: Sequence[str],
) -> dict[str, Any]:
    known = {item["spec"] for item in past}
    runs = {one.slot: found[one.name].spec for one in slots_of(app) if one.name in found}
    return {
        "app": to_json(app),
        "nodes": list(nodes) if any(nodes) else [],
        "slots": {str(slot): spec for slot, spec in runs.items() if spec in known},
        "ended": {str(one.slot): over[one.name].end for one in slots_of(app) if one.name in over},
        "history": list(past),
    }


def forget(state: Path) -> None:
    """It is the api-server's from now on."""
    (state / HISTORY).unlink(missing_ok=True)
