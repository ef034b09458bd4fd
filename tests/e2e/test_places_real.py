"""Where instances run, on real nodes: one on each (mode global), where their data is, spread over zones, on the nodes of a
pattern, and beside a cordon or a port that is taken."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from duckconf.cli.demo.demo_hosts import DemoHosts
from duckconf.naming import WEB_IMAGE
from tests.e2e.conftest import NODE_TIMEOUT, NODES, Declared, free_ports
from tests.waiting import until

pytestmark = pytest.mark.slow


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


def test_an_app_is_spread_over_zones_and_moves_to_the_nodes_of_its_pattern_without_a_gap(declared: Declared) -> None:
    inv, instances = declared.cluster.inv, declared.cluster.instances
    inventory = Path(declared.cluster.environ["DUCKCONF_INVENTORY"])
    before = inventory.read_text()
    zoned = before.replace("node-1 ", "node-1 duckconf_zone=a ").replace("node-2 ", "node-2 duckconf_zone=a ")
    inventory.write_text(zoned.replace("[all:vars]", "[far]\nnode-3\n[all:vars]"))
    try:
        until("the loop has it", lambda: "duckconf_zone" in inventory.read_text() and is_followed(declared))
        until("the node is at rest again", lambda: declared.cluster.apps() == [])
        assert inv("start-app", WEB_IMAGE, "--name", "web", "--replicas", "4", "--wait").returncode == 0
        nodes = [node for _, node, _ in instances().values()]
        assert (nodes.count("node-3"), len(nodes)) == (2, 4)
        assert [row["zone"] for row in json.loads(inv("nodes", "--json").stdout)] == ["a", "a", ""]
        declared.put("web", on="nodes:!far")
        fewest = 4

        def moved() -> bool:
            nonlocal fewest
            now = instances()
            fewest = min(fewest, len(now))
            return [node for _, node, _ in now.values()].count("node-3") == 0 and declared.cluster.once_each(["web"] * 4)

        until("it has moved", moved, 40)
        assert fewest == 4
        refused = inv("start-app", WEB_IMAGE, "--on", "fra")
        assert (refused.returncode, "fra" in refused.stderr and "the groups are" in refused.stderr) == (1, True)
        declared.put("web", on="far:&node-1")
        note = "cannot leave node-1: no node fits: 3 not in far:&node-1"
        until("it says why", lambda: note in inv("diff").stdout)
        assert len(instances()) == 4
    finally:
        inventory.write_text(before)


def is_followed(declared: Declared) -> bool:
    """Whether the loop places by the inventory as it is now: an app of the new group gets a node."""
    declared.put("probe", on="far")
    if declared.cluster.running()["probe"] != 1:
        return False
    declared.withdraw("probe")
    return True


def placed_anew(declared: Declared) -> set[str]:
    """The nodes of four apps that are declared now, with node-1 cordoned."""
    declared.withdraw_all()
    declared.put_all([f"c{number}" for number in range(4)])
    nodes = set(declared.cluster.nodes_of().values())
    assert "node-1" not in nodes
    return nodes


def test_a_port_that_is_taken_and_a_cordon_lead_elsewhere_or_say_why(declared: Declared) -> None:
    inv = declared.cluster.inv
    assert inv("cordon", "node-1").returncode == 0
    try:
        # One that is slow at that moment gets none; the cordoned one never does.
        until("they lie on both of the others", lambda: placed_anew(declared) == {"node-2", "node-3"}, 60)
        for node in NODES:
            inv("cordon", node)
        declared.put("nowhere")
        until("it says why", lambda: "3 cordoned" in declared.api.call("GET", "/app/nowhere").get("note", ""))
        assert "no node fits" in inv("start-app", WEB_IMAGE, "--wait").stderr
        for words in (("logs", "nowhere"), ("redeploy", "nowhere"), ("kill-app", "nowhere")):
            told = inv(*words)
            assert (told.returncode, "does not run: pending, because: no node fits: 3 cordoned" in told.stderr) == (1, True)
    finally:
        for node in NODES:
            assert inv("uncordon", node).returncode == 0
    until("it runs when it may", lambda: declared.cluster.running()["nowhere"] == 1)


def test_a_port_that_its_own_copy_holds_on_the_shared_engine_is_told_with_the_topology(declared: Declared) -> None:
    inv, (port,) = declared.cluster.inv, free_ports(1)
    declared.put("web", ports=[f"{port}:80"])
    until("it runs", lambda: declared.cluster.once_each(["web"]), 40)
    (node,) = declared.cluster.nodes_of().values()
    before = declared.cluster.ids()
    # Before and after it in the order of names.
    others = ("a", "b", "x", "y", "z")
    declared.put_all(["web", *others])
    drained = inv("drain", node)
    try:
        assert (drained.returncode, drained.stderr.count("\n")) != (0, 0)
        for words in (f"port {port}/tcp is held by the app's own copy on {node}", "--topology own", f"./inv uncordon {node}"):
            assert words in drained.stderr
        assert "web cannot move and runs on there" in drained.stderr
        # Not while a try to start it elsewhere has a container there.
        until("it is alone", lambda: {name for name, at in declared.cluster.nodes_of().items() if at == node} == {"web"}, 20)
        for name in others:
            declared.withdraw(name)
        # Between two tries, of which each leaves nothing behind.
        until("the old one runs alone", lambda: declared.cluster.ids() == before)
        assert declared.cluster.running() == {"web": 1}
        assert inv("uncordon", node).returncode == 0
        assert inv("stop-node", node).returncode == 0
        held = f"held by the app's own copy on {node}"
        until("ps says so", lambda: held in inv("ps").stdout + inv("ps").stderr, NODE_TIMEOUT + 30)
        assert "remove that container" not in declared.cluster.inv("events").stdout
        assert inv("start-node", node).returncode == 0
        until("it runs, once", lambda: declared.cluster.once_each(["web"]), 40)
        assert declared.cluster.ids() == before
    finally:
        inv("start-node", node)
        assert inv("uncordon", node).returncode == 0
