"""Edits of YAML inventories: what is asked for changes, and every other byte stays."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import yaml

from duckconf.cli.fleet.inventory_edit import adding, removing
from duckconf.errors import SetupError
from duckconf.reach.inventory.hosts import load_inventory

INVENTORY = """# Our hosts.
all:
  vars: {ansible_user: root}   # everywhere
  children:
    control_plane:
      hosts:
        control-1: {ansible_host: 192.0.2.100}
    nodes:
      vars: &shared
        duckconf_engine:   'podman'
      hosts:
        web-1:
            ansible_host: "192.0.2.1"  # rack a
            ansible_port: 2222
        # the second
        web-2:
            <<: *shared
            ansible_host: 192.0.2.2

        node-[1:3].example:

    # the end of the nodes
    others:
        hosts: {x1: , x2: }
"""
WEB_4 = {"ansible_host": "192.0.2.7", "ansible_user": "admin", "duckconf_provider": ""}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "hosts.yml"
    path.write_text(INVENTORY)
    return path


def test_a_host_is_added_after_the_last_one_and_nothing_else_changes(file: Path) -> None:
    adding(file, "nodes", "web-4", WEB_4).write()
    added = """        web-4:
            ansible_host: 192.0.2.7
            ansible_user: admin
            duckconf_provider: ''
