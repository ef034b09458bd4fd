"""Two nodes and a control plane that the roles set up, for the tests of the roles: what they changed, and what they started."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from duckconf.cli.demo.demo_hosts import DemoHosts
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.cli.roles.playbook import Outcome
from duckconf.cli.roles.provision import provision
from duckconf.command import Secret
from duckconf.naming import host_container
from duckconf.reach.api.client import ApiClient
from duckconf.reach.inventory.project import Project, load_project
from tests.e2e import warm
from tests.e2e.conftest import ROOT, free_ports
from tests.e2e.watched import command_lines
from tests.waiting import until

NODES = ("node-1", "node-2")
HOSTS = ("control-1", *NODES)
SERVICES = ("duckconf-api", "duckconf-scheduler", "duckconf-node-controller")
INVENTORY = """[control_plane]
control-1 ansible_port={}
[nodes]
node-1 ansible_port={}
node-2 ansible_port={}
[all:vars]
duckconf_cluster={}
duckconf_provider=container
ansible_host=127.0.0.1
"""


@dataclass(frozen=True)
class Rig:
    project: Project
    engine: LocalEngine
    environ: dict[str, str]

    def host(self, name: str) -> str:
        return host_container(self.project.cluster, name)

    def on(self, host: str, *argv: str) -> str:
        """What a command on the host prints, past every layer of ours."""
        return self.engine.must("exec", self.host(host), *argv)

    def api(self, token: str = "") -> ApiClient:
        token = token or (self.project.state / "operator.token").read_text().strip()
        return ApiClient(self.project.settings.api_url, token=Secret(token))

    def tokens(self) -> list[str]:
        files = [self.project.state / "operator.token", *(self.project.state / "tokens").iterdir()]
        return [path.read_text().strip() for path in files]

    def inv(self, *words: str) -> subprocess.CompletedProcess[str]:
        return warm.inv(words, self.environ, timeout=120)

    def up(self) -> None:
        inventory = self.project.inventory(secrets=True)
        DemoHosts(self.project).up(inventory.node_hosts(), inventory.control_hosts())

    def started(self, host: str, *units: str) -> str:
        """Changes when one of the units is started again."""
        return self.on(host, "systemctl", "show", "--property=InvocationID", "--value", *units)

    def ready(self) -> bool:
        return [node["status"] for node in self.api().call("GET", "/nodes")["nodes"]] == ["ready"] * len(NODES)


def changes(outcomes: dict[str, Outcome]) -> dict[str, int]:
    return {name: outcome.changed for name, outcome in outcomes.items()}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    cluster = f"p{os.getpid()}"
    *ports, api_port = free_ports(4)
    inventory = tmp_path_factory.mktemp("inventory") / "hosts.ini"
    inventory.write_text(INVENTORY.format(*ports, cluster))
    ours = {
        "DUCKCONF_INVENTORY": str(inventory),
        "DUCKCONF_CLUSTER": cluster,
        "DUCKCONF_API": f"http://127.0.0.1:{api_port}",
    }
    project = load_project(ROOT, {**os.environ, **ours})
    made = Rig(project, LocalEngine(ROOT), {**os.environ, **ours})
    try:
        made.up()
        yield made
    finally:
        DemoHosts(project).down()
        shutil.rmtree(project.state)


@dataclass(frozen=True)
class FirstRun:
    outcomes: dict[str, Outcome]
    lines: set[str]


@pytest.fixture(scope="module")
def first(rig: Rig) -> FirstRun:
    with command_lines() as lines:
        return FirstRun(provision(rig.project), lines)


@pytest.fixture
def done(rig: Rig, first: FirstRun) -> Rig:
    """Everything is provisioned and every node is heard."""
    assert set(first.outcomes) == set(HOSTS)
    provision(rig.project)
    until("all nodes are ready", rig.ready, 60)
    return rig
