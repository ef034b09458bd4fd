"""Why no node has the app or service that a person named: it is declared and not started, or it is there in another mode only."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from duckconf.cli.cluster.api import api_client
from duckconf.cli.cluster.modes import AGENTS, PUSH, RECONCILE, mode_of, require_mode
from duckconf.errors import DuckconfError, NotFound
from duckconf.naming import app_of, instance_name
from duckconf.reach.api.client import path_of
from duckconf.reach.inventory.project import Project

RUNNING = "running"


def why_absent(project: Project, app: str) -> NotFound | None:
    """Of an app, or an instance of one; None when it is not declared either, or nobody can say."""
    if mode_of(project) == PUSH:
        return None
    try:
        entry = api_client(project).call("GET", path_of("app", app_of(app)), deadline=5.0)
    except DuckconfError:
        return None
    if app != app_of(app):
        entry = next((one for one in entry["instances"] if instance_name(entry["name"], int(one["slot"])) == app), {})
    # Where the API has it running, it has only just stopped to be seen.
    return not_running(app_of(app), entry, app) if entry.get("status", RUNNING) != RUNNING else None


def is_declared(project: Project, name: str) -> bool:
    """Whether an app, an instance or a stack may come back; also where nobody can say."""
    if mode_of(project) == PUSH:
        return False
    try:
        entries = api_client(project).call("GET", "/apps", deadline=5.0)["apps"]
    except DuckconfError:
        return True
    return any(name == entry.get("stack") or app_of(name) == entry["name"] for entry in entries)


def not_running(app: str, entry: dict[str, Any], what: str = "") -> NotFound:
    """`entry` is the app, or its instance `what`, as the API shows it."""
    return NotFound(
        f"{what or app} is declared and does not run: {reason_of(entry)}", f"see `./inv ps`; to withdraw it: ./inv stop-app {app}"
    )


def reason_of(entry: dict[str, Any]) -> str:
    """The status of an app as the API shows it, with the reason."""
    return f"{entry['status']}, because: {entry['note']}" if entry.get("note") else str(entry["status"])


def require_mode_of_service(project: Project, name: str, agent: str, units: Collection[str]) -> None:
    """Raises NotFound for the service of another mode."""
    if name.startswith(agent) or (name in units and name != "api"):
        require_mode(project, AGENTS, f"the service {name}")
    if name == "reconciler":
        require_mode(project, RECONCILE, f"the service {name}")
