"""The agent as a process, with an engine that is a file and an api-server on a real socket."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent_rig import NODE, TOKEN, AgentProcess, FakeApi
from tests.fake_docker import FakeEngine
from tests.unit.agent.installed import CLUSTER, PROGRAM, ROOT, Install


@pytest.fixture
def api() -> Iterator[FakeApi]:
    api = FakeApi()
    yield api
    api.stop()


@pytest.fixture
def engine(tmp_path: Path) -> FakeEngine:
    (tmp_path / "engine").mkdir()
    return FakeEngine(tmp_path / "engine")


@pytest.fixture
def install(tmp_path: Path, engine: FakeEngine) -> Iterator[Install]:
    """Puts an agent on the machine; a second one gets a folder of its own."""
    made: list[AgentProcess] = []
    programs = tmp_path / "bin"
    programs.mkdir()
    docker = programs / "docker"
    program = shlex.join((sys.executable, "-S", str(ROOT / "tests" / "fake_docker.py")))
    docker.write_text(f'#!/bin/sh\nexec {program} "$@"\n')
    docker.chmod(0o755)
    environ = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    environ |= {"FAKE_ENGINE": str(engine.folder), "FAKE_NODE": NODE, "DUCKCONF_NODE_FILE": str(tmp_path / "node")}

    def put(url: str, **settings: object) -> AgentProcess:
        folder = tmp_path / f"agent-{len(made)}"
        folder.mkdir()
        agent = AgentProcess(folder, PROGRAM, environ, url, cluster=CLUSTER, **{"interval": 30, **settings})
        made.append(agent)
        return agent

    yield put
    for agent in made:
        agent.kill()
        assert TOKEN not in agent.log.read_text()


@pytest.fixture
def agent(install: Install, api: FakeApi) -> AgentProcess:
    agent = install(api.url)
    agent.start()
    return agent
