"""The sensor's fast path on real sshd and a real engine: it sees what the command sees, and survives what that survives."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from duckconf import engine
from duckconf.cli.demo.demo_hosts import DemoHosts
from duckconf.command import Command, Completed
from duckconf.engine_output import Container
from duckconf.errors import EngineUnavailable, NodeFailure
from duckconf.model import App
from duckconf.naming import WEB_IMAGE, app_labels
from duckconf.reach.nodes.sensor import observe
from duckconf.reach.ssh import engine_line
from duckconf.reach.ssh.fleet import Fleet
from duckconf.reach.ssh.host_keys import OWN_PINS, KnownHosts
from duckconf.reach.ssh.runner import SshRunner
from tests.e2e.conftest import NODES, Live
from tests.waiting import until

pytestmark = pytest.mark.slow

ODD = {"note": 'comma, equals = "quote" \\ é ✓', "empty": "", "lines": "a\nb"}


class Watched:
    """A node as the sensor has it, which counts the commands; what goes over the line is none."""

    def __init__(self, cluster: Live, node: str, runner: SshRunner) -> None:
        self.ssh = runner
        self.engine_line = runner.engine_line
        self.commands = 0
        self._cluster = cluster.project.cluster
        self._host = cluster.project.inventory().node(node)

    def run(self, command: Command) -> Completed:
        self.commands += 1
        return self.ssh.run(command)

    def by_command(self) -> tuple[Container, ...]:
        class Plain:
            run = staticmethod(self.ssh.run)

        return observe(self._cluster, self._host, Plain())

    def look(self) -> tuple[Container, ...]:
        return observe(self._cluster, self._host, self)

    def looks_over_the_line(self) -> bool:
        before = self.commands
        self.look()
        return self.commands == before

    def start(self, name: str, **labels: str) -> str:
        cluster = self._cluster
        container = f"{cluster}-{name}"
        app = App(WEB_IMAGE, labels=labels)
        assert self.ssh.run(engine.run(container, app, app_labels(cluster, name, "spec", 3, "e30="), {})).ok
        return container


@pytest.fixture
def fleet(cluster: Live) -> Iterator[Fleet]:
    """Connections as the control loop has them."""
    project = cluster.project
    hosts = project.inventory(secrets=True).node_hosts()
    pins = KnownHosts(project.pins, OWN_PINS)
    with closing(Fleet(hosts, pins, project.login_key, project.settings.node_deadline, keeps_trying=True)) as opened:
        yield opened


@pytest.fixture
def nodes(cluster: Live, fleet: Fleet) -> dict[str, Watched]:
    """All nodes, each with its line open."""
    watched = {name: Watched(cluster, name, fleet.runner(name)) for name in NODES}
    for node in watched.values():
        node.look()
        assert node.looks_over_the_line()
    return watched


@pytest.fixture
def node(nodes: dict[str, Watched]) -> Watched:
    return nodes["node-1"]


def test_the_first_look_is_a_command_and_the_others_are_not(cluster: Live, fleet: Fleet) -> None:
    node = Watched(cluster, "node-1", fleet.runner("node-1"))
    assert [node.looks_over_the_line() for _ in range(3)] == [False, True, True]


def test_the_line_and_the_command_see_the_same(cluster: Live, node: Watched) -> None:
    node.start("running", **ODD)
    exited, paused = node.start("exited"), node.start("paused")
    cluster.engine.must("kill", exited)
    cluster.engine.must("pause", paused)
    made = f"{cluster.project.cluster}-created"
    assert node.ssh.run(Command(("docker", "create", f"--name={made}", *labels(cluster, "created"), WEB_IMAGE))).ok
    try:
        until("the killed one has ended", lambda: cluster.state_of(exited) == "exited")
        before = node.commands
        seen = node.look()
        assert node.commands == before
        assert seen == node.by_command()
        assert {one.app: one.state for one in seen} == {
            "running": "running", "exited": "exited", "paused": "paused", "created": "created"
        }  # fmt: skip
        assert {(one.generation, one.manifest, one.spec) for one in seen if one.app != "created"} == {(3, "e30=", "spec")}
    finally:
        cluster.engine.must("unpause", paused)


def labels(cluster: Live, app: str) -> list[str]:
    return [f"--label={name}={value}" for name, value in app_labels(cluster.project.cluster, app, "s").items()]


def test_a_stranger_and_another_nodes_container_are_not_seen(cluster: Live, nodes: dict[str, Watched], stranger: str) -> None:
    nodes["node-2"].start("elsewhere")
    assert cluster.state_of(stranger) == "running"
    assert nodes["node-1"].look() == ()
    assert [container.app for container in nodes["node-2"].look()] == ["elsewhere"]
    assert all(node.looks_over_the_line() for node in nodes.values())


@contextmanager
def without_engine(cluster: Live) -> Iterator[None]:
    hosts = DemoHosts(cluster.project)
    hosts.engine_service.stop()
    try:
        yield
    finally:
        hosts.up(cluster.project.inventory().demo_hosts())


def test_no_engine_is_said_in_the_commands_words_and_the_next_look_after_its_return_works(cluster: Live, node: Watched) -> None:
    node.start("a")
    before = node.look()
    with without_engine(cluster):
        with pytest.raises(EngineUnavailable) as over_the_line:
            node.look()
        with pytest.raises(EngineUnavailable) as by_command:
            node.by_command()
        assert str(over_the_line.value) == str(by_command.value)
    assert node.look() == before


def test_a_line_older_than_a_minute_is_opened_again_after_the_engine_was_restarted(
    cluster: Live, node: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_line, "REST", 0.0)
    node.start("a")
    before = node.look()
    with without_engine(cluster):
        pass
    assert node.looks_over_the_line()
    assert node.look() == before


def test_a_frozen_node_costs_its_own_deadline_and_works_again_after_its_thaw(cluster: Live, nodes: dict[str, Watched]) -> None:
    frozen = nodes["node-1"]
    frozen.start("a")
    before = frozen.look()
    assert cluster.inv("stop-node", "node-1").returncode == 0
    try:
        begun = time.monotonic()
        with pytest.raises(NodeFailure):
            frozen.look()
        assert time.monotonic() - begun < 4
        begun = time.monotonic()
        with pytest.raises(NodeFailure):
            frozen.look()
        assert nodes["node-2"].looks_over_the_line()
        assert time.monotonic() - begun < 0.5, "a node known to be away was waited for"
    finally:
        assert cluster.inv("start-node", "node-1").returncode == 0
    until("the node is reached again", lambda: frozen.ssh.away is None)
    assert frozen.looks_over_the_line()
    assert frozen.look() == before


@contextmanager
def instead_of_dialling(node: Watched, script: str) -> Iterator[Callable[[], int]]:
    """The node's engine with other words to `system`; gives the number of times that it was asked for them."""
    path, count = "/usr/local/bin/other-engine", "/run/dialled"
    engine_script = f'#!/bin/sh\n[ "$1" = system ] || exec /usr/bin/podman "$@"\necho . >>{count}\n{script}\n'
    make = f"printf %s {shlex.quote(engine_script)} >{path}; chmod +x {path}; echo {path} >/etc/duckconf/engine; : >{count}"
    assert node.ssh.run(Command(("sh", "-c", make))).ok
    try:
        yield lambda: len(node.ssh.run(Command(("cat", count))).stdout.split())
    finally:
        assert node.ssh.run(Command(("rm", "-f", path, count, "/etc/duckconf/engine"))).ok


