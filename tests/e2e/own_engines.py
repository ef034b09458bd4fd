"""A cluster whose nodes have an engine of their own each, for the tests of it: in push mode, under the loop, under agents."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from duckconf.cli.cluster import bring_up, modes
from duckconf.cli.cluster.api import api_client
from duckconf.command import Completed
from duckconf.naming import LABEL_APP, LABEL_CLUSTER, WEB_IMAGE
from duckconf.reach.api.client import ApiClient
from tests.e2e.conftest import NODES, SOON_READY, Live, brought_up, free_ports, kept_running, write_inventory
from tests.e2e.engine_api import containers
from tests.waiting import until

APPS = ("a", "b", "c")
STRANGER = "stranger"


@dataclass(frozen=True)
class Own:
    """The cluster, and past every layer of ours the engine of each node."""

    live: Live
    pids: dict[str, str] = field(default_factory=dict)

    @property
    def api(self) -> ApiClient:
        return api_client(self.live.project)

    def on(self, node: str, *argv: str) -> Completed:
        return self.live.engine.run("exec", self.live.host(node), *argv, deadline=30)

    def must(self, node: str, *argv: str) -> str:
        done = self.on(node, *argv)
        assert done.ok, done.stderr
        return done.stdout.strip()

    def containers(self, node: str) -> list[dict[str, Any]]:
        label = f"{LABEL_CLUSTER}={self.live.project.cluster}"
        try:
            return containers(self._socket(node), label)
        except (ConnectionError, FileNotFoundError):
            # It has been started anew, and its socket is not open yet or is another one.
            self.pids.pop(node, None)
            return list(json.loads(self.must(node, "podman", "ps", "-a", f"--filter=label={label}", "--format", "json") or "[]"))

    def _socket(self, node: str) -> Path:
        if node not in self.pids:
            argv = ("inspect", "--type=container", "--format={{.State.Pid}}", self.live.host(node))
            self.pids[node] = self.live.engine.must(*argv)
        return Path("/proc") / self.pids[node] / "root/run/podman/podman.sock"

    def running(self, nodes: Iterable[str] = NODES) -> Counter[tuple[str, str]]:
        """How many containers of each app run on each node."""
        with ThreadPoolExecutor(len(NODES)) as pool:
            found = dict(zip(nodes, pool.map(self.containers, nodes)))
        return Counter(
            (row["Labels"][LABEL_APP], node) for node, rows in found.items() for row in rows if row["State"] == "running"
        )

    def homes(self) -> dict[str, str]:
        return dict(self.running().elements())

    def once_each(self, names: Iterable[str]) -> bool:
        return Counter(app for app, _ in self.running().elements()) == Counter(names)

    def put(self, name: str, **fields: object) -> None:
        self.api.call("PUT", f"/app/{name}", {"image": WEB_IMAGE, **SOON_READY, **fields})

    def withdraw(self, names: Iterable[str]) -> None:
        for name in names:
            self.api.call("DELETE", f"/app/{name}")
        until("nothing is left", lambda: not any(self.containers(node) for node in NODES), 40)

    def statuses(self) -> set[str]:
        return {row["status"] for row in json.loads(self.live.inv("nodes", "--json").stdout)}

    def full(self) -> list[str]:
        return [row["name"] for row in json.loads(self.live.inv("nodes", "--json").stdout) if row["full"]]

    def pending_note(self, app: str) -> str:
        (row,) = (row for row in json.loads(self.live.inv("ps", "--json").stdout) if row["app"] == app)
        return str(row["note"]) if row["state"] == "pending" else ""

    def notes(self, *kinds: str) -> list[str]:
        page = self.api.call("GET", "/events?limit=100")
        return [event["message"] for event in page["events"] if event["kind"] in kinds]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    cluster = f"o{os.getpid()}"
    *ports, control, api_port = free_ports(5)
    inventory = write_inventory(tmp_path_factory.mktemp("inventory"), cluster, ports, "duckconf_acme=internal", control)
    inventory.write_text(f"{inventory.read_text()}[edge]\nnode-1\n")
    with brought_up(inventory, cluster, api_port, modes.PUSH, "own") as running:
        made = Own(running)
        for node in NODES:
            made.must(node, "podman", "run", "-d", "--name", STRANGER, "--label=node=" + node, WEB_IMAGE)
        yield made
        strangers = {node: made.must(node, "podman", "inspect", "--format={{.State.Status}}", STRANGER) for node in NODES}
        assert strangers == dict.fromkeys(NODES, "running")


@pytest.fixture(scope="module", params=[modes.RECONCILE, modes.AGENTS])
def controlled(request: pytest.FixtureRequest, own: Own) -> Own:
    """The same cluster under the control loop, and then under agents."""
    bring_up.up(own.live.project, request.param)
    until("all nodes are ready", lambda: own.statuses() == {"ready"}, 60)
    return own


@pytest.fixture
def three(controlled: Own) -> Iterator[Own]:
    """Three apps that run, one on each node."""
    with kept_running(controlled, APPS):
        yield controlled
