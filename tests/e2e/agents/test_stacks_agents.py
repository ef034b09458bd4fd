"""Stacks in agents mode on real hosts: a compose file in, changed, and out again."""

from __future__ import annotations

from pathlib import Path

import pytest

from duckconf.cli.cluster import modes
from duckconf.naming import NGINX_IMAGE
from duckconf.reach.api.client import ApiClient
from tests.e2e.agents.fleet import lives, nodes
from tests.e2e.conftest import Live
from tests.e2e.lost_machine import backed_up, lose_the_operators_machine, restored
from tests.e2e.stack_scenes import (
    a_stack_on_a_lost_node_is_rescheduled_as_one,
    apply_change_and_stop,
    names_are_found_and_services_start_in_order,
)
from tests.e2e.watched import telltale
from tests.waiting import until

pytestmark = pytest.mark.slow


def test_a_compose_file_is_applied_changed_and_withdrawn(running: Live, tmp_path: Path) -> None:
    apply_change_and_stop(running, tmp_path)


def test_services_find_each_other_by_name_on_one_node_and_start_in_order(running: Live, tmp_path: Path) -> None:
    names_are_found_and_services_start_in_order(running, tmp_path)


def test_a_stack_on_a_lost_node_is_rescheduled_as_one(running: Live, tmp_path: Path) -> None:
    a_stack_on_a_lost_node_is_rescheduled_as_one(running, tmp_path)


def test_a_lost_control_plane_is_restored_with_its_secrets_and_no_app_restarts(
    running: Live, api: ApiClient, tmp_path: Path
) -> None:
    inv, value = running.inv, telltale()
    (tmp_path / "value").write_text(value)
    assert inv("secret", "set", "db", "--from-file", str(tmp_path / "value")).returncode == 0
    words = ("--name", "web", "--secret", "db", "--command", "sleep 1000", "--stop-signal", "SIGKILL", "--wait")
    started = inv("start-app", NGINX_IMAGE, *words)
    assert started.returncode == 0, started.stderr
    assert inv("cordon", "node-3").returncode == 0
    file = backed_up(running, tmp_path)
    assert value.encode() not in file.read_bytes()
    late = inv("start-app", NGINX_IMAGE, "--name", "late", "--stop-signal", "SIGKILL", "--wait")
    assert late.returncode == 0, late.stderr
    before, generations = lives(running), generations_of(api)
    running.engine.must("rm", "-f", "-t", "0", running.host("control-1"))
    lose_the_operators_machine(running)
    restored(running, file, modes.AGENTS)
    until("all nodes are heard", lambda: {node["status"] for node in nodes(api)} == {"ready"}, 40)
    assert lives(running) == before
    assert [node["name"] for node in nodes(api) if node["cordoned"]] == ["node-3"]
    scaled = inv("scale", "web=2", "--wait")
    assert scaled.returncode == 0, scaled.stderr
    after = running.instances()
    assert running.engine.must("exec", after["web.2"][0], "cat", "/run/secrets/db") == value
    assert {one[0] for one in after.values()} >= {one[0] for one in before.values()}
    assert min(generations_of(api).values()) > max(generations.values())
    look_at_the_loss_of_the_operators_machine_alone(running, file)
    assert inv("uncordon", "node-3").returncode == 0
    for app in ("web", "late"):
        assert inv("stop-app", app).returncode == 0
    assert inv("secret", "remove", "db").returncode == 0


def look_at_the_loss_of_the_operators_machine_alone(cluster: Live, file: Path) -> None:
    """The control plane knows that there are two of web, and the backup does not."""
    before = cluster.instances()
    lose_the_operators_machine(cluster, "control-plane")
    assert "newer than the backup" in restored(cluster, file, modes.AGENTS)
    cluster.settles(40)
    assert cluster.instances() == before


def generations_of(api: ApiClient) -> dict[tuple[str, int], int]:
    shares = [api.call("GET", f"/apps?nodeName={node['name']}")["apps"] for node in nodes(api)]
    return {(entry["name"], entry.get("slot", 1)): entry["generation"] for share in shares for entry in share}
