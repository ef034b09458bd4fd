"""One real control plane under many simulated agents: what a cluster of a thousand nodes costs, on one machine.

api-server, scheduler and node-controller are the real processes; the agents are `simulated_agents.py`, in a few.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.crowds import heartbeat_rows
from benchmarks.measure import Row
from benchmarks.ports import free_ports
from duckconf.cli.terminal.edge import ROOT
from duckconf.cli.terminal.say import say, step
from duckconf.command import Secret
from duckconf.errors import DuckconfError
from duckconf.reach.api.client import ApiClient

NODES = 1000
APPS = 10_000
KILLED = 100
# A quarter of it is the agents' interval: one heartbeat each 10 s.
NODE_TIMEOUT = 40.0
REST_SECONDS = 30.0
SETTLED_SECONDS = 3.0
# One crowded process would measure how long its own threads wait for each other.
CROWDS = 4
SUBMITTERS = 16


class Scale:
    """The processes of one run."""

    def __init__(self, folder: Path, nodes: int) -> None:
        self.names = [f"n{number}" for number in range(nodes)]
        self._folder = folder
        (port,) = free_ports("127.0.0.1", 1)
        self.url = f"http://127.0.0.1:{port}"
        self.processes: dict[str, subprocess.Popen[str]] = {}
        tokens = {name: f"token-{name}" for name in self.names}
        hashes = {"operator": _hash("operator"), "nodes": {name: _hash(token) for name, token in tokens.items()}}
        (folder / "tokens.json").write_text(json.dumps(hashes))
        for crowd in range(CROWDS):
            mine = {name: tokens[name] for name in self.names[crowd::CROWDS]}
            (folder / f"agents-{crowd}.json").write_text(json.dumps(mine))
        (folder / "operator").write_text("operator")
        config = {
            "cluster": "bench",
            "nodes": self.names,
            "tokens_file": str(folder / "tokens.json"),
            "operator_token_file": str(folder / "operator"),
            "listen": self.url,
            "api_url": self.url,
            "state_dir": str(folder / "state"),
            "node_timeout": NODE_TIMEOUT,
        }
        (folder / "config.json").write_text(json.dumps(config))

    def api(self) -> ApiClient:
        return ApiClient(self.url, token=Secret("operator"))

    def start(self) -> None:
        for module in ("api.agents", "controllers.scheduler", "controllers.node_controller"):
            self._run(module, "--config", str(self._folder / "config.json"))
            await_that("the API answers", self._answers, 30)
        for crowd in range(CROWDS):
            self._run("benchmarks.simulated_agents", self.url, str(self._folder / f"agents-{crowd}.json"), name=f"agents-{crowd}")

    def ask(self, *words: str) -> list[dict[str, Any]]:
        """One answer of each crowd."""
        answers = []
        for crowd in range(CROWDS):
            agents = self.processes[f"agents-{crowd}"]
            assert agents.stdin is not None
            assert agents.stdout is not None
            agents.stdin.write(" ".join(words) + "\n")
            agents.stdin.flush()
            answers.append(json.loads(agents.stdout.readline()))
        return answers

    def nodes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api().call("GET", "/nodes")["nodes"]
        return found

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()

    def _run(self, module: str, *words: str, name: str = "") -> None:
        with (self._folder / f"{name or module}.log").open("w") as log:
            self.processes[name or module] = subprocess.Popen(
                [sys.executable, "-m", module, *words],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def _answers(self) -> bool:
        with contextlib.suppress(DuckconfError):
            return bool(self.api().call("GET", "/healthz", deadline=2.0))
        return False


@contextmanager
def running(nodes: int) -> Iterator[Scale]:
    with tempfile.TemporaryDirectory() as folder:
        scale = Scale(Path(folder), nodes)
        try:
            scale.start()
            yield scale
        finally:
            scale.stop()


def measure(nodes: int = NODES, apps: int = APPS, killed: int = KILLED) -> list[Row]:
    with running(nodes) as scale:
        with step(f"{nodes} simulated agents report to one api-server"):
            await_that("all are ready", lambda: all(node["status"] == "ready" for node in scale.nodes()), 120)
        return [*at_rest(scale), *placing(scale, apps), *losing(scale, killed, apps)]


def at_rest(scale: Scale) -> list[Row]:
    server = psutil.Process(scale.processes["api.agents"].pid)
    _come_to_rest(scale)
    before, begun = sum(server.cpu_times()[:2]), time.monotonic()
    with step(f"at rest for {REST_SECONDS:g} s"):
        time.sleep(REST_SECONDS)
    share = (sum(server.cpu_times()[:2]) - before) / (time.monotonic() - begun) * 100
    answers = scale.ask("stats")
    took = [one for answer in answers for one in answer["took"]]
    say(f"  {len(took)} heartbeats, {sum(answer['failed'] for answer in answers)} failed, the slowest {max(took):.1f} ms")
    return [
        *heartbeat_rows(took, f"{len(scale.names)} agents and as many held watches"),
        Row("api-server at rest", [share], goal=30, unit="% core"),
        Row("api-server memory", [server.memory_info().rss / 2**20], goal=300, unit="MiB"),
    ]


def _come_to_rest(scale: Scale) -> None:
    """Return when there are no more heartbeats than one per node and interval: each node's first are answered with news."""
    due = len(scale.names) * SETTLED_SECONDS / (NODE_TIMEOUT / 4)

    def settled() -> bool:
        scale.ask("stats")
        time.sleep(SETTLED_SECONDS)
        return sum(len(answer["took"]) for answer in scale.ask("stats")) <= 1.05 * due

    with step("the fleet comes to rest"):
        await_that("no heartbeat is out of turn", settled, 60)


