"""A cluster that was taken down is told from one whose hosts are silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from duckconf.cli.cluster.modes import DOWN
from duckconf.cli.cluster.nodes import open_cluster
from duckconf.errors import SetupError
from duckconf.reach.inventory.project import Project
from duckconf.settings import Settings

DEMO = "[nodes]\nnode-1 ansible_host=127.0.0.1 ansible_port=2201 duckconf_provider=container\n"
REAL = "web-1 ansible_host=192.0.2.7\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path, Settings(inventory="hosts.ini"), "demo")
    made.state.mkdir(parents=True)
    made.login_key.write_text("a key\n")
    (made.state / DOWN).touch()
    return made


def test_a_cluster_of_demo_hosts_that_was_taken_down_is_not_up(project: Project) -> None:
    (project.root / "hosts.ini").write_text(DEMO)
    with pytest.raises(SetupError, match="cluster demo is not up"), open_cluster(project):
        pytest.fail("it is open")


def test_real_machines_can_be_looked_at_while_the_services_are_down(project: Project) -> None:
    (project.root / "hosts.ini").write_text(DEMO + REAL)
    with open_cluster(project) as cluster:
        assert set(cluster.names()) == {"node-1", "web-1"}
