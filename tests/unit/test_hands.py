"""What a person does to one container from the page: over connections of one's own, and by asking the process that has them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from duckconf.command import Command, Completed
from duckconf.errors import Conflict, DuckconfError, EngineRefused, NodeFailure, NotFound, NotNow
from duckconf.naming import LABEL_CLUSTER, LABEL_NODE
from duckconf.reach.nodes import hands as hands_of
from duckconf.reach.nodes.hands import AskedHands, OwnHands, Where, at_socket
from duckconf.reach.state import local_socket

WEB = Where("n1", "duckconf-web")


class Node:
    """A `Runner` with one container of cluster demo."""

    def __init__(self) -> None:
        self.killed: list[str] = []

    def run(self, command: Command) -> Completed:
        argv = command.argv
        if "inspect" in argv:
            mine = argv[-1] == WEB.container
            return Completed(0, json.dumps({LABEL_NODE: "n1", LABEL_CLUSTER: "demo"}), "") if mine else Completed(1, "", "none")
        if "kill" in argv:
            self.killed.append(argv[-1])
            return Completed(0, "", "")
        return Completed(0, "2026-01-01T00:00:00Z hello \x1b[2J\n", "")


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def own(node: Node) -> OwnHands:
    return OwnHands("demo", {"n1": node}.__getitem__)


@pytest.fixture
def asked(own: OwnHands, tmp_path: Path) -> AskedHands:
    hands_of.serve(tmp_path, own)
    return AskedHands(at_socket(tmp_path))


def test_a_container_is_killed_and_read_by_who_has_the_connection_and_by_who_asks_it(
    own: OwnHands, asked: AskedHands, node: Node, tmp_path: Path
) -> None:
    for hands in (own, asked):
        hands.kill(WEB)
        assert hands.log(WEB, 10) == "2026-01-01T00:00:00Z hello \\x1b[2J\n"
    assert node.killed == [WEB.container] * 2
    assert (tmp_path / hands_of.FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_what_is_not_ours_is_neither_killed_nor_read(own: OwnHands, asked: AskedHands, node: Node) -> None:
    for hands in (own, asked):
        for where in (Where("n1", "stranger"), Where("nobody", WEB.container)):
            with pytest.raises(NotFound):
                hands.kill(where)
            with pytest.raises(NotFound):
                hands.log(where, 10)
    assert node.killed == []


@pytest.mark.parametrize(
    "words",
    [
        "Error: can only kill running containers. 1b2c is in state exited: container state improper",
        "Error response from daemon: cannot kill container: duckconf-web: container 1b2c is not running",
    ],
)
def test_one_that_has_ended_is_told_from_an_engine_that_refuses(words: str, monkeypatch: pytest.MonkeyPatch, node: Node) -> None:
    plain = node.run
    monkeypatch.setattr(node, "run", lambda command: Completed(1, "", words) if "kill" in command.argv else plain(command))
    with pytest.raises(Conflict, match="duckconf-web on n1 does not run"):
        OwnHands("demo", {"n1": node}.__getitem__).kill(WEB)


@pytest.mark.parametrize(
    "failure",
    [
        NotFound("no such container", "see ./inv ps"),
        NodeFailure("n1", "does not answer", "wait"),
        EngineRefused("it does not run", conflict=False),
        Conflict("it does not run", "see ./inv ps"),
        NotNow("not now", "later"),
        DuckconfError("anything"),
    ],
)
def test_a_failure_is_the_same_for_who_asks(tmp_path: Path, failure: DuckconfError) -> None:
    class Failing:
        def kill(self, where: Where) -> None:
            raise failure

        def log(self, where: Where, lines: int) -> str:
            raise failure

    hands_of.serve(tmp_path, Failing())
    with pytest.raises(type(failure)) as raised:
        AskedHands(at_socket(tmp_path)).kill(WEB)
    assert (raised.value.message, raised.value.remedy) == (failure.message, failure.remedy)


def test_without_the_loop_the_person_is_told_what_to_start(tmp_path: Path) -> None:
    with pytest.raises(NotNow, match="the control loop"):
        AskedHands(at_socket(tmp_path)).kill(WEB)


@pytest.mark.parametrize(
    "question", [b"x", b"[]", b'{"kill": ["n1"]}', b'{"kill": [1, 2]}', b'{"log": ["a", "b"], "lines": "x"}']
)
def test_a_question_that_is_none_is_not_answered(asked: AskedHands, node: Node, tmp_path: Path, question: bytes) -> None:
    assert local_socket.ask(tmp_path, hands_of.FILE_NAME, question, 1.0, 1.0) == b""
    assert node.killed == []