"""
    assert file.read_text() == INVENTORY.replace("        node-[1:3].example:\n", f"        node-[1:3].example:\n{added}")
    assert load_inventory(file, file.parent).node("web-4").address == "192.0.2.7"


@pytest.mark.parametrize("value", ["2001:20:30:1:2:3:4:5", "fd00::2", "yes", "0123", "a: b", ""])
def test_a_value_is_read_by_ansible_as_it_was_meant(file: Path, value: str) -> None:
    adding(file, "nodes", "web-4", {"ansible_host": "h", "x": value}).write()
    assert yaml.safe_load(file.read_text())["all"]["children"]["nodes"]["hosts"]["web-4"]["x"] == value


def test_what_was_added_and_removed_again_leaves_no_trace(file: Path) -> None:
    adding(file, "nodes", "web-4", WEB_4).write()
    for edit in removing(file, "web-4"):
        edit.write()
    assert file.read_text() == INVENTORY


def test_a_host_is_taken_out_and_the_comments_stay(file: Path) -> None:
    (edit,) = removing(file, "web-1")
    gone = INVENTORY[INVENTORY.index("        web-1:") : INVENTORY.index("        # the second")]
    assert edit.after == INVENTORY.replace(gone, "")


def test_it_is_taken_out_of_every_group_and_file(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("nodes:\n  hosts:\n    n1:\n    n2:\nrack:\n  hosts:\n    n1:\n      x: 1\n")
    (tmp_path / "b.yml").write_text("other:\n  hosts:\n    n1:\n")
    for edit in removing(tmp_path, "n1"):
        edit.write()
    assert (tmp_path / "a.yml").read_text() == "nodes:\n  hosts:\n    n2:\nrack:\n  hosts:\n"
    assert (tmp_path / "b.yml").read_text() == "other:\n  hosts:\n"


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("nodes:\n  hosts:\n", "nodes:\n  hosts:\n    n:\n      ansible_host: h\n"),
        ("nodes:\n  hosts:\n    a:", "nodes:\n  hosts:\n    a:\n    n:\n      ansible_host: h\n"),
        ("nodes:\n  hosts: {}\n", "nodes:\n  hosts:\n    n:\n      ansible_host: h\n"),
        ("nodes:\n  hosts: ~  # none\n", "nodes:\n  hosts:  # none\n    n:\n      ansible_host: h\n"),
        ("nodes: { }\n", "nodes:\n  hosts:\n    n:\n      ansible_host: h\n"),
        ("nodes: null\nb:\n", "nodes:\n  hosts:\n    n:\n      ansible_host: h\nb:\n"),
        ("all: {children: {}}\nnodes: {}\n", "all: {children: {}}\nnodes:\n  hosts:\n    n:\n      ansible_host: h\n"),
        ("a:\nnodes:  # to come\n", "a:\nnodes:  # to come\n  hosts:\n    n:\n      ansible_host: h\n"),
        (
            "all:\n  children:\n    nodes:\n    b:",
            "all:\n  children:\n    nodes:\n      hosts:\n        n:\n          ansible_host: h\n    b:",
        ),
        ("all:\n  children:\n    nodes:", "all:\n  children:\n    nodes:\n      hosts:\n        n:\n          ansible_host: h\n"),
        ("nodes:\n  vars:\n    x: 1\n\nb:\n", "nodes:\n  vars:\n    x: 1\n  hosts:\n    n:\n      ansible_host: h\n\nb:\n"),
        (
            "nodes:\n hosts:\n  a:\n   x: |\n     # text\n\n     y\n",
            "nodes:\n hosts:\n  a:\n   x: |\n     # text\n\n     y\n  n:\n   ansible_host: h\n",
        ),
    ],
)
def test_it_is_written_as_the_file_is_written(tmp_path: Path, text: str, after: str) -> None:
    (tmp_path / "hosts.yml").write_text(text)
    assert adding(tmp_path / "hosts.yml", "nodes", "n", {"ansible_host": "h"}).after == after


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nodes: {hosts: {a: }}\n", "cannot be edited automatically"),
        ("x: &x\n  hosts: &h\n    a:\nnodes:\n  hosts: *h\n", "cannot be edited automatically"),
        ("nodes:\n  hosts:\n    a:\n      x: |\n        y\n\n        # text\n", "cannot be edited automatically"),
        ("others:\n  hosts:\n    a:\n", "no YAML file of the inventory has a group nodes"),
    ],
)
def test_what_cannot_be_edited_is_told_with_the_lines_to_write(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "hosts.yml").write_text(text)
    with pytest.raises(SetupError, match=rf"{reason}.*n: \|   ansible_host: h"):
        adding(tmp_path / "hosts.yml", "nodes", "n", {"ansible_host": "h"})
    assert (tmp_path / "hosts.yml").read_text() == text


def test_an_inventory_that_is_no_yaml_is_left_to_the_person(tmp_path: Path) -> None:
    (tmp_path / "hosts.ini").write_text("[nodes]\na\n")
    for inventory in (tmp_path, tmp_path / "hosts.ini"):
        with pytest.raises(SetupError, match=r"is not a YAML file.*add by hand to the group nodes"):
            adding(inventory, "nodes", "n", {"ansible_host": "h"})


@pytest.mark.parametrize("name", ["node-2.example", "unknown"])
def test_a_host_of_a_range_is_left_to_the_person(file: Path, name: str) -> None:
    with pytest.raises(SetupError, match=f"a range.*remove {name} from the inventory by hand"):
        removing(file, name)


def test_one_in_flow_style_is_left_to_the_person(file: Path) -> None:
    with pytest.raises(SetupError, match="x1 cannot be removed automatically"):
        removing(file, "x1")


def test_an_anchor_that_others_need_keeps_its_host(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("nodes:\n  hosts:\n    a: &a\n      x: 1\n    b: *a\n")
    with pytest.raises(SetupError, match="a cannot be removed automatically"):
        removing(tmp_path / "hosts.yml", "a")


def test_the_file_keeps_its_mode_and_its_place_behind_a_link(tmp_path: Path, file: Path) -> None:
    file.chmod(0o640)
    link = tmp_path / "link.yml"
    link.symlink_to(file)
    adding(link, "nodes", "web-4", WEB_4).write()
    assert link.is_symlink()
    assert "web-4" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_vault_beside_it_stays_as_it_is(tmp_path: Path) -> None:
    text = "nodes:\n  hosts:\n    a:\n      ansible_password: !vault |\n        $ANSIBLE_VAULT;1.1;AES256\n        6162\n"
    (tmp_path / "hosts.yml").write_text(text)
    after = adding(tmp_path / "hosts.yml", "nodes", "n", {"ansible_host": "h"}).after
    assert after == text + "    n:\n      ansible_host: h\n"


def test_what_somebody_wrote_meanwhile_is_not_lost(file: Path) -> None:
    edit = adding(file, "nodes", "web-4", WEB_4)
    file.write_text(INVENTORY + "# more\n")
    with pytest.raises(SetupError, match="changed meanwhile"):
        edit.write()
    assert file.read_text() == INVENTORY + "# more\n"


def test_a_host_joins_its_like_and_not_a_file_that_only_names_the_group(tmp_path: Path) -> None:
    (tmp_path / "00.yml").write_text("all:\n  children:\n    nodes:\n")
    (tmp_path / "10.yml").write_text("nodes:\n  vars:\n    x: 1\n")
    assert adding(tmp_path, "nodes", "n", {"ansible_host": "h"}).path.name == "10.yml"
    (tmp_path / "20.yml").write_text("nodes:\n  hosts:\n    a:\n")
    assert adding(tmp_path, "nodes", "n", {"ansible_host": "h"}).path.name == "20.yml"