def placing(scale: Scale, apps: int) -> list[Row]:
    scheduler = scale.processes["controllers.scheduler"]
    scheduler.send_signal(signal.SIGSTOP)
    with step(f"submitting {apps} apps with {SUBMITTERS} clients"):
        begun = time.monotonic()
        with ThreadPoolExecutor(SUBMITTERS) as pool:
            list(
                pool.map(lambda part: submit(scale.api(), part), [range(first, apps, SUBMITTERS) for first in range(SUBMITTERS)])
            )
        submitted = time.monotonic() - begun
    begun = time.monotonic()
    scheduler.send_signal(signal.SIGCONT)
    with step("placing them"):
        await_that("all are placed", lambda: sum(node["apps"] for node in scale.nodes()) == apps, 120)
        placed = time.monotonic() - begun
        await_that("all agents run theirs", lambda: sum(answer["running"] for answer in scale.ask("stats")) == apps, 120)
        acknowledged = time.monotonic() - begun
    return [
        Row("submitted per second", [apps / submitted], unit="/s"),
        Row(f"placed per second, {apps} apps on {len(scale.names)} nodes", [apps / placed], goal=3000, unit="/s", at_least=True),
        Row("placed, told and run by the agents", [acknowledged]),
    ]


def submit(api: ApiClient, numbers: range) -> None:
    for number in numbers:
        api.call("POST", "/app/start", {"name": f"a{number}", "image": "nginx"})


def losing(scale: Scale, killed: int, apps: int) -> list[Row]:
    victims = set(scale.names[:killed])
    begun = time.monotonic()
    scale.ask("kill", *victims)

    def moved() -> bool:
        rows = scale.nodes()
        gone = sum(int(row["apps"]) for row in rows if row["name"] in victims)
        return gone == 0 and sum(int(row["apps"]) for row in rows) == apps

    with step(f"{killed} agents fall silent; node_timeout is {NODE_TIMEOUT:g} s"):
        await_that("their apps are placed elsewhere", moved, NODE_TIMEOUT + 60)
    took = time.monotonic() - begun
    return [Row(f"apps of {killed} dead agents placed elsewhere, beyond node_timeout", [took - NODE_TIMEOUT], goal=5)]


def await_that(what: str, condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise DuckconfError(f"not within {seconds:g} s: {what}")
        time.sleep(0.05)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
