"""A node of a cluster, with podman or with docker, for the tests of what its engine does: over the line to the engine, or by
commands."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from duckconf import engine
from duckconf.cli.cluster.nodes import open_cluster
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.command import Command, Completed, Runner
from duckconf.engine import DOCKER, PODMAN
from duckconf.engine_output import Container, read_containers, run_failure
from duckconf.errors import DuckconfError, EngineRefused, NodeRefused
from duckconf.inventory import Host
from duckconf.model import App
from duckconf.naming import WEB_IMAGE, app_labels
from duckconf.ports import parse_port
from duckconf.reach.ssh.runner import SshRunner
from tests.e2e.conftest import ROOT, Live
from tests.fakes import FakeNode

NODE = "node-1"
WEB = App(WEB_IMAGE)


class ByCommand:
    """A node without a line to its engine: each command starts a program there."""

    def __init__(self, runner: SshRunner) -> None:
        self._runner = runner

    def run(self, command: Command) -> Completed:
        return self._runner.run(replace(command, request=None))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)


@dataclass(frozen=True)
class Real:
    """A node of a cluster, whose containers go again."""

    cluster: str
    host: Host
    runner: SshRunner

    @property
    def name(self) -> str:
        return f"{self.cluster}-contract"

    def start(self, app: App = WEB, name: str = "") -> str:
        """Returns the id."""
        name = name or self.name
        done = self.runner.run(engine.run(name, app, app_labels(self.cluster, name, "spec"), {}))
        assert done.ok, done.stderr
        return done.stdout.strip()

    def said(self, *words: str) -> str:
        """What docker says to these words."""
        done = self.runner.run(Command(("docker", *words)))
        return done.stdout.strip() or done.stderr

    def must(self, *words: str) -> None:
        done = self.runner.run(Command(("docker", *words)))
        assert done.ok, done.stderr

    def refusal(self, app: App, name: str = "") -> EngineRefused:
        failure = self._failure(app, name)
        assert isinstance(failure, EngineRefused)
        return failure

    def nodes_own(self, app: App, name: str) -> NodeRefused:
        failure = self._failure(app, name)
        assert isinstance(failure, NodeRefused), failure
        return failure

    def _failure(self, app: App, name: str = "") -> DuckconfError:
        name = name or self.name
        done = self.runner.run(engine.run(name, app, app_labels(self.cluster, name, "spec"), {}))
        assert not done.ok
        return run_failure(NODE, done, app.image)

    def listed(self) -> dict[str, Container]:
        found = read_containers(NODE, self.runner.run(engine.list_ours(self.cluster, self.host.engine)))
        return {container.name: container for container in found}


@contextmanager
def opened(live: Live) -> Iterator[Real]:
    with open_cluster(live.project) as cluster:
        runner = cluster.fleet.runner(NODE)
        assert isinstance(runner, SshRunner)
        real = Real(live.project.cluster, cluster.inventory.hosts[NODE], runner)
        try:
            yield real
        finally:
            for name in real.listed():
                runner.run(engine.remove(name))


@pytest.fixture(params=[PODMAN, DOCKER])
def real(request: pytest.FixtureRequest) -> Iterator[Real]:
    """Over the line that is open to its engine, as it is in use."""
    with opened(request.getfixturevalue("docker_live" if request.param == DOCKER else "pushing")) as found:
        assert found.host.engine == request.param
        for _ in range(2):
            found.runner.engine_line.ask("/_ping", bytes)
        yield found


@pytest.fixture
def both_ways(real: Real, way: str) -> Real:
    return real if way == "line" else replace(real, runner=cast(SshRunner, ByCommand(real.runner)))


@pytest.fixture(params=[PODMAN, DOCKER, "fake"])
def node(request: pytest.FixtureRequest) -> Iterator[Runner]:
    if request.param == "fake":
        yield FakeNode(NODE)
        return
    with opened(request.getfixturevalue("docker_live" if request.param == DOCKER else "pushing")) as found:
        yield found.runner


def unique_name() -> str:
    return f"contract-{os.getpid()}"


# Of each container its own, or of the client that asked for it.
OWN = re.compile(
    r"Created$|StartedAt|Pid|Path$|Dir$|Sandbox|IPAddress|MacAddress|GlobalIPv6|EndpointID|CreateCommand|cri-o\.TTY|HostPort|Ports"
)


def inspected(real: Real) -> dict[str, Any]:
    """All that the engine says of it, without what no two containers share."""
    told = json.loads(real.runner.run(Command(("docker", "inspect", "--type=container", real.name))).stdout)[0]
    return {
        "Id": told["Id"],
        **dict(_flat(json.loads(json.dumps(told).replace(told["Id"], "ID").replace(told["Id"][:12], "ID")))),
    }


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}")
    elif not OWN.search(name) and value not in (None, "", [], 0, False):
        yield name, sorted(map(json.dumps, value)) if isinstance(value, list) else value


def held(text: str) -> set[str]:
    """The ports of the node: podman tells a range as one, docker's API one by one."""
    port = parse_port(text)
    return {f"{(port.host or 0) + number}/{port.protocol}" for number in range(port.count)}


@contextmanager
def image_for_another_processor(engine_name: str, context: Path) -> Iterator[str]:
    local, image = LocalEngine(ROOT, engine_name), "localhost/other-processor"
    # An ELF header for a processor that this machine is not.
    machine = b"\x3e" if os.uname().machine != "x86_64" else b"\xb7"
    program = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\0" + machine + b"\0\x01" + bytes(4096)
    (context / "program").write_bytes(program)
    (context / "program").chmod(0o755)
    (context / "Containerfile").write_text('FROM scratch\nCOPY program /program\nCMD ["/program"]\n')
    local.must("build", "-q", "-f", f"{context}/Containerfile", "-t", image, str(context))
    try:
        yield image
    finally:
        local.run("rmi", image)
