"""Which hosts a pattern means, beside what Ansible itself makes of it."""

from __future__ import annotations

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader

from duckconf.errors import BadInput, NotFound
from duckconf.patterns import choose, some_of

NODES = ("node-1", "node-2", "node-3", "web-4")
HOSTS = ("control-1", *NODES)
GROUPS = {
    "all": HOSTS,
    "control_plane": ("control-1",),
    "nodes": NODES,
    "rack_a": ("node-1", "web-4"),
    "rack_b": ("node-2", "node-3"),
    "empty": (),
}
INVENTORY = """[control_plane]
control-1
[nodes]
node-1
node-2
node-3
web-4
[rack_a]
node-1
web-4
[rack_b]
node-2
node-3
[empty]
"""
TABLE = [
    ("node-2", ["node-2"]),
    ("node-3,node-1", ["node-1", "node-3"]),
    ("node-3:node-1", ["node-1", "node-3"]),
    ("all", [*HOSTS]),
    ("*", [*HOSTS]),
    ("nodes", [*NODES]),
    ("rack_*", [*NODES]),
    ("node-?", ["node-1", "node-2", "node-3"]),
    ("nodes:!node-3", ["node-1", "node-2", "web-4"]),
    ("nodes,!rack_b", ["node-1", "web-4"]),
    ("!rack_b", ["control-1", "node-1", "web-4"]),
    ("nodes:&rack_a", ["node-1", "web-4"]),
    ("&rack_a:nodes:!web-*", ["node-1"]),
    ("!node-1:nodes", ["node-2", "node-3", "web-4"]),
    (r"~web-\d+", ["web-4"]),
    ("~(web|node)-[14]$", ["node-1", "web-4"]),
    ("~rack_b", ["node-2", "node-3"]),
    ("nodes[0]", ["node-1"]),
    ("nodes[-1]", ["web-4"]),
    ("nodes[1:2]", ["node-2", "node-3"]),
    ("nodes[2:]", ["node-3", "web-4"]),
    ("nodes:!empty", [*NODES]),
]


@pytest.mark.parametrize(("pattern", "wanted"), TABLE)
def test_a_pattern_means_what_it_means_to_ansible(
    pattern: str, wanted: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert choose(pattern, HOSTS, GROUPS) == wanted
    file = tmp_path_factory.mktemp("inventory") / "hosts.ini"
    file.write_text(INVENTORY)
    manager = InventoryManager(loader=DataLoader(), sources=[str(file)])
    assert sorted(host.name for host in manager.list_hosts(pattern)) == sorted(wanted)


def test_no_pattern_means_all_that_may_be_meant() -> None:
    assert choose("", NODES, GROUPS) == [*NODES]


def test_brackets_are_a_glob_where_no_group_is_counted() -> None:
    assert choose("node-[1-2]", HOSTS, GROUPS) == ["node-1", "node-2"]
    assert choose("node-[12]", HOSTS, GROUPS) == ["node-1", "node-2"]


def test_only_those_that_may_be_meant_are_chosen() -> None:
    assert choose("all", NODES, GROUPS) == [*NODES]
    assert choose("all:!control_plane", NODES, GROUPS) == [*NODES]
    with pytest.raises(NotFound, match="no host is left of 'control-1'"):
        choose("control-1", NODES, GROUPS)


@pytest.mark.parametrize("pattern", ["node-9", "!node-9", "&node-9", "node-1,node-9", "~x", "web-?9", "nodes[7]"])
def test_a_part_that_matches_nothing_is_told_with_what_there_is(pattern: str) -> None:
    with pytest.raises(NotFound, match=r"no host matches .*the hosts are control-1, .*the groups are .*rack_a"):
        choose(pattern, HOSTS, GROUPS)


@pytest.mark.parametrize("pattern", ["node-1:!node-1", "rack_a:&rack_b", "empty"])
def test_a_pattern_that_leaves_nobody_is_told(pattern: str) -> None:
    with pytest.raises(NotFound, match="no host is left"):
        choose(pattern, HOSTS, GROUPS)


@pytest.mark.parametrize("pattern", ["~(", "!", "nodes:&"])
def test_a_part_that_cannot_be_meant_is_bad_input(pattern: str) -> None:
    with pytest.raises(BadInput, match="pattern"):
        choose(pattern, HOSTS, GROUPS)


def test_a_list_kept_elsewhere_is_recalled_without_hosts_that_have_left() -> None:
    kept = {"failed": ["node-2", "gone-1"], "over": ["gone-1"]}
    assert choose("@failed", HOSTS, GROUPS, kept.__getitem__) == ["node-2"]
    assert choose("nodes:!@failed", HOSTS, GROUPS, kept.__getitem__) == ["node-1", "node-3", "web-4"]
    with pytest.raises(NotFound, match="no host matches '@over'"):
        choose("@over", HOSTS, GROUPS, kept.__getitem__)


def test_a_long_list_is_cut() -> None:
    assert some_of(f"n{number}" for number in range(10)) == "n0, n1, n2, n3, n4, n5, n6, n7 and 2 more"
