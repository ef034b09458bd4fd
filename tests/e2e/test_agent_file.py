"""The agent's file as a process on this machine's own engine, through the docker-wrapper, with a small api-server."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from duckconf.cli.roles.build_agent import build_agent
from duckconf.codec import spec_hash
from duckconf.model import App, parse_app
from duckconf.naming import WEB_IMAGE
from tests.agent_rig import NODE, AgentProcess, FakeApi
from tests.e2e.machine import Machine, machine_of
from tests.interpreters import EACH_VERSION, OFTEN, interpreter
from tests.waiting import until

ROOT = Path(__file__).parents[2]
KILLS = 10


@pytest.fixture
def machine(engine_env: dict[str, str], tmp_path: Path) -> Iterator[Machine]:
    with machine_of(engine_env, tmp_path) as machine:
        yield machine


@pytest.fixture
def api() -> Iterator[FakeApi]:
    api = FakeApi()
    yield api
    api.stop()


Install = Callable[[str], AgentProcess]


@pytest.fixture
def install(machine: Machine, api: FakeApi, tmp_path: Path) -> Iterator[Install]:
    """Puts an agent that runs on this Python on the machine."""
    made: list[AgentProcess] = []

    def put(version: str) -> AgentProcess:
        program = [interpreter(version), "-I", str(build_agent(ROOT))]
        made.append(AgentProcess(tmp_path, program, machine.environ, api.url, cluster=machine.cluster, interval=5))
        return made[-1]

    yield put
    for agent in made:
        agent.kill()


def app(name: str, **more: object) -> dict[str, Any]:
    return {"name": name, "image": WEB_IMAGE, "generation": 7, **more}


@pytest.mark.parametrize("version", EACH_VERSION)
def test_an_app_runs_is_healed_and_goes(version: str, install: Install, machine: Machine, api: FakeApi) -> None:
    agent = install(version)
    agent.start()
    api.place(app("web"))
    until("it is known to run", lambda: api.reported() == {"web": "running"}, 40)
    (row,) = machine.rows()
    wanted = {"node": NODE, "duckconf.app": "web", "duckconf.generation": "7"}
    wanted |= {"duckconf.spec": spec_hash(App(WEB_IMAGE)), "duckconf.cluster": machine.cluster}
    assert row["Labels"].items() >= wanted.items()
    assert row["Names"] == [f"duckconf-{machine.cluster}-web"]
    api.stop()
    machine.engine.must("kill", row["Id"])
    until("it runs again with the server away", lambda: machine.running() == {"web": row["Id"]})
    agent.kill()
    machine.engine.must("stop", "-t", "0", row["Id"])
    agent.start()
    until("it runs again after a reboot", lambda: machine.running() == {"web": row["Id"]})
    api.place()
    api.start()
    until("it is gone", lambda: machine.rows() == [], 30)


@pytest.mark.slow
def test_an_agent_killed_again_and_again_loses_and_restarts_nothing(install: Install, machine: Machine, api: FakeApi) -> None:
    dice = random.Random(4)
    agent = install(OFTEN)
    agent.start()
    lasting = [app("s1"), app("s2", env={"A": "b"})]
    api.place(*lasting)
    until("what lasts runs", lambda: set(api.reported().values()) == {"running"} and len(api.reported()) == 2, 40)
    first = machine.running()
    wanted = lasting
    for number in range(KILLS):
        wanted = [*lasting, app("changing", env={"ROUND": f"{number}"}), *(app(f"new-{index}") for index in range(number % 4))]
        api.place(*wanted)
        threading.Event().wait(dice.uniform(0, 1.5))
        agent.kill()
        agent.start()
    names = {entry["name"] for entry in wanted}
    until("all is as it should be", lambda: machine.running().keys() == names and api.reported().keys() == names, 60)
    specs = {entry["name"]: spec_hash(parse_app(entry, placed=True)) for entry in wanted}
    until(
        "also the specs",
        lambda: {row["Labels"]["duckconf.app"]: row["Labels"]["duckconf.spec"] for row in machine.rows()} == specs,
    )
    assert machine.running().items() >= first.items()
    assert {row["State"] for row in machine.rows()} == {"running"}
    # The others come and go and come again.
    assert {what: count for what, count in machine.starts().items() if count > 1 and not what[0].startswith("new")} == {}
