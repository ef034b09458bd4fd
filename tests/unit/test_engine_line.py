"""The line to an engine: what is asked, what is made of the answers, and when a command asks instead."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckconf import engine
from duckconf.command import Command, Completed
from duckconf.engine_output import read_containers, read_listing
from duckconf.errors import EngineUnavailable, NodeFailure, Unreachable
from duckconf.reach.ssh import engine_line
from duckconf.reach.ssh.engine_line import EngineLine

ODD = {"duckconf.cluster": "demo", "duckconf.app": "a", "note": 'comma, equals = "quote" \n é'}
PODMAN = {"Id": "f1", "Names": ["b"], "Image": "web", "Labels": ODD, "State": "running", "StartedAt": 1795528931}
DOCKER = {"Id": "f2", "Names": ["/a"], "Image": "web", "Labels": ODD, "State": "exited", "Created": 1769853600}
GREETING = b"node-1\n"


def http(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


class Scripted:
    """A dialogue that says what it was told to, in pieces, and then has ended."""

    def __init__(self, *says: bytes | NodeFailure, connected: bool = True) -> None:
        self.connected = connected
        self.closed = False
        self.heard = b""
        self._says = list(says)

    def send(self, data: bytes, end: float) -> None:
        self.heard += data

    def receive(self, size: int, end: float) -> bytes:
        if not self._says:
            return b""
        piece = self._says.pop(0)
        if isinstance(piece, NodeFailure):
            raise piece
        self._says[:0] = [piece[size:]] if piece[size:] else []
        return piece[:size]

    def close(self) -> None:
        self.closed = True


class Switchboard:
    """Gives out dialogues in turn, one per call."""

    def __init__(self, *dialogues: Scripted) -> None:
        self._waiting = list(dialogues)
        self.line = EngineLine("node-1", self._dial)
        assert self.ask() is None, "one question alone is not worth a line"
        assert self._waiting == list(dialogues)

    @property
    def calls_left(self) -> int:
        return len(self._waiting)

    def ask(self, read: Callable[[bytes], bytes] = bytes) -> bytes | None:
        return self.line.ask("/question", read)

    def _dial(self, command: Command) -> Scripted:
        assert command == engine.dial()
        return self._waiting.pop(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["podman", "docker"]))
def test_the_filter_arrives_whole_and_always_holds_the_node(node: str, kind: str) -> None:
    path = engine.listing_path("demo", node, kind)
    query = parse_qs(urlsplit(path).query, strict_parsing=True)
    assert json.loads(query["filters"][0]) == {"label": ["duckconf.cluster=demo", f"node={node}"]}
    assert query["all"] == ["true"]
    assert path.isascii()
    assert not set(path) & set(" \r\n#")


def test_each_engine_is_asked_in_its_own_words() -> None:
    assert engine.listing_path("demo", "n", "podman").startswith("/v4.0.0/libpod/containers/json?")
    assert engine.listing_path("demo", "n", "docker").startswith("/containers/json?")


@pytest.mark.parametrize("row", [PODMAN, DOCKER], ids=["podman", "docker"])
def test_odd_labels_names_and_times_are_read(row: dict[str, Any]) -> None:
    (container,) = read_listing("n", json.dumps([row]).encode())
    assert (container.name, container.app, container.node) == (row["Names"][0].strip("/"), "a", "n")
    assert container.started == row.get("StartedAt", 1769853600)
    assert container.running == (row["State"] == "running")


def test_dockers_two_ways_of_telling_give_the_same_container() -> None:
    line = {**DOCKER, "ID": "f2", "Names": "a", "Labels": {"duckconf.app": "a"}}
    del line["Id"], line["Created"]
    line["CreatedAt"] = "2026-01-31 11:00:00 +0100 CET"
    assert read_containers("n", Completed(0, json.dumps(line), "")) == read_listing("n", json.dumps([DOCKER]).encode())


def test_a_listing_is_ordered_by_name_and_may_be_empty() -> None:
    both = read_listing("n", json.dumps([PODMAN, DOCKER]).encode())
    assert [container.name for container in both] == ["a", "b"]
    assert read_listing("n", b"[]\n") == ()


@pytest.mark.parametrize("body", [b"", b"null", b"{}x", b'{"message": "no"}', b"[1]", b"[{}]", b"\xff", b'[{"Id": null}]'])
def test_what_is_no_listing_is_never_taken_for_an_empty_one(body: bytes) -> None:
    with pytest.raises(EngineUnavailable):
        read_listing("n", body)


def test_one_call_carries_many_questions() -> None:
    dialogue = Scripted(GREETING, http(b"one"), http(b"two"))
    board = Switchboard(dialogue)
    assert (board.ask(), board.ask()) == (b"one", b"two")
    assert dialogue.heard.count(b"GET /question HTTP/1.1\r\n") == 2


def test_an_answer_in_small_pieces_or_chunks_is_put_together() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    pieces = [bytes([byte]) for byte in GREETING + chunked + http(b"x" * 200)]
    board = Switchboard(Scripted(*pieces))
    assert (board.ask(), board.ask()) == (b"onetwo", b"x" * 200)


@pytest.mark.parametrize(
    "says",
    [
        (),
        (b"node-2\n", http(b"another node's")),
        (b"\n", http(b"a node without a name")),
        (b"welcome to node-1\nnode-1\n", http(b"a shell that talks")),
        (b"x" * 5000, http(b"without an end")),
        (GREETING,),
        (GREETING, b"Usage: podman system [command]\n"),
        (GREETING, http(b"no such path", "404 Not Found")),
        (GREETING, http(b"client version 1.24 is too old", "400 Bad Request")),
        (GREETING, http(b"cut off")[:-2]),
    ],
)
def test_a_line_that_does_not_serve_is_left_alone_for_a_minute(says: tuple[bytes, ...], clock: list[float]) -> None:
    hopeless = Scripted(*says)
    board = Switchboard(hopeless, Scripted(GREETING, http(b"fine")))
    assert board.ask() is None
    assert hopeless.closed
    clock[0] += engine_line.REST - 1
    assert board.ask() is None
    assert board.calls_left == 1
    clock[0] += 1
    assert board.ask() == b"fine"


def test_an_answer_that_cannot_be_read_is_left_to_the_command() -> None:
    def refuse(body: bytes) -> bytes:
        raise EngineUnavailable("node-1", "cannot be read")

    board = Switchboard(Scripted(GREETING, http(b"{}"), http(b"[]")), Scripted(GREETING))
    assert board.ask(refuse) is None
    assert board.ask() is None
    assert board.calls_left == 1


def test_an_engine_that_was_restarted_is_called_again_at_once(clock: list[float]) -> None:
    board = Switchboard(Scripted(GREETING, http(b"before")), Scripted(GREETING, http(b"after")))
    assert board.ask() == b"before"
    clock[0] += engine_line.REST
    assert board.ask() == b"after"


def test_an_engine_that_hangs_up_when_idle_is_not_called_each_time(clock: list[float]) -> None:
    board = Switchboard(Scripted(GREETING, http(b"once")), Scripted(GREETING, http(b"again")))
    assert board.ask() == b"once"
    clock[0] += 10
    assert (board.ask(), board.calls_left) == (None, 1)


def test_an_engine_that_closes_after_each_answer_is_not_called_each_time() -> None:
    board = Switchboard(Scripted(GREETING, http(b"once", more="Connection: close\r\n")), Scripted(GREETING))
    assert board.ask() == b"once"
    assert (board.ask(), board.calls_left) == (None, 1)


def test_a_connection_that_broke_is_not_the_engines_fault() -> None:
    broken = Scripted(GREETING, http(b"before"), connected=False)
    board = Switchboard(broken, Scripted(GREETING, http(b"after")))
    assert (board.ask(), board.ask()) == (b"before", b"after")


def test_connections_that_go_on_breaking_are_left_to_the_command() -> None:
    board = Switchboard(*(Scripted(GREETING, connected=False) for _ in range(3)))
    assert (board.ask(), board.calls_left) == (None, 1)


def test_a_node_that_does_not_answer_is_a_failure_and_the_line_is_new_when_it_is_back() -> None:
    frozen = Scripted(GREETING, http(b"before"), Unreachable("node-1", "stopped answering"), connected=False)
    board = Switchboard(frozen, Scripted(GREETING, http(b"after")))
    assert board.ask() == b"before"
    with pytest.raises(Unreachable):
        board.ask()
    assert frozen.closed
    assert board.ask() == b"after"


def test_an_engine_that_hangs_on_a_living_node_costs_its_deadline_once() -> None:
    board = Switchboard(Scripted(GREETING, Unreachable("node-1", "not within its deadline")), Scripted(GREETING))
    with pytest.raises(Unreachable):
        board.ask()
    assert (board.ask(), board.calls_left) == (None, 1)


def test_a_line_that_was_given_up_is_hung_up_and_never_opened_again(clock: list[float]) -> None:
    dialogue = Scripted(GREETING, http(b"before"), http(b"never asked"))
    board = Switchboard(dialogue, Scripted(GREETING))
    assert board.ask() == b"before"
    board.line.give_up()
    assert dialogue.closed
    clock[0] += 1e9
    assert (board.ask(), board.calls_left) == (None, 1)