@pytest.mark.parametrize(
    "script",
    [
        "echo 'Error: unrecognized command `podman system dial-stdio`' >&2; exit 125",
        "echo 'Usage: docker system COMMAND'; exit 0",
        "kill -9 $$",
        r"printf 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'; cat >/dev/null",
        r"printf 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull'; cat >/dev/null",
    ],
)
def test_an_engine_that_cannot_be_dialled_is_asked_by_command_and_dialled_once(cluster: Live, fleet: Fleet, script: str) -> None:
    node = Watched(cluster, "node-3", fleet.runner("node-3"))
    with instead_of_dialling(node, script) as dialled:
        node.start("a")
        assert dialled() == 0
        for _ in range(4):
            assert [container.app for container in node.look()] == ["a"]
        assert dialled() == 1


def test_where_sshd_serves_few_sessions_commands_have_them(cluster: Live, fleet: Fleet) -> None:
    node = Watched(cluster, "node-3", fleet.runner("node-3"))
    few = "/etc/ssh/sshd_config.d/few.conf"
    # It returns when sshd listens again, which a reload does not wait for.
    restart = "systemctl restart ssh"
    assert node.ssh.run(Command(("sh", "-c", f"echo MaxSessions 2 >{few}; {restart}"))).ok
    try:
        fresh = Watched(cluster, "node-3", again(fleet, cluster, "node-3"))
        with followed(fresh.ssh):
            fresh.look()
            assert fresh.looks_over_the_line()
            assert fresh.run(Command(("true",))).ok
            assert not fresh.looks_over_the_line()
            assert fresh.run(Command(("true",))).ok
    finally:
        assert cluster.engine.run("exec", cluster.host("node-3"), "sh", "-c", f"rm {few}; {restart}").ok


def again(fleet: Fleet, cluster: Live, node: str) -> SshRunner:
    """A runner that connects anew, after what sshd has learned since."""
    hosts = cluster.project.inventory(secrets=True).node_hosts()
    fleet.update(host for host in hosts if host.name != node)
    fleet.update(hosts)
    return fleet.runner(node)


@contextmanager
def followed(runner: SshRunner) -> Iterator[list[bytes]]:
    """A command that goes on printing nothing after its first word, as the engine's events do."""
    heard: list[bytes] = []
    command = Command(("sh", "-c", "echo here; exec sleep 600"))
    thread = threading.Thread(target=runner.follow, args=(command, heard.append), daemon=True)
    thread.start()
    until("the followed command is heard", lambda: b"".join(heard) == b"here\n")
    yield heard


def test_a_line_has_no_thread_of_its_own_and_leaves_nothing_behind(cluster: Live, fleet: Fleet) -> None:
    node = Watched(cluster, "node-2", fleet.runner("node-2"))
    node.look()
    threads = threading.active_count()
    assert node.looks_over_the_line()
    until("no more threads than before", lambda: threading.active_count() <= threads)
    until("those of earlier tests have ended", lambda: dialling(cluster, "node-2") == 1)
    fleet.close()
    until("the program on the node has ended", lambda: dialling(cluster, "node-2") == 0, 3)


def dialling(cluster: Live, node: str) -> int:
    count = cluster.engine.run("exec", cluster.host(node), "pgrep", "-c", "-f", "^/usr/bin/podman system dial-stdio")
    return int(count.stdout)


def test_a_closed_runner_is_not_connected_again_by_its_line(node: Watched) -> None:
    node.ssh.close()
    with pytest.raises(NodeFailure, match="no longer asked"):
        node.look()
