"""Empties a node in agents mode: cordons it, then moves its apps one at a time. Each runs on its new node before its old
container is removed."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any

from duckconf.cli.cluster.api import api_client
from duckconf.cli.fleet.drained import Drained, say_what_stays
from duckconf.cli.fleet.trying import Trying, stuck
from duckconf.cli.terminal.say import step
from duckconf.errors import DuckconfError
from duckconf.naming import instance_name
from duckconf.overview import BACKOFF
from duckconf.reach.api.client import ApiClient, ApiRefused
from duckconf.reach.inventory.project import Project

# The start on the new node may pull the image.
PATIENCE = 300.0
HELD = 2.0


def drain(project: Project, node: str) -> Drained:
    """What has data there goes on there. Raises DuckconfError naming the app that could not; the node stays cordoned."""
    api = api_client(project)
    api.call("PUT", f"/node/{node}", {"cordoned": True})
    # A job that is over has nothing to do elsewhere.
    there = [entry for entry in api.call("GET", f"/apps?nodeName={node}")["apps"] if not entry.get("ended")]
    stays = {instance_name(entry["name"], entry.get("slot", 1)): str(entry["data"]) for entry in there if entry.get("data")}
    say_what_stays(node, stays)
    entries = [entry for entry in there if not entry.get("data")]
    for number, entry in enumerate(entries, 1):
        with step(f"moving {instance_name(entry['name'], entry.get('slot', 1))} ({number} of {len(entries)})"):
            _move(api, entry["name"], entry.get("slot", 1), node)
    return Drained(len(entries), tuple(sorted(stays)))


def _move(api: ApiClient, app: str, slot: int, node: str) -> None:
    name = instance_name(app, slot)
    cursor = api.call("GET", "/events?limit=0")["cursor"]
    now = _instance(api, app, slot)
    if now is None or now["node"] != node:
        return
    api.call("PUT", "/apps", {"apps": [{"name": app, "slot": slot, "node": ""}]})
    end, trying = time.monotonic() + PATIENCE, Trying(node)
    while True:
        now = _instance(api, app, slot)
        if now is None:
            return
        if now["node"] not in ("", node) and now["status"] == "running":
            return
        if time.monotonic() > end:
            why = now.get("note") or f"{now['status']} on {now['node'] or 'no node'}"
            raise DuckconfError(
                f"{name} does not run on another node yet: {why}", f"its container on {node} stays; drain again later"
            )
        page = api.call("GET", f"/events?since={cursor}&wait={HELD:g}")
        cursor = page["cursor"]
        for event in page["events"]:
            if event.get("app") == app and event["kind"] == "pending":
                raise stuck(name, event["message"], node)
            if event.get("app") == app and event["kind"] == "failed":
                trying.failed(name, event["message"], event["message"])
        if now["status"] == BACKOFF:
            trying.failed(name, now.get("note", "it is held back"), BACKOFF)


def _instance(api: ApiClient, app: str, slot: int) -> dict[str, Any] | None:
    """What is told of it, None when it should not run any more."""
    try:
        told: dict[str, Any] = api.call("GET", f"/app/{app}")
    except ApiRefused as gone:
        if gone.status == HTTPStatus.NOT_FOUND:
            return None
        raise
    return next((entry for entry in told["instances"] if entry["slot"] == slot), None)
