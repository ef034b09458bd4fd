"""Requests through a front while what is behind it changes: `python -m benchmarks.front`, or `./inv bench front`.

`--only update,rollback,drain,rebalance,killed,frozen` runs parts of it in reconcile mode, `--only agents-update` and so on in
agents mode, each for as many seconds as there are rounds (60 are a minute), at 500 requests a second, every fourth on a fresh
connection. Prints a table and writes `.duckconf/bench/front.json`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial

from benchmarks.measure import FOLDER, Row
from benchmarks.nodes import own_cluster, until
from benchmarks.run import main
from duckconf.cli.cluster import modes
from duckconf.cli.cluster.api import api_client
from duckconf.cli.demo.demo_front import front_of
from duckconf.cli.demo.demo_hosts import DemoHosts
from duckconf.cli.demo.load import Count, load
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.cli.terminal.edge import ROOT
from duckconf.cli.terminal.say import say
from duckconf.errors import SetupError
from duckconf.naming import LABEL_APP, LABEL_CLUSTER, NGINX_IMAGE
from duckconf.reach.inventory.project import Project

APP = "fronted"
HOST = "bench.example.org"
RATE = 500.0
REPLICAS = 3
# Seconds that no answer takes from an instance that lives, and every one that waits for the frozen one does.
FROZE = 3.0
EDGE = "\n[edge]\nnode-1\n[edge:vars]\nduckconf_acme=internal\n"


class Bench:
    """The cluster with an app behind its front."""

    def __init__(self, project: Project, engine: LocalEngine) -> None:
        self._project = project
        self._engine = engine
        self._round = 0
        fields = {"image": NGINX_IMAGE, "replicas": REPLICAS, "ports": ["80"], "routes": [HOST]}
        quick = {"healthcheck": {"http": "/:80"}, "update_config": {"monitor": "1s"}}
        api_client(project).call("PUT", f"/app/{APP}", {**fields, **quick})
        until(lambda: len(self._containers()) == REPLICAS, 60)
        self._target = front_of(project, engine, "node-1", HOST, FOLDER)
        until(self._serves, 60)

    def _serves(self) -> bool:
        with load(self._target, REPLICAS) as count:
            time.sleep(2)
        return bool(count.requests) and not count.failed

    def measure(self, part: str, seconds: float) -> list[Row]:
        act = self._acts()[part.removeprefix(AGENTS)]
        self._frozen: list[float] = []
        say(f"  {part} for {seconds:g} s at {RATE:g} requests/s")
        with load(self._target, RATE) as count:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                act()
        say(f"  {part}: {dict(count.ended)}, {count.renewed} on a new connection; {'; '.join(count.failures[:3])}")
        return self._rows(part, count)

    def _rows(self, part: str, count: Count) -> list[Row]:
        planned = not part.endswith(("killed", "frozen"))
        frozen = [count.last_slow(when, FROZE) for when in self._frozen]
        return [
            *([Row(f"{part}: requests still sent there after", frozen, goal=1.0)] if frozen else []),
            Row(f"{part}: failed of {count.requests} requests", [count.failed], goal=0 if planned else None, unit="requests"),
            Row(f"{part}: rate", [count.rate], unit="requests/s"),
            Row(f"{part}: 99 of 100 within", [count.quantile(0.99)]),
        ]

    def _acts(self) -> Mapping[str, Callable[[], object]]:
        return {
            "update": self._update,
            "rollback": partial(self._inv, "rollback", APP, "--wait"),
            "drain": self._drain,
            "rebalance": self._rebalance,
            "killed": self._kill,
            "frozen": self._freeze,
        }

    def _update(self) -> None:
        self._round += 1
        self._inv("update", APP, "--env", f"ROUND={self._round}", "--wait")

    def _drain(self) -> None:
        self._inv("drain", "node-3")
        self._inv("uncordon", "node-3")

    def _rebalance(self) -> None:
        self._drain()
        self._inv("rebalance", "--wait")

    def _kill(self) -> None:
        """In turn: one that is killed again and again is held back."""
        self._round += 1
        self._engine.must("kill", sorted(self._containers())[self._round % REPLICAS])
        until(lambda: len(self._containers()) == REPLICAS, 60)
        time.sleep(3)

    def _freeze(self) -> None:
        """For a shorter time than node_timeout."""
        hosts = DemoHosts(self._project)
        hosts.freeze("node-3")
        self._frozen.append(time.monotonic())
        time.sleep(10)
        hosts.thaw("node-3")
        time.sleep(5)

    def _inv(self, *words: str) -> None:
        done = subprocess.run([ROOT / "inv", *words], capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0:
            raise SetupError(f"./inv {' '.join(words)}: {done.stderr[-300:]}")

    def _containers(self) -> list[str]:
        labels = (f"--filter=label={LABEL_CLUSTER}={self._project.cluster}", f"--filter=label={LABEL_APP}={APP}")
        return self._engine.must("ps", "-q", *labels).split()


def measured(mode: str, engine: LocalEngine, parts: Collection[str], seconds: int) -> list[Row]:
    with own_cluster(ROOT, mode, EDGE) as project:
        bench = Bench(project, engine)
        return [row for part in parts for row in bench.measure(part, seconds)]


AGENTS = "agents-"
PARTS = ("update", "rollback", "drain", "rebalance", "killed", "frozen")
BY_MODE = {PARTS: partial(measured, modes.RECONCILE), tuple(f"{AGENTS}{part}" for part in PARTS): partial(measured, modes.AGENTS)}

if __name__ == "__main__":
    sys.exit(main("front", BY_MODE, rounds=60))
