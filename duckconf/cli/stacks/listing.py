"""`./inv stacks` and `./inv stop-stack`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from duckconf.cli.apps.awaiting import ready
from duckconf.cli.cluster.api import api_client
from duckconf.cli.stacks.apply import forget_unused, require_state
from duckconf.cli.terminal.tables import print_json, print_table
from duckconf.counts import counted
from duckconf.errors import NotFound
from duckconf.field_kinds import NAME
from duckconf.healthcheck import STARTING, UNHEALTHY
from duckconf.reach.api.client import path_of
from duckconf.reach.inventory.project import Project

COLUMNS = ("stack", "apps", "ready", "status")


def stacks(project: Project, *, as_json: bool) -> None:
    require_state(project)
    entries = api_client(project).call("GET", "/apps")["apps"]
    rows = [_row(name, [entry for entry in entries if entry.get("stack") == name]) for name in _names(entries)]
    if as_json:
        print_json(rows)
        return
    shown = [{**row, "apps": ", ".join(app["name"] for app in row["apps"])} for row in rows]
    print_table(shown, COLUMNS, "there are no stacks; declare one: ./inv apply compose.yaml")


def stop_stack(project: Project, name: str) -> None:
    """Withdraw all apps of a stack in one request."""
    require_state(project)
    if not NAME.fullmatch(name):
        raise NotFound(f"there is no stack {name!r}", "see `./inv stacks`")
    api = api_client(project)
    gone = api.call("DELETE", path_of("stacks", name))["withdrawn"]
    forget_unused(project, api, name, {})
    print(f"the stack {name} is withdrawn ({counted(len(gone), 'app')}); its volumes stay on their nodes")


def _names(entries: list[dict[str, Any]]) -> list[str]:
    return sorted({entry["stack"] for entry in entries if entry.get("stack")})


def _row(name: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    count = [ready(entry).split("/") for entry in entries]
    there, wanted = (sum(int(one[place]) for one in count) for place in (0, 1))
    apps = [{"name": entry["name"], "image": entry["image"], "ready": ready(entry)} for entry in entries]
    return {"stack": name, "apps": apps, "ready": f"{there}/{wanted}", "status": _status(entries)}


def _status(entries: list[dict[str, Any]]) -> str:
    """What keeps the others waiting comes first: a service whose check fails."""
    words = [entry["health"] if _is_judged(entry) else entry["status"] for entry in entries]
    trouble = sorted((word for word in words if word not in ("running", "done")), key=lambda word: word != UNHEALTHY)
    return trouble[0] if trouble else "running"


def _is_judged(entry: Mapping[str, Any]) -> bool:
    return entry["status"] == "running" and entry.get("health") in (UNHEALTHY, STARTING)
