"""A front on real hosts: Caddy by the role, told over the open connection. No request fails while instances come and go."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from duckconf.cli.cluster import modes
from duckconf.cli.cluster.services import loop_service
from duckconf.cli.demo.demo_front import front_of, published
from duckconf.cli.demo.load import Count, Target, load
from duckconf.cli.roles.provision import provision
from duckconf.naming import NGINX_IMAGE, NODE_IMAGE
from tests.e2e.conftest import Declared, Live, brought_up, free_ports, write_inventory
from tests.e2e.talker import SERVER, VISITOR
from tests.waiting import until

pytestmark = pytest.mark.slow

HOST = "shop.example.org"
RATE = 30
AUTOSAVE = "/var/lib/duckconf-edge/caddy/autosave.json"


@pytest.fixture(scope="module")
def edge_live(engine_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A cluster in reconcile mode whose first node runs a front, with an app behind it."""
    cluster = f"e{os.getpid()}"
    *ports, control, api_port = free_ports(5)
    inventory = write_inventory(tmp_path_factory.mktemp("edge"), cluster, ports, "duckconf_acme=internal", control)
    inventory.write_text(f"{inventory.read_text()}[edge]\nnode-1\n")
    with brought_up(inventory, cluster, api_port, modes.RECONCILE) as live:
        fields = {"ports": ["80"], "routes": [HOST], "healthcheck": {"http": "/:80"}, "stop_grace_period": "2s"}
        # The demo app takes hardly ten connections at once, and closes each.
        Declared(live).put("web", image=NGINX_IMAGE, replicas=3, **fields)
        until("three run", lambda: live.running() == {"web": 3}, 60)
        yield live


@pytest.fixture
def target(edge_live: Live, tmp_path: Path) -> Target:
    found = front_of(edge_live.project, edge_live.engine, "node-1", HOST, tmp_path)
    until("it serves", lambda: asked(found, "/") == 200, 30)
    return found


