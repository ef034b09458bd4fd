"""Nodes whose engine is docker, in all three modes: the core of what a user does, on a real dockerd."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from duckconf.cli.cluster import bring_up, modes
from duckconf.cli.cluster.api import api_client
from duckconf.cli.demo.demo_hosts import DemoHosts
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.engine import DOCKER
from duckconf.engine_output import Container
from duckconf.naming import NGINX_IMAGE, WEB_IMAGE
from tests.e2e.conftest import NODE_TIMEOUT, NODES, ROOT, SOON_READY, Live, free_ports, kept_running
from tests.e2e.sick_app import check_health
from tests.waiting import until

pytestmark = pytest.mark.slow

APPS = ("a", "b", "c")
STRANGER = "stranger"


@dataclass(frozen=True)
class Docked:
    """The cluster, and past every layer of ours the docker engine."""

    live: Live
    docker: LocalEngine

    def apps(self) -> dict[str, Container]:
        return {app.name: app for app in self.docker.apps(self.live.project.cluster)}

    def running(self) -> Counter[str]:
        return Counter(app.app for app in self.apps().values() if app.running)

    def once_each(self, names: Iterable[str]) -> bool:
        found = self.apps().values()
        return all(app.running for app in found) and Counter(app.app for app in found) == Counter(names)

    def of(self, app: str) -> Container:
        (found,) = (item for item in self.apps().values() if item.app == app)
        return found

    def all_of(self, app: str) -> list[Container]:
        """During an update the old and the new one run side by side."""
        return [item for item in self.apps().values() if item.app == app]

    def inspect(self, container: str, what: str) -> str:
        return self.docker.must("inspect", "--type=container", f"--format={{{{{what}}}}}", container)

    def home(self, app: str) -> str:
        return self.inspect(self.of(app).name, 'index .Config.Labels "node"')

    def homes(self) -> dict[str, str]:
        return {app: self.home(app) for app in self.running()}

    def put(self, name: str, **fields: object) -> None:
        api_client(self.live.project).call("PUT", f"/app/{name}", {"image": WEB_IMAGE, **SOON_READY, **fields})

    def withdraw(self, names: Iterable[str]) -> None:
        for name in names:
            api_client(self.live.project).call("DELETE", f"/app/{name}")
        until("nothing is left", lambda: not self.apps(), 40)


@pytest.fixture(scope="module")
def docked(docker_live: Live) -> Iterator[Docked]:
    made = Docked(docker_live, LocalEngine(ROOT, DOCKER))
    made.docker.must("run", "-d", "--name", STRANGER, "--label=node=node-1", "--label=duckconf.app=a", WEB_IMAGE)
    begun = made.inspect(STRANGER, ".State.StartedAt")
    yield made
    assert made.inspect(STRANGER, ".State.Running") == "true"
    assert made.inspect(STRANGER, ".State.StartedAt") == begun
    made.docker.must("rm", "-f", STRANGER)


@pytest.fixture(scope="module")
def reconciling(docked: Docked) -> Docked:
    bring_up.up(docked.live.project, modes.RECONCILE)
    return docked


@pytest.fixture
def three(reconciling: Docked) -> Iterator[Docked]:
    """Three apps under the control loop, which has nothing to do in the end."""
    with kept_running(reconciling, APPS):
        yield reconciling
        reconciling.live.settles()


def test_push_starts_lists_kills_and_stops(docked: Docked) -> None:
    answers = [docked.live.post({"image": WEB_IMAGE, "env": {"ODD": "a b'c\"d $(id) ü"}}) for _ in NODES]
    assert [status for status, _ in answers] == [201] * 3, answers
    started = {answer["app"]: answer["node"] for _, answer in answers}
    assert docked.homes() == started
    assert set(started.values()) == set(NODES)
    assert "ODD=a b'c\"d $(id) ü" in json.loads(docked.inspect(next(iter(started)), "json .Config.Env"))
    listed = json.loads(docked.live.inv("ps", "--json").stdout)
    assert {row["app"]: (row["node"], row["state"], row["image"]) for row in listed} == {
        app: (node, "running", WEB_IMAGE) for app, node in started.items()
    }
    first, *others = started
    assert docked.live.inv("kill-app", first).returncode == 0
    assert docked.running() == Counter(others)
    for app in started:
        assert docked.live.inv("stop-app", app).returncode == 0
    assert docked.apps() == {}


def test_what_docker_refuses_is_refused_with_the_right_status_and_leaves_nothing(docked: Docked) -> None:
    status, problem = docked.live.post({"image": "localhost/there/is/none"})
    assert (status, docked.apps()) == (422, {})
    assert "push-image" in problem["detail"]
    taken = f"127.0.0.1:{free_ports(1)[0]}:80"
    first = docked.live.post({"image": WEB_IMAGE, "ports": [taken]})
    assert first[0] == 201, first
    status, problem = docked.live.post({"image": WEB_IMAGE, "ports": [taken]})
    assert (status, list(docked.apps())) == (409, [first[1]["app"]]), problem
    assert "already allocated" in problem["detail"]
    assert docked.live.inv("stop-app", first[1]["app"]).returncode == 0


def test_an_image_is_pushed_into_docker_and_found_there_the_second_time(docked: Docked) -> None:
    docked.docker.run("rmi", NGINX_IMAGE)
    for expected in ("pushed", "already there"):
        done = docked.live.inv("push-image", NGINX_IMAGE, "--to", "node-1", "--json")
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout
        assert docked.docker.run("image", "inspect", NGINX_IMAGE).ok


def test_nodes_say_which_engine_they_have(docked: Docked) -> None:
    rows = json.loads(docked.live.inv("nodes", "--json").stdout)
    version = docked.docker.must("version", "--format", "{{.Server.Version}}")
    assert [(row["engine"], row["engine_version"]) for row in rows] == [(DOCKER, version)] * 3
    assert docked.live.inv("doctor", "node-1").returncode == 0


def test_killed_removed_and_changed_apps_come_back(three: Docked) -> None:
    assert set(three.homes().values()) == set(NODES)
    homes, before = three.homes(), {name: three.of(name).id for name in APPS}
    three.docker.must("kill", before["a"])
    three.docker.must("rm", "-f", before["b"])
    three.put("c", env={"NEW": "1"})
    until(
        "all are as they should be", lambda: [one.id for one in three.all_of("c")] != [before["c"]] and three.once_each(APPS), 40
    )
    assert three.homes() == homes
    assert "NEW=1" in json.loads(three.inspect(three.of("c").name, "json .Config.Env"))
    rows = {row["app"]: row for row in json.loads(three.live.inv("ps", "--json").stdout)}
    assert {(row["desired"], row["state"]) for row in rows.values()} == {("yes", "running")}

    def kinds() -> set[tuple[str, str]]:
        events = map(json.loads, three.live.inv("events", "--json").stdout.splitlines())
        return {(event["kind"], event.get("app", "")) for event in events}

    until("all starts are told", lambda: {("started", app) for app in APPS} <= kinds(), seen=lambda: str(kinds()))


def test_a_command_runs_once_and_jobs_end_on_docker_too(reconciling: Docked) -> None:
    words = ("--entrypoint", "/bin/busybox", "--", "sh", "-c", "echo whole; exit 7")
    once = reconciling.live.inv("run", WEB_IMAGE, *words)
    assert (once.returncode, once.stdout) == (7, "whole\n"), once.stderr
    assert reconciling.docker.must("ps", "-aq", "--filter=label=duckconf.run") == ""
    job = {"entrypoint": ["/bin/busybox"], "restart": "on-failure:1"}
    reconciling.put("good", **job, command=["true"])
    reconciling.put("bad", **job, command=["false"])

    def states() -> dict[str, str]:
        return {row["app"]: row["state"] for row in json.loads(reconciling.live.inv("ps", "--json").stdout)}

    until("both are over", lambda: states() == {"good": "done", "bad": "failed (1)"}, 40)
    reconciling.withdraw(("good", "bad"))


def test_an_app_whose_check_fails_is_told_shown_and_restarted_until_it_is_well(reconciling: Docked) -> None:
    def heal(_: str, container: str) -> bool:
        return reconciling.docker.run("exec", container, "/bin/busybox", "touch", "/well").ok

    # The bridge of this dockerd is in a network namespace of its own.
    check_health(reconciling.live, api_client(reconciling.live.project), heal, reached=False)
    until("nothing is left", lambda: not reconciling.apps(), 40)


def test_what_an_app_says_is_shown_and_a_person_enters_it(three: Docked, tmp_path: Path) -> None:
    three.put("a", image=NGINX_IMAGE, command=["sh", "-c", "echo quack; exec sleep 1000"], stop_signal="SIGKILL")
    until("it is replaced", lambda: [one.image for one in three.all_of("a")] == [NGINX_IMAGE] and three.once_each(APPS), 40)
    until("it has spoken", lambda: "quack" in three.live.inv("logs", "a").stdout)
    (row,) = (json.loads(line) for line in three.live.inv("logs", "a", "--json", "--since", "1h").stdout.splitlines())
    assert (row["app"], row["line"], row["time"][-1]) == ("a", "quack", "Z")
    see_inside(three, tmp_path)


def see_inside(three: Docked, tmp_path: Path) -> None:
    inv = three.live.inv
    inside = inv("exec", "a", "--", "sh", "-c", "ln -s /etc /srv/link; echo quack >/srv/f; cat /srv/f; echo bad >&2; exit 3")
    assert (inside.returncode, inside.stdout, inside.stderr) == (3, "quack\n", "bad\n")
    assert inv("cp", "a:/srv/f", str(tmp_path / "g")).returncode == 0
    assert (tmp_path / "g").read_text() == "quack\n"
    assert inv("cp", "a:/srv/link", str(tmp_path / "etc")).returncode in (0, 1)
    assert (tmp_path / "etc" / "passwd").exists()
    assert inv("cp", str(tmp_path / "g"), "a:/srv/link").returncode == 0
    assert inv("exec", "a", "--", "cat", "/etc/g").stdout == "quack\n"
    (used,) = json.loads(inv("stats", "a", "--json").stdout)
    # Where dockerd cannot read the cgroups of this machine it says zero of everything, which is shown as unknown.
    assert used["memory_bytes"] is None or 0 < used["memory_bytes"] < used["memory_limit_bytes"], used
    assert (used["memory_bytes"] is None) == (used["cpu_percent"] is None), used


def test_a_person_pauses_a_container_and_the_loop_leaves_it(three: Docked) -> None:
    name = three.of("a").name
    three.docker.must("pause", name)
    three.docker.must("rm", "-f", three.of("b").name)
    until("b is back", lambda: three.running()["b"] == 1)
    assert three.inspect(name, ".State.Status") == "paused"
    three.docker.must("unpause", name)


def test_a_node_freezes_with_its_apps_and_one_copy_remains_when_it_thaws(three: Docked) -> None:
    lost = next(app for app in APPS if three.home(app) == "node-2")
    hosts = DemoHosts(three.live.project)
    frozen = hosts.freeze("node-2")
    try:
        assert len(frozen) == 2
        until("it runs elsewhere", lambda: three.running()[lost] == 1, NODE_TIMEOUT + 20)
    finally:
        hosts.thaw("node-2")
    until("one copy remains", lambda: three.once_each(APPS), 40)
    assert three.home(lost) != "node-2"


def test_agents_take_over_what_runs_and_heal_it(reconciling: Docked) -> None:
    for name in APPS:
        reconciling.put(name)
    until("they run, once each", lambda: reconciling.once_each(APPS), 40)
    before = {name: reconciling.of(name).id for name in APPS}
    bring_up.up(reconciling.live.project, modes.AGENTS)
    api = api_client(reconciling.live.project)
    until("all nodes are ready", lambda: {node["status"] for node in api.call("GET", "/nodes")["nodes"]} == {"ready"}, 60)
    assert {name: reconciling.of(name).id for name in APPS} == before
    reconciling.docker.must("kill", before["a"])
    reconciling.docker.must("rm", "-f", before["b"])
    reconciling.put("d")
    until("all run, once each", lambda: reconciling.once_each((*APPS, "d")), 40)
    reconciling.withdraw((*APPS, "d"))
