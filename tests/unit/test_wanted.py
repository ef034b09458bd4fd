"""What makes a host due to be provisioned again, and what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from duckconf.cli.roles.wanted import wanted
from duckconf.reach.inventory.project import Project, load_project

SPEC = "argument_specs:\n  main:\n    options:\n      {}: {{type: str}}\n      duckconf_port: {{type: int}}\n"
ROLES = {"c1": ("control_plane",), "n1": ("node",), "n2": ("node",)}


class Place:
    """A project with two roles, an inventory, and a file that goes to every node."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for role, source in (("control_plane", "duckconf_hashes_source"), ("node", "duckconf_token_source")):
            (folder / "roles" / role / "meta").mkdir(parents=True)
            (folder / "roles" / role / "tasks").mkdir()
            (folder / "roles" / role / "meta" / "argument_specs.yml").write_text(SPEC.format(source))
            (folder / "roles" / role / "tasks" / "main.yml").write_text("[]\n")
        (folder / "roles" / "provision.yml").write_text("[]\n")
        for name in ("hashes", "n1", "n2"):
            (folder / name).write_text("secret\n")
        self.inventory("n1\nn2\n")

    def inventory(self, nodes: str, more: str = "") -> None:
        (self.folder / "hosts.ini").write_text(f"[control_plane]\nc1\n[nodes]\n{nodes}{more}")

    def digests(self, **variables: Any) -> dict[str, str]:
        project: Project = load_project(self.folder, {"DUCKCONF_INVENTORY": str(self.folder / "hosts.ini")})
        project.inventory()
        given = {
            "duckconf_hashes_source": str(self.folder / "hashes"),
            "duckconf_token_source": f"{self.folder}/{{{{ inventory_hostname }}}}",
            "duckconf_other": 1,
            **variables,
        }
        return {host: "".join(found.values()) for host, found in wanted(project, ROLES, given).items()}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def differ(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return [host for host in before if after[host] != before[host]]


def test_nothing_changes_when_nothing_was_changed_and_with_what_concerns_others(place: Place) -> None:
    before = place.digests()
    assert differ(before, place.digests()) == []
    place.inventory("n1\nn2\nn3 ansible_host=192.0.2.3\n")
    assert differ(before, place.digests(duckconf_other=2)) == []


@pytest.mark.parametrize(
    ("nodes", "more", "due"),
    [
        ("n1 ansible_port=2222\nn2\n", "", ["n1"]),
        ("n1\nn2\n", "[nodes:vars]\nanything=1\n", ["n1", "n2"]),
        ("n1\nn2\n", "[all:vars]\nanything=1\n", ["c1", "n1", "n2"]),
        ("n1 ansible_password=new\nn2\n", "", []),
    ],
)
def test_what_the_inventory_says_of_a_host_makes_this_one_due(place: Place, nodes: str, more: str, due: list[str]) -> None:
    before = place.digests()
    place.inventory(nodes, more)
    assert differ(before, place.digests()) == due


def test_a_file_makes_those_due_to_whom_it_goes(place: Place) -> None:
    before = place.digests()
    (place.folder / "n2").write_text("new\n")
    assert differ(before, place.digests()) == ["n2"]
    (place.folder / "hashes").write_text("new\n")
    assert differ(before, place.digests()) == ["c1", "n2"]


def test_a_role_makes_its_hosts_due_and_its_tests_nobody(place: Place) -> None:
    before = place.digests()
    (place.folder / "roles" / "node" / "molecule").mkdir()
    (place.folder / "roles" / "node" / "molecule" / "verify.yml").write_text("[]\n")
    assert differ(before, place.digests()) == []
    (place.folder / "roles" / "node" / "tasks" / "more.yml").write_text("[]\n")
    assert differ(before, place.digests()) == ["n1", "n2"]
    assert differ(before, place.digests(duckconf_port=1)) == ["c1", "n1", "n2"]


OTHERS_WORDS = ["{{ groups['nodes'] }}", "{{ hostvars['n2']['x'] }}", "{% if groups['nodes'] %}x{% endif %}"]


@pytest.mark.parametrize("value", OTHERS_WORDS)
def test_a_host_of_which_the_inventory_speaks_in_others_words_is_always_due(place: Place, value: str) -> None:
    place.inventory("n1\nn2\n", f'[control_plane:vars]\nanything="{value}"\n')
    assert differ(place.digests(), place.digests()) == ["c1"]


def test_all_hosts_are_always_due_where_the_inventory_looks_something_up(place: Place) -> None:
    place.inventory("n1\nn2\n", "[control_plane:vars]\nanything=\"{{ lookup('env', 'HOME') }}\"\n")
    assert differ(place.digests(), place.digests()) == ["c1", "n1", "n2"]


def test_a_group_that_a_host_joins_and_words_without_templates(place: Place) -> None:
    place.inventory("n1\nn2\n", "[all:vars]\nusers_groups=groups\nurl={{ inventory_hostname }}\n")
    before = place.digests()
    assert differ(before, place.digests()) == []
    place.inventory("n1\nn2\n", "[big]\nn2\n[all:vars]\nusers_groups=groups\nurl={{ inventory_hostname }}\n")
    assert differ(before, place.digests()) == ["n2"]


def test_variables_of_any_shape_are_understood(place: Place) -> None:
    (place.folder / "group_vars").mkdir()
    (place.folder / "group_vars" / "nodes.yml").write_text("ports: {80: web, default: x}\n2026-01-01: [yes, 1.5, ~]\n")
    assert differ(place.digests(), place.digests()) == []
