"""A look that asks the running process: what it tells, who answers, and when a task connects to the nodes itself."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from duckconf import errors
from duckconf.cli.cluster.nodes import Cluster
from duckconf.command import Command, Completed
from duckconf.engine_output import Container
from duckconf.errors import NodeFailure, Unreachable, Unreadable
from duckconf.facts import UNKNOWN, Facts
from duckconf.inventory import Host, Inventory
from duckconf.node_name import OtherName
from duckconf.observation import Observation, fingerprint, observation_from_json
from duckconf.reach.inventory.project import Project
from duckconf.reach.nodes.observer import Observer
from duckconf.reach.ssh.fleet import Fleet
from duckconf.reach.ssh.runner import SshRunner
from duckconf.reach.state import observer_socket
from duckconf.settings import Settings
from tests.fakes import FakeFleet, FakeNode

WEB = Container("1f", "duckconf-web", "node-1", "web", "abc", "nginx", "running", 5.0, ports=("8080:80",), exit_code=None)
HOST = Host("node-1", "192.0.2.1")
KNOWN = Facts(engine="podman", engine_version="5.1", cores=2, machine="m1", node_name="node-1", load=0.5)


@dataclass
class Connected(FakeNode):
    """A node with a connection, whose facts are these words of the engine."""

    opened: int = 1
    calls_itself: str = "node-1"

    def run(self, command: Command) -> Completed:
        super().run(command)
        return Completed(0, f"engine 5.1 /\nnode {self.calls_itself}\n", "")


def observer_of(node: Connected, found: tuple[Container, ...] | NodeFailure = (WEB,)) -> Observer:
    def observe(host: Host, runner: SshRunner) -> tuple[Container, ...]:
        if isinstance(found, NodeFailure):
            raise found
        return found

    return Observer(lambda: {"node-1": (HOST, cast(SshRunner, node))}, observe)


def look_at(observer: Observer, *hosts: Host) -> Observation:
    return observer.look({host.name: fingerprint(host) for host in hosts or (HOST,)})


def test_an_observation_arrives_as_it_was_sent() -> None:
    sent = Observation({"node-1": (WEB,), "node-2": ()}, {"node-1": KNOWN}, {"node-1": 2.5})
    assert observation_from_json(json.loads(json.dumps(sent.to_json()))) == sent


@pytest.mark.parametrize(
    "kind", ["Unreachable", "LoginRefused", "NotSupported", "HostKeyRefused", "EngineUnavailable", "Unreadable"]
)
def test_a_failure_keeps_its_class_and_its_words(kind: str) -> None:
    sent = getattr(errors, kind)("node-1", "says no", "ask again")
    found = observation_from_json(Observation({"node-1": sent}).to_json()).seen["node-1"]
    assert (type(found), str(found)) == (type(sent), str(sent))


def test_a_failure_of_a_kind_of_its_own_arrives_as_what_it_is_a_kind_of() -> None:
    found = observation_from_json(Observation({"node-1": OtherName("node-1", "db")}).to_json()).seen["node-1"]
    assert type(found) is Unreadable


def test_facts_are_asked_once_for_each_connection_and_containers_each_time() -> None:
    node = Connected("node-1")
    observer = observer_of(node)
    first, second = look_at(observer), look_at(observer, HOST, Host("node-9", "192.0.2.9"))
    assert (first.seen, set(second.seen), len(node.asked)) == ({"node-1": (WEB,)}, {"node-1"}, 1)
    assert first.facts["node-1"].engine_version == "5.1"
    node.opened = 2
    look_at(observer)
    assert len(node.asked) == 2


def test_facts_that_hang_do_not_hide_the_containers() -> None:
    node = Connected("node-1", failure=Unreachable("node-1", "took too long", may_have_run=True))
    found = look_at(observer_of(node))
    assert (found.seen, found.facts) == ({"node-1": (WEB,)}, {"node-1": UNKNOWN})


def test_a_node_that_is_away_is_a_failure_without_facts() -> None:
    away = Unreachable("node-1", "no answer")
    found = look_at(observer_of(Connected("node-1", failure=away), away))
    assert (found.seen, found.facts, found.ages) == ({"node-1": away}, {}, {})


def test_a_node_that_falls_silent_on_an_open_connection_has_no_facts_any_more() -> None:
    node = Connected("node-1")
    found: list[tuple[Container, ...] | NodeFailure] = [(WEB,), Unreachable("node-1", "no answer")]

    def observe(*_: object) -> tuple[Container, ...]:
        now = found.pop(0)
        if isinstance(now, NodeFailure):
            raise now
        return now

    observer = Observer(lambda: {"node-1": (HOST, cast(SshRunner, node))}, observe)
    assert look_at(observer).facts.keys() == {"node-1"}
    assert look_at(observer).facts == {}


def test_a_node_of_another_inventory_is_not_the_one_of_that_name() -> None:
    assert look_at(observer_of(Connected("node-1")), Host("node-1", "192.0.2.77")) == Observation()


def test_who_asks_at_the_socket_gets_what_the_process_sees(tmp_path: Path) -> None:
    observer_socket.serve(tmp_path, observer_of(Connected("node-1")).look)
    found = observer_socket.ask(tmp_path, [HOST])
    assert found is not None
    assert found.seen == {"node-1": (WEB,)}
    assert (tmp_path / observer_socket.FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_a_folder_with_a_long_path_has_a_socket_too(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    observer_socket.serve(folder, observer_of(Connected("node-1")).look)
    assert observer_socket.ask(folder, [HOST]) is not None


def test_a_socket_that_a_dead_process_left_is_replaced_and_answers_nobody_before(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / observer_socket.FILE_NAME))
    assert observer_socket.ask(tmp_path, [HOST]) is None
    observer_socket.serve(tmp_path, observer_of(Connected("node-1")).look)
    assert observer_socket.ask(tmp_path, [HOST]) is not None


@contextmanager
def listening(folder: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as line:
        line.bind(str(folder / observer_socket.FILE_NAME))
        line.listen()
        yield line


def test_a_process_that_is_stopped_costs_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observer_socket, "SIGN_OF_LIFE", 0.05)
    with listening(tmp_path):
        assert observer_socket.ask(tmp_path, [HOST]) is None


class Running:
    """A cluster whose process tells this, and whose tasks could connect to these nodes."""

    def __init__(self, folder: Path, told: Observation, *nodes: FakeNode) -> None:
        hosts = {name: Host(name, "192.0.2.1") for name in ("node-1", "node-2")}
        self.project = Project(folder, Settings(), "demo")
        self.project.state.mkdir(parents=True)
        self.asked: list[str] = []
        self.connected = False

        def connect() -> Fleet:
            self.connected = True
            return cast(Fleet, FakeFleet(nodes))

        def look(wanted: Mapping[str, str]) -> Observation:
            self.asked += wanted
            return told

        observer_socket.serve(self.project.state, look)
        self.inventory = Inventory(hosts, tuple(hosts))
        self.connect = connect

    def cluster(self, *, warm: bool) -> Cluster:
        return Cluster(self.project, self.inventory, self.connect, warm=warm)


def test_a_look_that_the_process_answers_connects_to_no_node(tmp_path: Path) -> None:
    running = Running(tmp_path, Observation({"node-1": (WEB,), "node-2": ()}, {"node-1": KNOWN}, {"node-1": 2.5}))
    cluster = running.cluster(warm=True)
    assert cluster.observe_with_facts() == ({"node-1": (WEB,), "node-2": ()}, {"node-1": KNOWN, "node-2": UNKNOWN})
    assert (running.connected, running.asked, cluster.ages) == (False, ["node-1", "node-2"], {"node-1": 2.5})


@pytest.mark.parametrize("refusal", [errors.LoginRefused, errors.HostKeyRefused])
def test_a_node_that_refused_the_process_or_is_new_to_it_is_connected_to(tmp_path: Path, refusal: type[NodeFailure]) -> None:
    told: list[dict[str, tuple[Container, ...] | NodeFailure]] = [{"node-2": refusal("node-2", "no")}, {}]
    for number, second in enumerate(told):
        running = Running(tmp_path / str(number), Observation({"node-1": (WEB,), **second}), Connected("node-2"))
        seen = running.cluster(warm=True).observe()
        assert (seen["node-1"], running.connected) == ((WEB,), True)
        assert isinstance(seen["node-2"], Unreadable)


def test_a_fresh_look_does_not_ask_the_process(tmp_path: Path) -> None:
    running = Running(tmp_path, Observation({"node-1": (WEB,)}), Connected("node-1"), Connected("node-2"))
    running.cluster(warm=False).observe()
    assert (running.connected, running.asked) == (True, [])


def test_a_machine_under_two_names_is_told_apart_whoever_looked(tmp_path: Path) -> None:
    twin = Facts(machine="m1", node_name="node-1")
    running = Running(tmp_path, Observation({"node-1": (WEB,), "node-2": (WEB,)}, {"node-1": twin, "node-2": twin}))
    assert "node-1" in str(running.cluster(warm=True).observe()["node-2"])
    assert os.listdir(running.project.state) == [observer_socket.FILE_NAME]


def test_a_machine_of_another_name_is_asked_again_at_each_look_until_its_name_is_right() -> None:
    node = Connected("node-1", calls_itself="other")
    observer = observer_of(node)
    names = [look_at(observer).facts["node-1"].node_name]
    node.calls_itself = "node-1"
    names += [look_at(observer).facts["node-1"].node_name for _ in "ab"]
    assert (names, len(node.asked)) == (["other", "node-1", "node-1"], 2)
