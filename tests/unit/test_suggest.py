"""A name that there is not comes with the one that was probably meant, wherever it is typed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from duckconf.cli.cluster.modes import check_mode
from duckconf.errors import DuckconfError
from duckconf.inventory import Host, Inventory
from duckconf.patterns import choose
from duckconf.reach.state.secrets import SecretFile
from duckconf.suggest import meant, nearest


@pytest.mark.parametrize(
    ("word", "name"),
    [("wbe", "web"), ("WEB", "web"), ("web2", "web.2"), ("--prot", "--port"), ("database", ""), ("", ""), ("node-11", "node-1")],
)
def test_the_name_that_is_most_like_it_is_found(word: str, name: str) -> None:
    assert nearest(word, ["web", "web.2", "db", "--port", "node-1"]) == name


def test_where_nothing_is_like_it_nothing_is_suggested() -> None:
    assert (meant("wbe", ["web"]), meant("x", ["web"]), meant("web", [])) == ("; did you mean web?", "", "")


def removed(_: Inventory, folder: Path) -> None:
    kept = SecretFile(folder / "secrets.json")
    kept.put("database", b"x", 0.0)
    kept.remove("databse")


@pytest.mark.parametrize(
    ("act", "name"),
    [
        (lambda inventory, _: inventory.node("nod-1"), "node-1"),
        (lambda inventory, _: choose("node1", inventory.nodes, {}), "node-1"),
        (lambda inventory, _: choose("franfurt", inventory.nodes, {"frankfurt": ["node-1"]}), "frankfurt"),
        (lambda inventory, _: check_mode("reconcil"), "reconcile"),
        (lambda inventory, _: check_mode("agent"), "agents"),
        (removed, "database"),
    ],
)
def test_every_kind_of_name_gets_a_suggestion(act: Callable[[Inventory, Path], object], name: str, tmp_path: Path) -> None:
    hosts = {node: Host(node, "192.0.2.1") for node in ("node-1", "node-2")}
    with pytest.raises(DuckconfError, match=rf"; did you mean {name}\?"):
        act(Inventory(hosts, tuple(hosts)), tmp_path)
