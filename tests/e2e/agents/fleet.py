"""What the tests of the cluster in agents mode look at, and how they break it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from duckconf.errors import DuckconfError
from duckconf.reach.api.client import ApiClient
from tests.e2e.conftest import Live

APPS = ("a", "b", "c")
UNITS = ("duckconf-api", "duckconf-scheduler", "duckconf-node-controller")


def nodes(api: ApiClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.call("GET", "/nodes")["nodes"]
    return found


def apps(api: ApiClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.call("GET", "/apps")["apps"]
    return found


def lives(cluster: Live) -> dict[str, tuple[str, int]]:
    """Container and start of each app: what a needless restart would change."""
    return {row["Labels"]["duckconf.app"]: (row["Id"], row["StartedAt"]) for row in cluster.apps()}


def systemctl(cluster: Live, host: str, *words: str) -> None:
    cluster.engine.must("exec", cluster.host(host), "systemctl", *words)


def events(api: ApiClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.call("GET", "/events?limit=200")["events"]
    return found


def answers(api: ApiClient) -> bool:
    try:
        return bool(api.call("GET", "/healthz", deadline=2.0))
    except DuckconfError:
        return False


def killed(cluster: Live, host: str, unit: str) -> Callable[[], bool]:
    """Kill a unit the hard way; the answer tells whether systemd has it running again."""
    old = cluster.engine.must("exec", cluster.host(host), "systemctl", "show", "--value", "-p", "MainPID", unit)
    cluster.engine.must("exec", cluster.host(host), "kill", "-9", old)

    def again() -> bool:
        now = cluster.engine.must("exec", cluster.host(host), "systemctl", "show", "--value", "-p", "MainPID", unit)
        return now not in ("0", old)

    return again


def journal(cluster: Live, host: str, unit: str) -> str:
    return cluster.engine.must("exec", cluster.host(host), "journalctl", "-u", unit, "--no-pager", "-o", "cat")
