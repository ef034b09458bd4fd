"""Empties a node in agents mode: cordons it, then moves its apps one at a time. Each runs on its new node before its old
container is removed."""

from __future__ import annotations

import time
from typing import Any

from duckconf.cli.cluster.api import api_client
from duckconf.cli.terminal.say import step
from duckconf.errors import DuckconfError
from duckconf.reach.api.client import ApiClient, ApiRefused
from duckconf.reach.inventory.project import Project

# The start on the new node may pull the image.
PATIENCE = 300.0
HELD = 2.0


def drain(project: Project, node: str) -> int:
    """How many apps have moved. Raises DuckconfError naming the app that could not; the node stays cordoned."""
    api = api_client(project)
    api.call("PUT", f"/node/{node}", {"cordoned": True})
    apps = api.call("GET", f"/apps?nodeName={node}")["apps"]
    for number, app in enumerate(apps, 1):
        with step(f"moving {app['name']} ({number} of {len(apps)})"):
            _move(api, app, node)
    return len(apps)


def _move(api: ApiClient, app: dict[str, Any], node: str) -> None:
    name = app["name"]
    cursor = api.call("GET", "/events?limit=0")["cursor"]
    answer = api.call("PUT", "/apps", {"apps": [{"name": name, "node": "", "revision": app["revision"]}]})
    if answer["refused"]:
        return
    end = time.monotonic() + PATIENCE
    while True:
        try:
            now = api.call("GET", f"/app/{name}")
        except ApiRefused as gone:
            if gone.status == 404:
                return
            raise
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
            if event.get("app") == name and event["kind"] in ("failed", "pending"):
                remedy = f"its container on {node} stays until then; to cancel the drain: ./inv uncordon {node}"
                raise DuckconfError(f"{name} cannot move: {event['message']}", remedy)
