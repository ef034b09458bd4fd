"""Instances that are bound to nodes, on real nodes: one on each (mode global), and one with data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from duckconf.cli.demo.demo_hosts import DemoHosts
from tests.e2e.conftest import NODE_TIMEOUT, NODES, Declared
from tests.waiting import until


def places(declared: Declared, app: str) -> dict[str, str]:
    """The container of each node that runs the app."""
    return {
        node: container
        for name, (container, node, _) in declared.cluster.instances().items()
        if name.partition(".")[0] == app and node
    }


def shown(declared: Declared, app: str) -> dict[str, Any]:
    return declared.api.call("GET", f"/app/{app}")


def test_a_global_app_runs_once_on_each_node_through_a_drain_a_lost_node_and_an_update(declared: Declared) -> None:
    declared.put("everywhere", mode="global")
    until("each node has one", lambda: sorted(places(declared, "everywhere")) == sorted(NODES), 40)
    before = places(declared, "everywhere")
    done = declared.cluster.inv("drain", "node-2")
    assert done.returncode == 0, done.stderr
    assert places(declared, "everywhere") == {node: before[node] for node in NODES if node != "node-2"}
    assert len(shown(declared, "everywhere")["instances"]) == len(NODES) - 1
    declared.cluster.inv("uncordon", "node-2")
    until("the node has one again", lambda: sorted(places(declared, "everywhere")) == sorted(NODES), 40)
    hosts = DemoHosts(declared.cluster.project)
    hosts.freeze("node-3")
    try:
        until("the node is lost", lambda: "lost" in str(shown(declared, "everywhere")), NODE_TIMEOUT + 30)
        assert len(shown(declared, "everywhere")["instances"]) == len(NODES)
        assert declared.cluster.running()["everywhere"] <= len(NODES)
    finally:
        hosts.thaw("node-3")
    until("all are ready", lambda: shown(declared, "everywhere")["ready"] == len(NODES), 40)
    now = places(declared, "everywhere")
    assert now["node-3"] == before["node-3"]
    declared.put("everywhere", mode="global", env={"NEW": "1"})
    until("all are updated", lambda: not set(places(declared, "everywhere").values()) & set(now.values()), 60)
    until("each node has one", lambda: declared.cluster.running()["everywhere"] == len(NODES), 40)
    refused = declared.cluster.inv("scale", "everywhere=2")
    assert (refused.returncode, "mode global" in refused.stderr) == (1, True)


@pytest.fixture
def volume(declared: Declared) -> Iterator[str]:
    name = f"data-{os.getpid()}"
    yield name
    declared.withdraw_all()
    declared.cluster.engine.run("volume", "rm", "-f", name)


def change_its_mind(declared: Declared, node: str) -> None:
    """A person lets db go to a node that cannot have it yet, and takes that back."""
    other = next(name for name in NODES if name != node)
    assert declared.cluster.inv("cordon", other).returncode == 0
    assert declared.cluster.inv("move", "db", "--to", other, "--accept-data-loss").returncode == 0
    until("it waits for the other", lambda: f"{other} does not fit: cordoned" in shown(declared, "db").get("note", ""), 20)
    back = declared.cluster.inv("move", "db", "--to", node)
    assert (back.returncode, back.stdout) == (0, f"db stays on {node} with its data: ./inv ps\n"), back.stderr
    assert declared.cluster.inv("uncordon", other).returncode == 0
    until("it waits for its own again", lambda: f"waits for {node}" in shown(declared, "db").get("note", ""), 20)
    assert declared.cluster.apps() == []


def test_an_app_with_data_stays_with_it_until_a_person_accepts_the_loss(declared: Declared, volume: str) -> None:
    declared.put("db", volumes=[f"{volume}:/data"])
    until("it runs", lambda: len(places(declared, "db")) == 1, 40)
    ((node, container),) = places(declared, "db").items()
    done = declared.cluster.inv("drain", node)
    assert done.returncode == 0, done.stderr
    assert f"db stays on {node}, which has its data (volume {volume})" in done.stderr
    assert "db stays there with its data" in done.stdout
    assert places(declared, "db") == {node: container}
    declared.put("db", on=f"nodes:!{node}")
    until("it says that it stays", lambda: "so that it stays there; to start it" in shown(declared, "db").get("note", ""), 20)
    assert "./inv move db --accept-data-loss" in declared.cluster.inv("diff").stdout
    assert places(declared, "db") == {node: container}
    declared.put("db", on=None)
    hosts = DemoHosts(declared.cluster.project)
    hosts.freeze(node)
    try:
        words = f"waits for {node}, which has its data (volume {volume}): lost; "
        until("it waits", lambda: words in shown(declared, "db").get("note", ""), NODE_TIMEOUT + 30)
        assert len(declared.cluster.apps()) == 1
    finally:
        hosts.thaw(node)
    declared.withdraw("db")
    until("it is gone", lambda: declared.cluster.apps() == [], 40)
    declared.put("db", volumes=[f"{volume}:/data"])
    until("it waits for its cordoned node", lambda: "cordoned" in shown(declared, "db").get("note", ""), 20)
    refused = declared.cluster.inv("move", "db")
    assert refused.returncode == 1
    assert f"db has its data (volume {volume}) on {node}" in refused.stderr
    assert declared.cluster.apps() == []
    change_its_mind(declared, node)
    moved = declared.cluster.inv("move", "db", "--accept-data-loss")
    assert moved.returncode == 0, moved.stderr
    until("it runs elsewhere", lambda: declared.cluster.once_each(["db"]) and node not in places(declared, "db"), 40)
    declared.cluster.inv("uncordon", node)
