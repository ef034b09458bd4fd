"""A rebalance on real nodes, in reconcile mode: level nodes, no request that fails, and a loop that is killed in the middle."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from duckconf.cli.cluster import bring_up, modes
from duckconf.cli.cluster.services import loop_service
from duckconf.naming import WEB_IMAGE
from duckconf.reach.state.rebalances import RebalanceBook
from tests.e2e.client import answers, asked_all_the_time
from tests.e2e.conftest import Declared, Live
from tests.waiting import until

pytestmark = pytest.mark.slow

QUICK = ("--update-config", "monitor=1s")


def spread(cluster: Live) -> list[int]:
    """How many instances run on each node, the most first."""
    counts = Counter(node for _, node, _ in cluster.instances().values())
    return sorted(counts.values(), reverse=True)


def kill_loop(declared: Declared) -> None:
    project = declared.cluster.project
    process = loop_service(project).process()
    assert process is not None
    process.kill()
    process.wait(10)
    bring_up.up(project, modes.RECONCILE)


def test_push_mode_names_the_modes_that_move_instances(cluster: Live) -> None:
    for words in (("rebalance",), ("rebalance", "--dry-run")):
        refused = cluster.inv(*words)
        assert (refused.returncode, refused.stdout, "./inv up reconcile" in refused.stderr) == (1, "", True), refused


def test_instances_move_until_the_nodes_are_level_and_no_request_fails_although_the_loop_is_killed(declared: Declared) -> None:
    inv, cluster = declared.cluster.inv, declared.cluster
    assert inv("cordon", "node-3").returncode == 0
    assert inv("start-app", WEB_IMAGE, "--name", "web", "--replicas", "5", "--port", "80", *QUICK, "--wait").returncode == 0
    assert inv("start-app", WEB_IMAGE, "--name", "one", "--port", "80", *QUICK, "--wait").returncode == 0
    assert spread(cluster) == [3, 3]
    assert inv("uncordon", "node-3").returncode == 0
    assert "node-3 runs 0 of 6 instances: ./inv rebalance" in inv("status").stdout
    planned = inv("rebalance", "--dry-run")
    assert (planned.returncode, len(planned.stdout.splitlines())) == (2, 3), planned
    assert planned.stdout.split()[:5] == ["INSTANCE", "FROM", "TO", "ORDER", "REASON"]
    assert {move["to"] for move in json.loads(inv("rebalance", "--dry-run", "--json").stdout)["moves"]} == {"node-3"}
    before = cluster.instances()
    with asked_all_the_time(cluster, "web") as (counts, failed), asked_all_the_time(cluster, "one") as (_, failed_ones):
        assert inv("rebalance").returncode == 0
        book = RebalanceBook(cluster.project.state)
        until("an instance is on its way", lambda: bool(book.read().moving))
        kill_loop(declared)
        done = inv("rebalance", "--wait")
        assert (done.returncode, "the nodes are level" in done.stdout) == (0, True), done
    assert spread(cluster) == [2, 2, 2]
    assert (failed, failed_ones, min(counts)) == ([], [], 5)
    after = cluster.instances()
    assert sum(after[name] == before[name] for name in before) == 4
    again = inv("rebalance", "--dry-run")
    assert (again.returncode, again.stdout) == (0, ""), again
    assert "runs" not in inv("status").stdout.splitlines()[-1]
    told = [event["message"] for event in declared.api.call("GET", "/events?limit=60")["events"] if event["kind"] == "rebalanced"]
    assert len(told) == 2


def test_with_a_port_of_the_node_the_old_one_ends_first(declared: Declared) -> None:
    inv, cluster = declared.cluster.inv, declared.cluster
    for node in ("node-2", "node-3"):
        assert inv("cordon", node).returncode == 0
    assert inv("start-app", WEB_IMAGE, "--name", "fixed", "--port", "18093:80", *QUICK, "--wait").returncode == 0
    data = ("--volume", "rebalance-data:/data")
    assert inv("start-app", WEB_IMAGE, "--name", "data", *data, *QUICK, "--wait").returncode == 0
    assert inv("uncordon", "node-2").returncode == 0
    try:
        planned = inv("rebalance", "--dry-run")
        assert planned.stdout.splitlines()[1].split()[:4] == ["fixed", "node-1", "node-2", "stop-first"], planned
        done = inv("rebalance", "--wait")
        assert (done.returncode, "fixed node-1 → node-2" in done.stderr) == (0, True), done
        assert {name: node for name, (_, node, _) in cluster.instances().items()} == {"fixed": "node-2", "data": "node-1"}
        assert answers(18093)
    finally:
        inv("uncordon", "node-3")


def test_by_itself_it_begins_when_a_node_can_take_instances_again(declared: Declared) -> None:
    inv, cluster = declared.cluster.inv, declared.cluster
    inventory = Path(cluster.environ["DUCKCONF_INVENTORY"])
    manual = inventory.read_text()
    book = RebalanceBook(cluster.project.state)
    inventory.write_text(manual + "duckconf_rebalance=auto\n")
    try:
        assert inv("cordon", "node-3").returncode == 0
        until("the loop knows the others", lambda: book.read().known == ("node-1", "node-2"))
        assert inv("start-app", WEB_IMAGE, "--name", "web", "--replicas", "4", *QUICK, "--wait").returncode == 0
        assert spread(cluster) == [2, 2]
        assert inv("uncordon", "node-3").returncode == 0
        until("an instance moves", lambda: len(cluster.apps()) == 4 and spread(cluster) == [2, 1, 1], 40)
        until("it is over", lambda: not book.read().owed)
    finally:
        inventory.write_text(manual)
    until("the inventory is as it was", lambda: book.read().known in ((), ("node-1", "node-2", "node-3")))
