"""What is seen of an update from outside: how many containers run meanwhile, what they run, and the revisions."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from duckconf.cli.cluster.api import api_client
from tests.e2e.conftest import Live

QUICK = ("--update-config", "monitor=1s")
# Between two looks, in seconds: to replace a container takes many times as long.
PAUSE = 0.1


@contextmanager
def floor(cluster: Live, app: str) -> Iterator[list[int]]:
    """The number of running containers of the app at each look, from beginning to end."""
    counts: list[int] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(PAUSE):
            counts.append(cluster.running()[app])

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield counts
    finally:
        ended.set()
        thread.join()


def history_of(cluster: Live, app: str) -> list[dict[str, Any]]:
    return list(api_client(cluster.project).call("GET", f"/app/{app}/history")["revisions"])


def revisions(cluster: Live, app: str) -> list[tuple[int, str]]:
    return [(item["number"], item["outcome"]) for item in history_of(cluster, app)]


def env_of(cluster: Live, app: str) -> list[str]:
    """The value of A in each running container of the app."""
    ids = [row["Id"] for row in cluster.apps() if row["Labels"]["duckconf.app"] == app and row["State"] == "running"]
    # One may have gone since.
    told = cluster.engine.run("inspect", "--format={{json .Config.Env}}", *ids).stdout if ids else ""
    return [value for line in told.splitlines() for value in json.loads(line) if value.startswith("A=")]
