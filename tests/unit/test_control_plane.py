"""How many hosts the control plane has, where its state is kept, and where this machine finds each of its servers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from duckconf.cli.demo.control_planes import choose_control_planes, forget_control_planes
from duckconf.control_plane import ETCD, FILES, addresses_of, read_store
from duckconf.errors import BadInput, Fault, SetupError
from duckconf.reach.inventory.project import Project
from duckconf.settings import Settings

INVENTORY = """[control_plane]
control-1 ansible_port=2200
[nodes]
node-1 ansible_port=2201
[all:vars]
ansible_host=127.0.0.1
"""
DEMO = "duckconf_provider=container\n"


def store(*hosts: Mapping[str, Any]) -> tuple[str, list[str]]:
    faults: list[Fault] = []
    return read_store(hosts, faults), [str(fault) for fault in faults]


class TestStore:
    @pytest.mark.parametrize(
        ("hosts", "wanted"),
        [
            ([], FILES),
            ([{}], FILES),
            ([{"duckconf_store": "etcd"}], ETCD),
            ([{}, {}], ETCD),
            ([{"duckconf_store": "etcd"}, {}, {}], ETCD),
        ],
    )
    def test_several_hosts_share_etcd(self, hosts: list[dict[str, Any]], wanted: str) -> None:
        assert store(*hosts) == (wanted, [])

    @pytest.mark.parametrize(
        ("hosts", "fault"),
        [
            ([{"duckconf_store": "sqlite"}], "should be files or etcd for all of the group control_plane, got sqlite"),
            ([{"duckconf_store": "files"}, {}], "for all of the group control_plane, got etcd, files"),
            ([{"duckconf_store": "files"}] * 2, "files is for one host, as several cannot share them"),
            ([{"duckconf_etcd": True}], "is called duckconf_store now: etcd instead of true"),
        ],
    )
    def test_what_does_not_fit_is_told(self, hosts: list[dict[str, Any]], fault: str) -> None:
        (told,) = store(*hosts)[1]
        assert fault in told


@pytest.mark.parametrize(
    ("given", "hosts", "wanted"),
    [
        (("http://127.0.0.1:8080",), 1, ("http://127.0.0.1:8080",)),
        (
            ("http://127.0.0.1:8080",),
            3,
            ("http://127.0.0.1:8080", "http://127.0.0.1:8180", "http://127.0.0.1:8280"),
        ),
        (("http://[::1]:8080", "http://[::1]:9"), 3, ("http://[::1]:8080", "http://[::1]:9", "http://[::1]:8280")),
        (("https://a", "https://b"), 1, ("https://a",)),
    ],
)
def test_addresses_that_are_not_given_follow_the_first(given: tuple[str, ...], hosts: int, wanted: tuple[str, ...]) -> None:
    assert addresses_of(given, hosts) == wanted


class TestMoreDemoHosts:
    def project(self, root: Path, more: str = DEMO) -> Project:
        (root / "hosts.ini").write_text(INVENTORY + more)
        return Project(root, Settings(inventory="hosts.ini"), "demo")

    def test_they_are_there_until_down(self, tmp_path: Path) -> None:
        project = self.project(tmp_path)
        assert (project.inventory().control_plane, project.inventory().store) == (("control-1",), FILES)
        choose_control_planes(project, 3)
        found = project.inventory()
        assert (found.control_plane, found.store) == (("control-1", "control-2", "control-3"), ETCD)
        ports = [host.port for host in found.demo_hosts()]
        assert len(ports) == len(set(ports)) == 4
        assert project.api_urls() == ("http://127.0.0.1:8080", "http://127.0.0.1:8180", "http://127.0.0.1:8280")
        choose_control_planes(project, 5)
        assert project.inventory().control_plane[1:3] == ("control-2", "control-3")
        assert [host.port for host in project.inventory().demo_hosts()][:1] == ports[:1]
        assert len(project.inventory().control_plane) == 5
        forget_control_planes(project)
        assert project.inventory().control_plane == ("control-1",)
        assert project.api_urls() == ("http://127.0.0.1:8080",)

    def test_those_that_are_there_keep_their_ports(self, tmp_path: Path) -> None:
        project = self.project(tmp_path)
        choose_control_planes(project, 3)
        (path,) = project.more_inventory
        before = json.loads(path.read_text())["control_plane"]["hosts"]
        choose_control_planes(project, 5)
        after = json.loads(path.read_text())["control_plane"]["hosts"]
        assert {name: after[name] for name in before} == before

    @pytest.mark.parametrize("wanted", [2, 4, -1])
    def test_a_number_without_a_majority_is_refused(self, tmp_path: Path, wanted: int) -> None:
        with pytest.raises(BadInput, match=f"should be an odd number.*got {wanted}"):
            choose_control_planes(self.project(tmp_path), wanted)

    def test_fewer_than_there_are_is_refused(self, tmp_path: Path) -> None:
        project = self.project(tmp_path)
        choose_control_planes(project, 3)
        with pytest.raises(SetupError, match="there are 3 hosts in the group control_plane already"):
            choose_control_planes(project, 1)

    def test_real_machines_are_named_in_the_inventory(self, tmp_path: Path) -> None:
        with pytest.raises(SetupError, match="is for demo hosts"):
            choose_control_planes(self.project(tmp_path, ""), 3)
