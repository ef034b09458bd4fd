"""Starts an app from the image that its tag means now: its spec gets a label with the time, so that it is rolled out as any
other change is. Nobody takes that for a crash, and it is done also when its node is back only later."""

from __future__ import annotations

from datetime import datetime, timezone

from duckconf.cli.cluster.api import api_client
from duckconf.cli.cluster.modes import AGENTS, PUSH, mode_of
from duckconf.cli.look.absent import not_running
from duckconf.errors import NotFound
from duckconf.pins import REDEPLOYED
from duckconf.reach.inventory.project import Project


def redeploy(project: Project, name: str) -> None:
    """Raises NotFound in push mode, where nothing would start it again, and for an app that waits for a node."""
    mode = mode_of(project)
    if mode == PUSH:
        raise NotFound("push mode starts no app again", f"./inv stop-app {name}, then ./inv start-app with its image")
    api = api_client(project)
    entry = api.call("GET", f"/app/{name}")
    if not entry["node"]:
        raise not_running(name, entry)
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    api.call("PUT", f"/app/{name}", {"labels": {**entry.get("labels", {}), REDEPLOYED: now}})
    actor = f"the agent of {entry['node']}" if mode == AGENTS else "the loop"
    print(f"{name}: {actor} starts it from the image that is there now, in place of its container on {entry['node']}")