def asked(front: Target, path: str, host: str = HOST) -> int:
    """The status over HTTPS, 0 for no answer in a few seconds."""
    context = ssl.create_default_context(cafile=front.root)
    connection = http.client.HTTPConnection(front.host)
    try:
        raw = socket.create_connection((front.address, front.port), 3)
        connection.sock = context.wrap_socket(raw, server_hostname=front.host)
        connection.request("GET", path, headers={"Host": host})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def plain(live: Live, host: str, path: str = "/") -> tuple[int, str, str]:
    """Status, location and words over HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", published(live.project, live.engine, "node-1", 80), timeout=10)
    connection.request("GET", path, headers={"Host": host})
    answer = connection.getresponse()
    return answer.status, answer.getheader("Location") or "", answer.read().decode()


def test_http_is_sent_to_https_and_what_nobody_serves_is_said(edge_live: Live, target: Target) -> None:
    assert plain(edge_live, HOST, "/cart?id=1") == (308, f"https://{HOST}/cart?id=1", "")
    assert plain(edge_live, "other.example.org") == (404, "", "No app is served as other.example.org/ here.\n")
    assert asked(target, "/", "other.example.org") == 404


MOVED = (("drain", "node-3"), ("uncordon", "node-3"), ("rebalance", "--wait"))
UPDATED = ("update", "web", "--env", "LOG=info", "--wait")
CHANGED = (UPDATED, ("rollback", "web", "--wait"), *MOVED, ("scale", "web=2", "--wait"), ("scale", "web=3", "--wait"))


def test_a_certificate_that_is_there_is_loaded_during_handshakes(edge_live: Live, target: Target) -> None:
    """By Caddy 2.6, which Debian has: it listens with a new configuration before it has loaded them otherwise."""
    read = ("exec", edge_live.host("node-1"), "cat", AUTOSAVE)

    def loaded() -> list[list[str]]:
        policies = json.loads(edge_live.engine.must(*read))["apps"]["tls"]["automation"]["policies"]
        return [policy["subjects"] for policy in policies if policy.get("on_demand")]

    until("it is told so", lambda: loaded() == [[HOST]], 20)


def test_the_role_changes_nothing_the_second_time_and_the_kernel_hands_over_who_waits(edge_live: Live) -> None:
    assert provision(edge_live.project, "node-1", ["edge"], full=True)["node-1"].changed == 0
    migrates = Path("/proc/sys/net/ipv4/tcp_migrate_req")
    if migrates.exists():
        assert edge_live.engine.must("exec", edge_live.host("node-1"), "cat", str(migrates)).strip() == "1"


def changed_under_load(live: Live, target: Target, changes: Sequence[Sequence[str]]) -> Count:
    with load(target, RATE) as count:
        for words in changes:
            done = live.inv(*words)
            assert done.returncode == 0, (words, done.stdout, done.stderr)
    return count


def killed_under_load(live: Live, target: Target) -> Count:
    with load(target, RATE) as count:
        live.engine.must("kill", next(row["Id"] for row in live.apps() if row["State"] == "running"))
        until("it runs again", lambda: live.running() == {"web": 3}, 30)
        until("enough was asked", lambda: count.requests > 3 * RATE, 30, lambda: f"{count.ended} {count.failures}")
    return count


def known(live: Live) -> set[str]:
    """The ports of the instances to which the front sends requests, none while Caddy writes its file."""
    told = live.engine.must("exec", live.host("node-1"), "cat", AUTOSAVE)
    try:
        secure = json.loads(told)["apps"]["http"]["servers"].get("secure", {})
    except ValueError:
        return set()
    return set(re.findall(r'"dial": "[^"]*:(\d+)"', json.dumps(secure)))


def published_ports(live: Live) -> set[str]:
    return {str(port["host_port"]) for row in live.apps() if row["State"] == "running" for port in row["Ports"] or ()}


def hardly_any_failed(count: Count) -> bool:
    """A request that was on its way to what died fails if its front is told of that in the same moment."""
    return count.failed <= count.requests / 50


def test_no_request_fails_while_instances_are_replaced_and_moved(edge_live: Live, target: Target) -> None:
    count = changed_under_load(edge_live, target, CHANGED)
    assert count.failed == 0, (count.ended, count.renewed, count.failures)
    assert count.requests > 5 * RATE


def test_a_websocket_passes_and_the_app_is_told_who_the_client_is_and_not_who_it_says_to_be(
    edge_live: Live, target: Target
) -> None:
    command = ["python3", "-c", SERVER]
    fields = {"command": command, "ports": ["80"], "routes": [f"{HOST}/talk"], "stop_signal": "SIGKILL"}
    said: list[str] = []

    def both_ways() -> bool:
        # A Caddy before 2.7 closes WebSockets at each change, and one may still be under way.
        words = ("python3", "-c", VISITOR, edge_live.host("node-1"), HOST, "hello", "again")
        said[:] = edge_live.engine.run("exec", edge_live.host("node-2"), *words).stdout.splitlines()
        return said[1:2] == ["101"] and len(said) == 4

    try:
        Declared(edge_live).put("talk", image=NODE_IMAGE, **fields)
        until("it is served", lambda: asked(target, "/talk") == 426, 30)
        until("it talks", both_ways, 20, lambda: repr(said))
    finally:
        Declared(edge_live).withdraw("talk")
    assert said[2:] == [f"{said[0]} said hello", f"{said[0]} said again"]
    until("it is gone", lambda: edge_live.running() == {"web": 3}, 30)


def test_requests_to_an_instance_that_is_killed_are_answered_by_another(edge_live: Live, target: Target) -> None:
    count = killed_under_load(edge_live, target)
    assert hardly_any_failed(count), count.failures


def test_a_front_goes_on_without_the_control_plane_and_is_told_nothing_when_nothing_changed(
    edge_live: Live, target: Target
) -> None:
    # On a busy machine the front may hear only now of what came before.
    until("it was told of all", lambda: known(edge_live) == published_ports(edge_live), 30)
    loads = "journalctl -u duckconf-edge -o short-precise | grep 'load complete'"
    before = edge_live.engine.must("exec", edge_live.host("node-1"), "sh", "-c", loads)
    loop_service(edge_live.project).stop()
    edge_live.engine.must("exec", edge_live.host("node-1"), "systemctl", "restart", "duckconf-edge")
    until("it serves what it was told last", lambda: asked(target, "/") == 200, 30)
    done = edge_live.inv("up", "reconcile")
    assert done.returncode == 0, done.stderr
    assert edge_live.inv("update", "web", "--env", "LOG=debug", "--dry-run").returncode == 0
    assert edge_live.engine.must("exec", edge_live.host("node-1"), "sh", "-c", loads) == before


def test_a_frozen_instance_is_out_of_the_front_within_a_second_or_so(edge_live: Live, target: Target) -> None:
    frozen = next(row["Id"] for row in edge_live.apps() if row["State"] == "running" and row["Labels"]["node"] == "node-2")
    with load(target, RATE) as count:
        until("requests are answered", lambda: count.requests > RATE, 30)
        before, when = count.requests, time.monotonic()
        edge_live.engine.must("pause", frozen)
        try:
            until("others answer", lambda: count.requests > before + 4 * RATE, 30)
        finally:
            edge_live.engine.must("unpause", frozen)
    # What it had been sent by then waits there until it goes on: its kernel lives, as that of a slow one does.
    assert count.failed == 0, count.failures
    assert count.last_slow(when, 1.0) < 2.0


def test_a_front_that_does_not_answer_delays_an_update_and_does_not_end_it(edge_live: Live, target: Target) -> None:
    edge_live.engine.must("exec", edge_live.host("node-1"), "systemctl", "stop", "duckconf-edge")
    try:
        done = edge_live.inv("update", "web", "--env", "LOG=warn", "--wait")
        assert done.returncode == 0, done.stderr
        assert {"front-away", "front-late"} & {line.split()[2] for line in edge_live.inv("events").stdout.splitlines()}
    finally:
        edge_live.engine.must("exec", edge_live.host("node-1"), "systemctl", "start", "duckconf-edge")
    until("it serves again", lambda: asked(target, "/") == 200, 30)


def test_in_agents_mode_no_request_fails_either_and_the_front_outlives_the_api(edge_live: Live, target: Target) -> None:
    assert edge_live.inv("up", "agents").returncode == 0
    # Of the decisions one mode is as the other; how the front is told of them differs.
    count = changed_under_load(edge_live, target, (UPDATED, *MOVED))
    assert count.failed == 0, (count.ended, count.renewed, count.failures)
    # Who is told nothing more goes on with what was told last.
    until("the front knows what runs", lambda: known(edge_live) == published_ports(edge_live), 20)
    assert edge_live.inv("stop-api").returncode == 0
    try:
        edge_live.engine.must("exec", edge_live.host("node-1"), "systemctl", "restart", "duckconf-edge", "duckconf-agent")
        until("it serves what it was told last", lambda: asked(target, "/") == 200, 30)
        count = killed_under_load(edge_live, target)
        assert hardly_any_failed(count), count.failures
    finally:
        assert edge_live.inv("start-api").returncode == 0
    until("it is told again", lambda: edge_live.inv("routes", "--json").stdout.count("address") == 3, 30)
    assert asked(target, "/") == 200
