"""Nodes with an engine of their own each, as real machines have them: what is on one is not on the other, and an engine
lives on when its node is cut off. First in push mode, then all faults in reconcile mode and in agents mode."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from duckconf.cli.cluster import modes
from duckconf.cli.demo.demo_hosts import DemoHosts
from duckconf.naming import LABEL_APP, WEB_IMAGE, network
from tests.e2e.conftest import NODE_TIMEOUT, NODES, free_ports
from tests.e2e.front_scene import check_that_a_silent_node_keeps_no_request, cut
from tests.e2e.own_engines import APPS, STRANGER, Own, controlled, own, three
from tests.e2e.registry import INSECURE, publish, served
from tests.e2e.sick_app import check_health
from tests.e2e.updated import history_of
from tests.waiting import until

pytestmark = pytest.mark.slow
__all__ = ["controlled", "own", "three"]

OTHER_IMAGE = "localhost/nginx"
# What one mode shows for both: the decision is the same, and the other mode is seen to do it on the shared engine.
by_agents = pytest.mark.parametrize("controlled", [modes.AGENTS], indirect=True, scope="module")
by_the_loop = pytest.mark.parametrize("controlled", [modes.RECONCILE], indirect=True, scope="module")


def test_push_starts_lists_and_stops_on_engines_that_do_not_know_each_other(own: Own) -> None:
    answers = [own.live.post({"image": WEB_IMAGE}) for _ in NODES]
    assert [status for status, _ in answers] == [201] * 3
    started = {answer["app"]: answer["node"] for _, answer in answers}
    assert set(started.values()) == set(NODES)
    assert own.homes() == started
    listed = own.live.inv("ps", "--json")
    assert {row["app"]: row["node"] for row in json.loads(listed.stdout)} == started
    first = next(iter(started))
    assert own.live.inv("kill-app", first).returncode == 0
    until("it stays down", lambda: own.running().total() == 2)
    for app in started:
        assert own.live.inv("stop-app", app).returncode == 0
    assert not any(own.containers(node) for node in NODES)


def test_an_image_that_one_node_lacks_is_named_with_the_command_that_brings_it(own: Own) -> None:
    own.must("node-2", "podman", "rmi", OTHER_IMAGE)
    answers = [own.live.post({"image": OTHER_IMAGE}) for _ in NODES]
    refused = [answer for status, answer in answers if status != 201]
    assert len(refused) == 1
    assert "push-image" in refused[0]["detail"]
    for _, answer in answers:
        if "app" in answer:
            own.live.inv("stop-app", answer["app"])
    pushed = own.live.inv("push-image", OTHER_IMAGE, "--json")
    assert pushed.returncode == 0, pushed.stderr
    assert own.on("node-2", "podman", "image", "exists", OTHER_IMAGE).ok


@pytest.fixture(scope="module")
def registry(own: Own, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of a registry that the nodes' engines pull from, without TLS."""
    told = own.live.engine.must("network", "inspect", network(own.live.project.cluster))
    address = f"{json.loads(told)[0]['subnets'][0]['gateway']}:{free_ports(1)[0]}"
    for node in NODES:
        config = "cat >/etc/containers/registries.conf.d/test.conf <<'END'\n" + INSECURE.format(address) + "END"
        own.must(node, "sh", "-c", config)
    with served(address, tmp_path_factory.mktemp("registry")):
        yield address


@contextmanager
def foreign_listener(own: Own, node: str, port: int) -> Iterator[None]:
    """A program that is none of ours holds the port on this node."""
    own.must(node, "systemd-run", "--unit=foreign", "--collect", "python3", "-m", "http.server", str(port))
    try:
        until("it listens", lambda: f":{port}" in own.must(node, "ss", "-Hltn"))
        yield
    finally:
        own.must(node, "systemctl", "stop", "foreign")


def test_push_passes_over_a_node_where_a_port_is_held_by_something_foreign(own: Own) -> None:
    with foreign_listener(own, "node-1", 8085):
        answers = [own.live.post({"image": WEB_IMAGE, "ports": ["8085:80"]}) for _ in NODES]
    assert [status for status, _ in answers] == [201, 201, 409], answers
    assert {answer["node"] for _, answer in answers[:2]} == {"node-2", "node-3"}
    assert all(f"{node}: port 8085 is in use" in answers[2][1]["detail"] for node in NODES)
    for _, answer in answers[:2]:
        assert own.live.inv("stop-app", answer["app"]).returncode == 0
    assert not any(own.containers(node) for node in NODES)


