"""Empties a node in agents mode: asks the api-server for it, and follows the apps as they move one at a time. Each runs on its
new node before its old container is removed."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any

from duckconf.cli.cluster.api import api_client
from duckconf.cli.fleet.drained import Drained, say_what_stays
from duckconf.cli.fleet.trying import Trying
from duckconf.cli.terminal.say import step
from duckconf.naming import app_of, instance_name, slot_of
from duckconf.overview import BACKOFF, has_no_place
from duckconf.reach.api.client import ApiClient, ApiRefused, path_of
from duckconf.reach.inventory.project import Project

# The start on the new node may pull the image.
PATIENCE = 300.0
HELD = 2.0


def drain(project: Project, node: str) -> Drained:
    """What has data there goes on there, and so does what no other node takes; the node stays cordoned."""
    api = api_client(project)
    api.call("PUT", path_of("node", node), {"cordoned": True})
    told = api.call("GET", f"/apps?nodeName={node}")
    # A job that is over has nothing to do elsewhere.
    there = [entry for entry in told["apps"] if not entry.get("ended")]
    stays = {instance_name(entry["name"], entry.get("slot", 1)): str(entry["data"]) for entry in there if entry.get("data")}
    say_what_stays(node, stays)
    # Those that an earlier drain has left without a place run on there.
    names = [instance_name(entry["name"], entry.get("slot", 1)) for entry in there if not entry.get("data")]
    names += [name for name in told["kept"] if name not in names]
    names.sort(key=lambda name: (app_of(name), slot_of(name)))
    trying = Trying(node)
    api.call("PUT", path_of("node", node), {"draining": True})
    for number, name in enumerate(names, 1):
        with step(f"moving {name} ({number} of {len(names)})"):
            _follow(api, name, node, trying)
    return Drained(len(names) - len(trying.stays), tuple(sorted(stays)), trying.stays)


def _follow(api: ApiClient, name: str, node: str, trying: Trying) -> None:
    """Return when it runs elsewhere, or is given up."""
    app, slot = app_of(name), slot_of(name)
    cursor = api.call("GET", "/events?limit=0")["cursor"]
    end = time.monotonic() + PATIENCE
    while name not in trying.stays:
        now = _instance(api, app, slot)
        if now is None or (now["node"] not in ("", node) and now["status"] == "running"):
            trying.moved()
            return
        note = now.get("note", "")
        if has_no_place(now["status"], note):
            trying.cannot(name, note)
        elif now["status"] == BACKOFF:
            trying.failed(name, note or "it is held back", BACKOFF)
        elif time.monotonic() > end:
            trying.cannot(name, note or f"{now['status']} on {now['node'] or 'no node'} after {PATIENCE:g} s")
        if name not in trying.stays:
            cursor = _hear(api, cursor, name, trying)


def _hear(api: ApiClient, cursor: str, name: str, trying: Trying) -> str:
    """What became of its starts since `cursor`; the cursor for the next time."""
    page = api.call("GET", f"/events?since={cursor}&wait={HELD:g}")
    for event in page["events"]:
        if event.get("app") == app_of(name) and event["kind"] == "failed":
            trying.failed(name, event["message"], event["message"])
    return str(page["cursor"])


def _instance(api: ApiClient, app: str, slot: int) -> dict[str, Any] | None:
    """What is told of it, None when it should not run any more."""
    try:
        told: dict[str, Any] = api.call("GET", path_of("app", app))
    except ApiRefused as gone:
        if gone.status == HTTPStatus.NOT_FOUND:
            return None
        raise
    return next((entry for entry in told["instances"] if entry["slot"] == slot), None)
