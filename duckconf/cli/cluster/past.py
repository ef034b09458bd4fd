"""The past of each app goes with it between the modes reconcile and agents: its revisions, what each instance runs of them, and
how its jobs ended. Without it, a revision that was taken back would be started on all nodes, and a job that had failed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from duckconf.by_revision import revision_from_json
from duckconf.cli.cluster.api import api_client
from duckconf.desired import Document
from duckconf.engine_output import Container
from duckconf.errors import DuckconfError, SetupError
from duckconf.instance import slots_of
from duckconf.placement import Placement
from duckconf.reach.api.client import ApiClient
from duckconf.reach.inventory.project import Project
from duckconf.reach.state.placements import FILE_NAME as PLACEMENTS
from duckconf.reach.state.placements import PlacementBook
from duckconf.reach.state.revisions import FILE_NAME as HISTORY
from duckconf.reach.state.revisions import RevisionBook

Told = Mapping[str, Sequence[Mapping[str, Any]]]
"""By app, its revisions as the API tells them, the newest last."""
# Apps in one call: each comes with its revisions.
AT_ONCE = 200


def told_by(project: Project, apps: Iterable[str]) -> Told:
    """Empty when the API does not answer: the past then begins with what runs."""
    try:
        api = api_client(project)
        return {app: api.call("GET", f"/app/{app}/history", deadline=10.0)["revisions"] for app in apps}
    except DuckconfError:
        return {}


def keep(state: Path, told: Told) -> None:
    """For the loop, which goes on with it. Raises OSError."""
    book = RevisionBook(state / HISTORY)
    book.since = {(app, int(item["number"])): float(item.get("since", 0.0)) for app, past in told.items() for item in past}
    book.keep({app: tuple(map(revision_from_json, past)) for app, past in told.items() if past})


def ended_in(state: Path) -> dict[str, Placement]:
    """The instances that the loop knows to be over, where they ended."""
    try:
        return {name: place for name, place in PlacementBook(state / PLACEMENTS).placements.items() if place.end}
    except SetupError:
        return {}


def hand_over(
    api: ApiClient, state: Path, document: Document, found: Mapping[str, Container], over: Mapping[str, Placement]
) -> None:
    """To the api-server, which has the apps by now. `found` has the container of each instance, `over` those that have ended."""
    book = RevisionBook(state / HISTORY)
    decisions = []
    for name, app in document.apps().items():
        past = book.told(name)
        known = {item["spec"] for item in past}
        slots = {one.slot: found[one.name].spec for one in slots_of(app) if one.name in found and found[one.name].spec in known}
        ended = {one.slot: over[one.name].end for one in slots_of(app) if one.name in over}
        if past or ended:
            revision = api.call("GET", f"/app/{name}")["revision"]
            decision = {
                "app": name,
                "revision": revision,
                "slots": slots,
                "history": past,
                "ended": ended,
                "note": "",
                "said": "",
            }
            decisions.append(decision)
    for begin in range(0, len(decisions), AT_ONCE):
        api.call("PUT", "/rollouts", {"rollouts": decisions[begin : begin + AT_ONCE]})
    (state / HISTORY).unlink(missing_ok=True)
