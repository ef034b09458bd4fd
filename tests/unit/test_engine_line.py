"""The line to an engine: what is asked, what is made of the answers, and when a command asks instead."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckconf import engine
from duckconf.command import Command, Completed
from duckconf.engine_output import read_containers, read_listing
from duckconf.errors import EngineUnavailable, NodeFailure, Unreachable
from duckconf.model import App
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


PING = {"podman": http(b"OK", more="Libpod-API-Version: 4.3.1\r\n"), "docker": http(b"OK")}
MADE, STARTED = http(b'{"Id": "f00"}', "201 Created"), b"HTTP/1.1 204 No Content\r\n\r\n"
RUN = engine.run("web", App("x"), {}, {})


def perform(board: Switchboard) -> Completed | None:
    assert RUN.request is not None
    return board.line.perform(RUN.request, 60.0)


@pytest.mark.parametrize(
    ("kind", "path"), [("podman", b"/v4.0.0/libpod/containers/create"), ("docker", b"/containers/create?name=web")]
)
def test_a_start_is_said_in_the_words_of_the_engine_that_answers(kind: str, path: bytes) -> None:
    dialogue = Scripted(GREETING, PING[kind], MADE, STARTED, MADE, STARTED)
    board = Switchboard(dialogue)
    assert (perform(board), perform(board)) == (Completed(0, "f00\n", ""),) * 2
    assert dialogue.heard.count(b"POST " + path) == 2
    assert dialogue.heard.count(b"GET /_ping") == 1


def test_a_refusal_is_for_the_command_to_tell_and_the_line_stays() -> None:
    dialogue = Scripted(GREETING, PING["podman"], http(b"{}", "404 Not Found"), http(b"fine"))
    board = Switchboard(dialogue)
    assert perform(board) is None
    assert board.ask() == b"fine"
    assert not dialogue.closed


@pytest.mark.parametrize("answer", [http(b"{}", "201 Created"), http(b"[]", "201 Created"), http(b"x", "201 Created"), b""])
def test_an_answer_to_a_start_that_cannot_be_read_is_left_to_the_command(answer: bytes) -> None:
    dialogue = Scripted(GREETING, PING["podman"], *([answer] if answer else []))
    assert perform(Switchboard(dialogue)) is None
    assert dialogue.closed


def test_a_node_that_falls_silent_in_a_start_may_have_run_it() -> None:
    silent = Unreachable("node-1", "stopped answering", may_have_run=True)
    with pytest.raises(Unreachable) as caught:
        perform(Switchboard(Scripted(GREETING, PING["podman"], silent)))
    assert caught.value.may_have_run


class Held(Scripted):
    """Answers once it is let go."""

    def __init__(self, go: threading.Event) -> None:
        super().__init__(GREETING, http(b"late"))
        self._go = go

    def receive(self, size: int, end: float) -> bytes:
        assert self._go.wait(10)
        return super().receive(size, end)


def test_askers_at_once_have_a_line_each_up_to_a_few_and_the_others_are_told_to_use_a_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_line, "PATIENCE", 0.01)
    go, one_too_many = threading.Event(), engine_line.LINES + 1
    board = Switchboard(*(Held(go) for _ in range(one_too_many)))
    with ThreadPoolExecutor(one_too_many) as pool:
        asked = [pool.submit(board.ask) for _ in range(one_too_many)]
        assert next(as_completed(asked, 10)).result() is None
        go.set()
        assert sorted(str(one.result()) for one in asked) == ["None", *["b'late'"] * engine_line.LINES]
    assert board.calls_left == 1


def test_a_line_that_is_not_needed_any_more_is_closed_after_a_minute(clock: list[float]) -> None:
    outer = Scripted(GREETING, http(b"outer"), http(b"later"))
    board = Switchboard(outer, inner := Scripted(GREETING, http(b"inner")))

    def ask_another(body: bytes) -> bytes:
        assert board.ask() == b"inner"
        return body

    assert board.ask(ask_another) == b"outer"
    assert not inner.closed
    clock[0] += engine_line.REST + 1
    assert board.ask() == b"later"
    assert (inner.closed, outer.closed) == (True, False)