def test_an_app_goes_where_no_node_refuses_it_and_is_pending_with_the_reasons_when_all_do(controlled: Own) -> None:
    # Where it ran is remembered over a change of mode, so that each mode has a path of its own.
    mode = modes.mode_of(controlled.live.project)
    nowhere, late = f"/srv/nowhere-{mode}", f"localhost/late:{mode}"
    controlled.must("node-2", "mkdir", "-p", "/srv/only-here")
    with foreign_listener(controlled, "node-2", 8085):
        controlled.put("ported", ports=["8085:80"])
        controlled.put("stored", volumes=["/srv/only-here:/data"])
        controlled.put("hopeless", volumes=[f"{nowhere}:/data"], ports=["8086:80"])
        controlled.put("imageless", image=late)
        until("they run where they can", lambda: controlled.homes().keys() == {"ported", "stored"}, 40)
        homes = controlled.homes()
        assert (homes["stored"], homes["ported"] in ("node-1", "node-3")) == ("node-2", True)
        until("it says why", lambda: f"path {nowhere} is missing" in controlled.pending_note("hopeless"), 20)
        assert all(node in controlled.pending_note("hopeless") for node in NODES)
        diff = controlled.live.inv("diff")
        assert f"path {nowhere} is missing" in diff.stdout
    assert controlled.homes() == homes
    # What a person asks for is tried at once, and so is another spec.
    controlled.must("node-1", "mkdir", "-p", nowhere)
    assert controlled.live.inv("uncordon", "node-1").returncode == 0
    until("it runs where it can now", lambda: controlled.homes().get("hopeless") == "node-1", 20)
    controlled.put("large", cpus=1000)
    until("it says why", lambda: "with fewer than 1000 cores" in controlled.pending_note("large"), 20)
    controlled.put("large", cpus=1)
    until("it runs", lambda: "large" in controlled.homes(), 20)
    # Its pause is long by now, and ends when the image is there.
    controlled.live.engine.must("tag", WEB_IMAGE, late)
    assert controlled.live.inv("push-image", late).returncode == 0
    until("it runs", lambda: "imageless" in controlled.homes(), 8)
    controlled.withdraw(("ported", "stored", "hopeless", "large", "imageless"))
    controlled.must("node-1", "rmdir", nowhere)
    controlled.live.engine.must("rmi", late)


def test_an_update_that_its_node_refuses_starts_on_another_one_while_the_old_container_serves(controlled: Own) -> None:
    controlled.put("web")
    until("it has served", lambda: [item["outcome"] for item in history_of(controlled.live, "web")] == ["done"], 40)
    first = controlled.homes()["web"]
    other = next(node for node in NODES if node != first)
    path = f"/srv/only-{modes.mode_of(controlled.live.project)}"
    controlled.must(other, "mkdir", "-p", path)
    served: list[int] = []

    def updated() -> bool:
        running = controlled.running()
        served.append(running.total())
        return set(running) == {("web", other)}

    controlled.put("web", volumes=[f"{path}:/data:ro"])
    until("it has moved", updated, 40)
    assert min(served) >= 1
    until("it has served", lambda: [item["outcome"] for item in history_of(controlled.live, "web")] == ["done"] * 2, 20)
    controlled.withdraw(["web"])
    controlled.must(other, "rmdir", path)


@by_agents
def test_an_app_whose_check_fails_is_told_shown_and_restarted_until_it_is_well(controlled: Own) -> None:
    def heal(node: str, container: str) -> bool:
        return controlled.on(node, "podman", "exec", container, "/bin/busybox", "touch", "/well").ok

    check_health(controlled.live, controlled.api, heal)
    until("nothing is left", lambda: not any(controlled.containers(node) for node in NODES), 40)


@by_agents
def test_a_request_that_is_under_way_on_a_node_that_falls_silent_is_answered_by_another(controlled: Own, tmp_path: Path) -> None:
    check_that_a_silent_node_keeps_no_request(controlled, tmp_path)


