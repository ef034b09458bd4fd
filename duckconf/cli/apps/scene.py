"""What `--dry-run` decides on: in reconcile mode what the nodes say and the loop keeps, in agents mode what the API tells."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from duckconf.cli.apps.declare import fields_of, past_of
from duckconf.cli.cluster.api import api_client
from duckconf.cli.cluster.modes import RECONCILE, mode_of
from duckconf.cli.cluster.nodes import open_cluster
from duckconf.cli.look.picture import Scene, survey
from duckconf.codec import spec_hash, to_label
from duckconf.decision import Memory
from duckconf.desired import PLACED_COLUMNS, changed, empty_document
from duckconf.engine_output import Container
from duckconf.facts import facts_from_json
from duckconf.local_data import held_from_json
from duckconf.model import App, parse_app
from duckconf.placement import Fleet, Placement
from duckconf.reach.api.client import ApiClient
from duckconf.reach.inventory.project import Project
from duckconf.reach.state import secrets
from duckconf.reach.state.secrets import SecretFile
from duckconf.refusal import refusal_from_json
from duckconf.rollout import Revision, last_good
from duckconf.secrets import at_revisions, resolved
from duckconf.sites import Sites

# The hash of a spec that nobody knows.
UNKNOWN = "unknown"
AWAY = ("unreachable", "unreadable")
Known = Callable[[], Collection[str]]


@contextmanager
def scene_of(project: Project, names: Collection[str]) -> Iterator[tuple[Scene, Known]]:
    """The scene for a change of these apps, and what gives the names of the secrets that there are."""
    if mode_of(project) == RECONCILE:
        with open_cluster(project, warm=True) as cluster:
            yield survey(cluster), SecretFile(project.state / secrets.FILE_NAME).current
        return
    api = api_client(project)
    revisions = {entry["name"]: entry["revision"] for entry in api.call("GET", "/secrets")["secrets"]}
    yield _of_agents(api, project.inventory().sites, names, revisions), lambda: revisions


def _of_agents(api: ApiClient, sites: Sites, names: Collection[str], revisions: Mapping[str, str]) -> Scene:
    """`revisions` are those of the secrets."""
    nodes, listing = api.call("GET", "/nodes?facts=true")["nodes"], api.call("GET", "/apps")
    apps = {entry["name"]: parse_app(fields_of(entry)) for entry in listing["apps"]}
    history = {name: past_of(api, name) for name in names if name in apps}
    found = [
        copy
        for entry in listing["apps"]
        for copy in _containers(entry, at_revisions(apps[entry["name"]], revisions), last_good(history.get(entry["name"], ())))
    ]
    placements = {copy.instance: Placement(copy.node, copy.name, copy.generation, spec=copy.spec) for copy in found}
    document = changed(empty_document(PLACED_COLUMNS), apps)
    faults = tuple(listing.get("faults", ()))
    data = held_from_json(api.call("GET", "/data")["data"])
    memory = Memory(placements, {}, history=history, data=data)
    return Scene(document, lambda desired: resolved(desired, revisions), _fleet(nodes, found, sites), memory, 0.0, faults, {})


def _fleet(rows: Sequence[Mapping[str, Any]], found: Sequence[Container], sites: Sites) -> Fleet:
    names = tuple(row["name"] for row in rows)
    views = {
        row["name"]: None if row["status"] in AWAY else tuple(copy for copy in found if copy.node == row["name"]) for row in rows
    }
    refusals = [refusal_from_json(row["name"], entry, 0.0) for row in rows for entry in row["refusals"]]
    return Fleet(
        names,
        views,
        cordoned={row["name"] for row in rows if row["cordoned"]},
        refusals={(refusal.node, refusal.app): refusal for refusal in refusals},
        facts={row["name"]: facts_from_json(row) for row in rows},
        sites=sites,
    )


def _containers(entry: Mapping[str, Any], app: App, before: Revision | None) -> Iterator[Container]:
    """Those that the agents report. One that is not updated has the spec of the last revision that served."""
    for one in entry["instances"]:
        if not (one["node"] and one.get("container")):
            continue
        spec = app if one.get("updated", True) else before.app if before is not None else None
        made = Container(
            "", one["container"], one["node"], app.name, spec_hash(spec) if spec else UNKNOWN, app.image, one["status"], 0.0
        )
        yield replace(
            made,
            generation=one.get("generation", 0),
            manifest=to_label(spec) if spec else "",
            slot=one["slot"],
            health=one.get("health", ""),
        )
