"""Real processes that reach one API server at two addresses: the one in use freezes, then the other dies."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from duckconf.addresses import own_order
from duckconf.cli.roles.build_agent import build_agent
from duckconf.command import Secret
from duckconf.errors import DuckconfError
from duckconf.naming import WEB_IMAGE
from duckconf.reach.api.client import ApiClient
from tests.agent_rig import NODE, TOKEN, AgentProcess
from tests.e2e.conftest import free_ports
from tests.e2e.machine import Machine, machine_of
from tests.interpreters import OFTEN, interpreter
from tests.waiting import until

ROOT = Path(__file__).parents[2]
# A heartbeat each 3 s, and a node is suspect when none came for 6 s: a second and more than a change over takes.
NODE_TIMEOUT = 12.0
OPERATOR = "the operator's"
SILENCES = {"node-suspect", "node-lost", "brake"}

Run = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def machine(engine_env: dict[str, str], tmp_path: Path) -> Iterator[Machine]:
    with machine_of(engine_env, tmp_path) as machine:
        yield machine


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Starts a module of this repository as a process."""
    made: list[subprocess.Popen[bytes]] = []

    def start(module: str, *words: object) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", module, *map(str, words)]
        with (tmp_path / f"{module}.log").open("ab") as log:
            made.append(subprocess.Popen(argv, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL))
        return made[-1]

    yield start
    for process in made:
        process.kill()
        process.wait(10)


def configure(folder: Path, machine: Machine, port: int, urls: str) -> Path:
    """The configuration of the control plane."""
    tokens = {"operator": hashed(OPERATOR), "nodes": {NODE: hashed(TOKEN)}}
    (folder / "tokens.json").write_text(json.dumps(tokens))
    (folder / "operator").write_text(OPERATOR)
    config = {
        "cluster": machine.cluster,
        "nodes": [NODE],
        "tokens_file": str(folder / "tokens.json"),
        "operator_token_file": str(folder / "operator"),
        "listen": f"http://127.0.0.1:{port}",
        "api_url": urls,
        "state_dir": str(folder / "control"),
        "node_timeout": NODE_TIMEOUT,
    }
    (folder / "control.json").write_text(json.dumps(config))
    return folder / "control.json"


def hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def heartbeat(api: ApiClient) -> float:
    return max(float(node["heartbeat"] or 0) for node in api.call("GET", "/nodes", deadline=10.0)["nodes"])


def submit(api: ApiClient, name: str) -> None:
    api.call("POST", "/app/start", {"image": WEB_IMAGE, "name": name}, deadline=10.0)


def test_an_address_freezes_and_another_dies_and_nothing_notices(machine: Machine, run: Run, tmp_path: Path) -> None:
    port, one, two = free_ports(3)
    urls = [f"http://127.0.0.1:{address}" for address in (one, two)]
    # Scheduler, node-controller and we take them as they come; the agent is made to agree.
    urls = list(own_order(urls, NODE))
    relays = {url: run("tests.relay", url.rsplit(":", 1)[1], port) for url in urls}
    config = configure(tmp_path, machine, port, ",".join(urls))
    run("api.agents", "--config", config)
    api = ApiClient(",".join(urls), token=Secret(OPERATOR))
    until("the API answers", lambda: _answers(api), 30)
    for controller in ("controllers.scheduler", "controllers.node_controller"):
        run(controller, "--config", config)
    program = [interpreter(OFTEN), "-I", str(build_agent(ROOT))]
    agent = AgentProcess(tmp_path, program, machine.environ, ",".join(reversed(urls)), cluster=machine.cluster)
    agent.start()
    try:
        submit(api, "web")
        until("it runs", lambda: runs(machine, "web"), 40)
        first = machine.running()

        relays[urls[0]].send_signal(signal.SIGSTOP)
        before = heartbeat(api)
        submit(api, "while-frozen")
        until("an app is placed and runs", lambda: runs(machine, "while-frozen"), 20)
        until("a heartbeat came", lambda: heartbeat(api) > before, 10)
        first = {**machine.running(), **first}

        relays[urls[0]].send_signal(signal.SIGCONT)
        relays[urls[1]].kill()
        before = heartbeat(api)
        submit(api, "while-one-is-dead")
        until("another is placed and runs", lambda: runs(machine, "while-one-is-dead"), 20)
        until("a heartbeat came again", lambda: heartbeat(api) > before, 10)

        assert {name: found for name, found in machine.running().items() if name in first} == first
        assert {count for _, count in machine.starts().items()} == {1}
        kinds = {event["kind"] for event in api.call("GET", "/events?limit=200")["events"]}
        assert kinds & SILENCES == set()
    finally:
        agent.kill()


def runs(machine: Machine, name: str) -> bool:
    return any(row["Labels"]["duckconf.app"] == name and row["State"] == "running" for row in machine.rows())


def _answers(api: ApiClient) -> bool:
    with suppress(DuckconfError):
        return bool(api.call("GET", "/healthz", deadline=2.0))
    return False