@by_agents
def test_a_tag_that_moves_in_a_registry_between_two_starts_changes_no_revision(
    controlled: Own, registry: str, tmp_path: Path
) -> None:
    tag, engine = f"{registry}/web:{os.urandom(4).hex()}", controlled.live.engine

    def ids() -> list[str]:
        return [row["ImageID"] for node in NODES for row in controlled.containers(node) if row["State"] == "running"]

    old = publish(engine, tag, f"old-{os.urandom(4).hex()}", tmp_path)
    try:
        controlled.put("moving", image=tag, replicas=2)
        until("two run what the tag meant", lambda: ids() == [old] * 2, 40)
        until("it is known by digest", lambda: any(item.get("digests") for item in history_of(controlled.live, "moving")), 20)
        new = publish(engine, tag, f"new-{os.urandom(4).hex()}", tmp_path)
        controlled.put("moving", image=tag, replicas=3)
        until("the third, on a node that has none, runs the same", lambda: ids() == [old] * 3, 40)
        assert controlled.live.inv("redeploy", "moving").returncode == 0
        until("all run what the tag means now", lambda: ids() == [new] * 3, 60)
    finally:
        controlled.withdraw(["moving"])


@by_the_loop
def test_crashed_removed_and_changed_apps_come_back(three: Own) -> None:
    homes = three.homes()
    assert set(homes.values()) == set(NODES)
    names = {row["Labels"][LABEL_APP]: row["Names"][0] for node in NODES for row in three.containers(node)}
    three.must(homes["a"], "podman", "kill", names["a"])
    three.must(homes["b"], "podman", "rm", "-f", "-t", "0", names["b"])
    three.put("c", env={"NEW": "1"})

    def changed() -> bool:
        rows = [row for row in three.containers(homes["c"]) if row["Labels"][LABEL_APP] == "c"]
        return [row["State"] for row in rows] == ["running"] and rows[0]["Labels"]["duckconf.spec"] != old

    old = next(row["Labels"]["duckconf.spec"] for row in three.containers(homes["c"]) if row["Labels"][LABEL_APP] == "c")
    until("all are as they should be", lambda: three.once_each(APPS) and changed(), 40)
    assert three.homes() == homes


@by_the_loop
def test_the_same_name_of_a_container_may_be_taken_by_a_stranger_elsewhere(three: Own) -> None:
    name = three.containers("node-1")[0]["Names"][0]
    three.must("node-2", "podman", "run", "-d", "--name", name, WEB_IMAGE)
    listed = three.live.inv("ps", "--json")
    assert sorted(row["app"] for row in json.loads(listed.stdout)) == sorted(APPS)
    assert three.must("node-2", "podman", "inspect", "--format={{.State.Status}}", name) == "running"
    three.must("node-2", "podman", "rm", "-f", "-t", "0", name)


@by_the_loop
def test_a_node_freezes_with_its_containers_and_one_copy_remains_when_it_thaws(three: Own) -> None:
    lost, home = next(iter(three.homes().items()))
    hosts = DemoHosts(three.live.project)
    others = [node for node in NODES if node != home]
    hosts.freeze(home)
    try:
        until("it runs elsewhere", lambda: lost in {app for app, _ in three.running(others)}, NODE_TIMEOUT + 20)
    finally:
        hosts.thaw(home)
    until("one copy remains", lambda: three.once_each(APPS), 40)
    assert three.homes()[lost] != home


def test_a_node_cut_off_with_its_engine_alive_gives_its_copy_up_only_for_a_running_one(three: Own) -> None:
    app, node = next(iter(three.homes().items()))
    with cut(three, node):
        until("two copies run", lambda: Counter(name for name, _ in three.running())[app] == 2, NODE_TIMEOUT + 20)
    until("one copy remains", lambda: three.once_each(APPS), 40)
    assert three.homes()[app] != node


def test_an_engine_is_restarted_under_its_apps_and_none_of_them_restarts(three: Own) -> None:
    before = {node: [(row["Id"], row["StartedAt"]) for row in three.containers(node)] for node in NODES}
    three.must("node-1", "systemctl", "restart", "podman.socket")
    three.must("node-1", "systemctl", "stop", "podman.service")
    names = {row["Labels"][LABEL_APP]: row["Names"][0] for row in three.containers("node-1")}
    for app, name in names.items():
        three.must("node-1", "podman", "kill", name)
        until(f"{app} is started again", lambda: three.once_each(APPS), 20)
    after = {node: [(row["Id"], row["StartedAt"]) for row in three.containers(node)] for node in NODES}
    assert {node: after[node] for node in NODES if node != "node-1"} == {node: before[node] for node in NODES if node != "node-1"}


