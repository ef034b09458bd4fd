"""Starts an app from the image that its tag means now: its spec gets a label with the time, so that it is rolled out as any
other change is. Nobody takes that for a crash, and it is done also when its node is back only later.

It is what is declared that is tried again, also where that failed before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from duckconf.cli.cluster.api import api_client
from duckconf.cli.cluster.modes import AGENTS, PUSH, mode_of
from duckconf.cli.look.absent import not_running
from duckconf.counts import counted
from duckconf.errors import NotFound
from duckconf.patterns import some_of
from duckconf.pins import REDEPLOYED
from duckconf.reach.api.client import path_of
from duckconf.reach.inventory.project import Project

LOOP = "the loop"


def redeploy(project: Project, name: str) -> None:
    """Raises NotFound in push mode, where nothing would start it again, and for an app that waits for a node."""
    mode = mode_of(project)
    if mode == PUSH:
        raise NotFound("push mode starts no app again", f"./inv stop-app {name}, then ./inv start-app with its image")
    api = api_client(project)
    entry = api.call("GET", path_of("app", name))
    if not any(one["node"] for one in entry["instances"]):
        raise not_running(name, entry)
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    api.call("PUT", path_of("app", name), {"labels": {**entry.get("labels", {}), REDEPLOYED: now}})
    print(said(entry, "the agents" if mode == AGENTS else LOOP))


def said(entry: Mapping[str, Any], actor: str) -> str:
    """What follows, for an app as the API showed it before."""
    nodes = Counter(one["node"] for one in entry["instances"] if one["node"])
    places = some_of([node if count == 1 else f"{node} ({count})" for node, count in sorted(nodes.items())])
    what = "its container" if nodes.total() == 1 else f"its {counted(nodes.total(), 'container')}, step by step"
    starts = "starts" if actor == LOOP else "start"
    return f"{entry['name']}: {actor} {starts} it from the image that is there now, in place of {what}: {places}"