def test_a_job_that_a_reboot_cut_off_runs_again_and_one_that_is_done_does_not(three: Own) -> None:
    jobs_of_it = ("done", "cut")
    jobs = {"entrypoint": ["/bin/busybox"], "restart": "no"}
    three.put("done", **jobs, command=["true"])
    # It is cut off however long that takes, and ends the second time.
    ends = "test -e /again && exit; /bin/busybox touch /again; exec /bin/busybox sleep 600"
    three.put("cut", **jobs, command=["sh", "-c", ends])
    until("one is done", lambda: job_states(three).get("done") == "done" and job_states(three).get("cut") == "running", 40)
    node = next(str(row["node"]) for row in rows(three) if row["app"] == "cut")
    DemoHosts(three.live.project).reboot(node)
    until("the one that was cut off ends by itself", lambda: job_states(three)["cut"] == "done", 60)
    assert {row["app"]: row["restarts"] for row in rows(three) if row["app"] in jobs_of_it} == {"done": 0, "cut": 1}
    three.must(node, "podman", "start", STRANGER)
    for name in jobs_of_it:
        three.api.call("DELETE", f"/app/{name}")
    until("they run, once each", lambda: three.once_each(APPS), NODE_TIMEOUT + 30)


def test_a_node_that_reboots_starts_its_apps_again_with_their_secrets_and_nothing_else_moves(three: Own, tmp_path: Path) -> None:
    (tmp_path / "value").write_text("hunter2")
    assert three.live.inv("secret", "set", "db", "--from-file", str(tmp_path / "value")).returncode == 0
    three.put("keeper", on="node-1", secrets=["db"])
    apps = (*APPS, "keeper")
    until("they run, once each", lambda: three.once_each(apps), 40)
    homes = three.homes()
    DemoHosts(three.live.project).reboot("node-1")
    until("they run, once each", lambda: three.once_each(apps), NODE_TIMEOUT + 30)
    assert {app: node for app, node in three.homes().items() if homes[app] != "node-1"} == {
        app: node for app, node in homes.items() if node != "node-1"
    }
    # What held it was in memory, and went with the power.
    (keeper,) = (row["Id"] for row in three.containers("node-1") if row["Labels"][LABEL_APP] == "keeper")
    assert three.must("node-1", "podman", "exec", keeper, "/bin/busybox", "cat", "/run/secrets/db") == "hunter2"
    three.api.call("DELETE", "/app/keeper")
    until("it is gone", lambda: three.once_each(APPS), 40)
    assert three.live.inv("secret", "remove", "db").returncode == 0
    # Nobody but us starts it again, as it is nobody's app.
    assert three.must("node-1", "podman", "inspect", "--format={{.State.Running}}", STRANGER) == "false"
    three.must("node-1", "podman", "start", STRANGER)


@pytest.fixture
def small(controlled: Own) -> Iterator[Own]:
    """Node-2's engine keeps its containers on a disk of 64 MB for now, with room for the sample app."""
    store, image = "/var/lib/containers/storage", "/root/web.tar"
    controlled.must("node-2", "podman", "save", "-q", "-o", image, WEB_IMAGE)
    # The engine that runs has the files of the other disk open.
    controlled.must("node-2", "systemctl", "stop", "podman.service")
    controlled.must("node-2", "mount", "-t", "tmpfs", "-o", "size=64m", "small", store)
    try:
        controlled.must("node-2", "podman", "load", "-q", "-i", image)
        controlled.must("node-2", "rm", image)
        yield controlled
        controlled.on("node-2", "rm", "-f", f"{store}/filler")
        controlled.withdraw([entry["name"] for entry in controlled.api.call("GET", "/apps")["apps"]])
    finally:
        controlled.must("node-2", "systemctl", "stop", "podman.service")
        controlled.must("node-2", "umount", "-l", store)


def test_a_node_whose_disk_is_full_keeps_its_apps_and_new_ones_go_elsewhere_and_say_why(small: Own) -> None:
    for name in APPS:
        small.put(name)
    until("one runs on each node", lambda: small.once_each(APPS) and set(small.homes().values()) == set(NODES), 40)
    before = [(row["Id"], row["StartedAt"]) for row in small.containers("node-2")]
    small.on("node-2", "dd", "if=/dev/zero", "of=/var/lib/containers/storage/filler", "bs=64k")
    more = ("d", "e", "f")
    for name in more:
        small.put(name)
    until("all run, once each", lambda: small.once_each((*APPS, *more)), 40)
    assert "node-2" not in {small.homes()[name] for name in more}
    assert [(row["Id"], row["StartedAt"]) for row in small.containers("node-2")] == before
    until("it says so", lambda: small.full() == ["node-2"], 10)
    assert any("node-2" in note and "no space left on device" in note for note in small.notes("failed"))


def rows(own: Own) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(own.live.inv("ps", "--json").stdout)
    return found


def job_states(own: Own) -> dict[str, str]:
    return {row["app"]: row["state"] for row in rows(own)}
