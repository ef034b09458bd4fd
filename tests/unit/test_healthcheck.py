"""The verdict on an instance: what a check is, how attempts become a verdict, and what one attempt finds."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckconf.errors import BadInput
from duckconf.healthcheck import (
    HEALTHY,
    LONGEST_WORDS,
    SHELL,
    SHORTEST,
    STARTING,
    UNHEALTHY,
    Check,
    State,
    addresses,
    after,
    check_of,
    from_image,
    pause,
    reason,
)
from duckconf.healthcheck_kind import label_of
from duckconf.model import parse_app
from duckconf.reach.nodes.probe import reach

CHECKS = st.builds(
    Check,
    command=st.just(("true",)),
    interval=st.floats(SHORTEST, 100),
    retries=st.integers(1, 5),
    start_period=st.floats(0, 100),
    start_interval=st.floats(0, 100),
)
ATTEMPTS = st.lists(st.tuples(st.booleans(), st.floats(0, 50)), max_size=40)


def states(check: Check, attempts: list[tuple[bool, float]]) -> Iterator[tuple[State, bool, float, State]]:
    """Each attempt: the state before it, whether it passed, the age at which it began, and the state after it."""
    state, age = State(), 0.0
    for passed, wait in attempts:
        age += wait
        before, state = state, after(check, state, passed=passed, words="x", age=age)
        yield before, passed, age, state


@given(CHECKS, ATTEMPTS)
def test_one_attempt_that_passes_makes_it_healthy(check: Check, attempts: list[tuple[bool, float]]) -> None:
    for _, passed, _, state in states(check, attempts):
        assert state.verdict == HEALTHY or not passed


@given(CHECKS, ATTEMPTS)
def test_only_retries_failures_in_a_row_make_it_unhealthy(check: Check, attempts: list[tuple[bool, float]]) -> None:
    row = 0
    for before, passed, _, state in states(check, attempts):
        row = 0 if passed else row + 1
        if state.verdict == UNHEALTHY != before.verdict:
            assert row >= check.retries
        if before.verdict == HEALTHY and row >= check.retries:
            assert state.verdict == UNHEALTHY


@given(CHECKS, ATTEMPTS)
def test_it_is_given_time_to_start_and_no_longer_once_it_was_healthy(check: Check, attempts: list[tuple[bool, float]]) -> None:
    been_healthy = False
    for before, passed, age, state in states(check, attempts):
        if not been_healthy and age < check.grace and not passed:
            assert state.verdict == before.verdict == STARTING
        been_healthy = been_healthy or passed


@given(CHECKS, ATTEMPTS, st.floats(0, 200))
def test_attempts_never_follow_each_other_without_a_pause(check: Check, attempts: list[tuple[bool, float]], age: float) -> None:
    for *_, state in states(check, attempts):
        assert SHORTEST <= pause(check, state, age) <= check.interval


def test_the_first_attempts_come_soon_so_that_what_starts_fast_is_ready_fast() -> None:
    check = Check(("true",), start_interval=2.0)
    assert [pause(check, State(attempts=number), 0.0) for number in range(5)] == [0.25, 0.5, 1.0, 2.0, 2.0]
    assert pause(check, State(attempts=5), 31.0) == 30.0
    assert pause(check, State(HEALTHY), 0.0) == 30.0


def test_words_are_cut_and_say_how_often() -> None:
    state = after(Check(retries=1), State(HEALTHY), passed=False, words="w" * 9999, age=0.0)
    assert len(state.words) == LONGEST_WORDS
    assert reason(state).startswith("its check failed once: www")
    again = after(Check(retries=1), state, passed=False, words="exit code 1", age=0.0)
    assert reason(again) == "its check failed 2 times in a row: exit code 1"


IMAGE = {"Test": ["CMD", "curl", "-f", "x"], "Interval": 5_000_000_000, "Timeout": 1_500_000_000, "Retries": 2}
FROM: list[tuple[dict[str, Any], Any, Check | None]] = [
    ({}, None, None),
    ({}, {"Test": ["NONE"]}, None),
    ({}, {"Test": []}, None),
    ({}, IMAGE, Check(("curl", "-f", "x"), interval=5.0, timeout=1.5, retries=2)),
    ({}, {"Test": ["CMD-SHELL", "[ -f /x ]"]}, Check((*SHELL, "[ -f /x ]"))),
    ({"interval": "9s"}, IMAGE, Check(("curl", "-f", "x"), interval=9.0, timeout=1.5, retries=2)),
    ({"interval": "9s"}, None, None),
    ({"disable": True}, IMAGE, None),
    ({"test": ["NONE"]}, IMAGE, None),
    ({"test": "curl x || exit 1"}, None, Check((*SHELL, "curl x || exit 1"))),
    ({"test": "[ -f /x ]"}, None, Check((*SHELL, "[ -f /x ]"))),
    ({"test": ["CMD-SHELL", '["CMD"]']}, None, Check((*SHELL, '["CMD"]'))),
    (
        {"test": ["CMD", "a", "b c"], "retries": "5", "start_period": "1m"},
        None,
        Check(("a", "b c"), retries=5, start_period=60.0),
    ),
    ({"http": "/up?a=b:8080"}, None, Check((), "/up?a=b", 8080)),
    ({"http": "/"}, None, Check((), "/", 80)),
    ({"tcp": 5432, "timeout": "500ms", "interval": "0s"}, None, Check((), "", 5432, timeout=0.5)),
    ({"tcp": 5432}, IMAGE, Check((), "", 5432, interval=5.0, timeout=1.5, retries=2)),
]


@pytest.mark.parametrize(("field", "image", "check"), FROM)
def test_a_check_comes_from_the_field_and_what_that_lacks_from_the_image(
    field: dict[str, Any], image: Any, check: Check | None
) -> None:
    own = parse_app({"image": "x", "healthcheck": field}).healthcheck
    assert check_of(own, image) == check
    if label := label_of(own):
        assert check_of(json.loads(label), image) == check
    else:
        assert check is None or not own


def test_an_image_that_tells_strange_things_has_no_check() -> None:
    strange: list[Any] = [None, [], "x", {"Test": "x"}, {"Test": None}]
    assert [from_image(told) for told in strange] == [{}] * len(strange)


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ({"test": ["curl"]}, "healthcheck/test"),
        ({"test": ["CMD"]}, "healthcheck/test"),
        ({"test": ["CMD-SHELL", "a", "b"]}, "healthcheck/test"),
        ({"test": ["CMD", 1]}, "healthcheck/test"),
        ({"test": "x" * 5000}, "healthcheck/test"),
        ({"http": "up"}, "healthcheck/http"),
        ({"http": "/up\r\nX: y"}, "healthcheck/http"),
        ({"http": "/:70000"}, "healthcheck/http"),
        ({"tcp": "x"}, "healthcheck/tcp"),
        ({"tcp": 1, "http": "/"}, "healthcheck/tcp"),
        ({"retries": "many"}, "healthcheck/retries"),
        ({"interval": "5"}, "healthcheck/interval"),
        ({"disable": "maybe"}, "healthcheck/disable"),
        ({"start": "5s"}, "healthcheck/start"),
        ("curl", "healthcheck"),
    ],
)
def test_a_check_that_is_wrong_is_refused_where_it_is_wrong(field: object, path: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_app({"image": "x", "healthcheck": field})
    assert [fault.path for fault in caught.value.faults] == [path]


def test_the_node_reaches_a_port_at_the_containers_address_or_where_it_is_published() -> None:
    bound = {"80/tcp": [{"HostIp": "", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}]}
    own = {"NetworkSettings": {"IPAddress": "10.0.0.2", "Ports": bound}}
    assert addresses(own, 80) == [("10.0.0.2", 80), ("127.0.0.1", 8080)]
    assert addresses({"NetworkSettings": {"IPAddress": "", "Networks": {"x": {"IPAddress": "10.0.0.3"}}}}, 80) == [
        ("10.0.0.3", 80)
    ]
    assert addresses({"NetworkSettings": {"IPAddress": "", "Ports": bound}}, 80) == [("127.0.0.1", 8080)]
    assert addresses({"HostConfig": {"NetworkMode": "host"}}, 80) == [("127.0.0.1", 80)]
    assert addresses({"NetworkSettings": {"Ports": {"80/tcp": None}}}, 80) == []


@contextmanager
def served(answer: Callable[[socket.socket], None]) -> Iterator[tuple[str, int]]:
    """A port of this machine where each connection is answered so."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, suppress(OSError):
                    answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()


def says(answer: bytes) -> Callable[[socket.socket], None]:
    def reply(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(answer)

    return reply


@pytest.mark.parametrize(
    ("answer", "passed", "words"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True, "HTTP 200"),
        (b"HTTP/1.0 302 Found\r\n\r\n", True, "HTTP 302"),
        (b"HTTP/1.1 503 Busy\r\n\r\n" + b"x" * 100_000, False, "HTTP 503"),
        (b"SSH-2.0-OpenSSH\r\n", False, "its answer is not HTTP"),
        (b"z" * 100_000, False, "its answer is not HTTP"),
        (b"", False, "closed without an answer"),
    ],
)
def test_the_status_of_an_http_answer_is_the_outcome(answer: bytes, passed: bool, words: str) -> None:
    with served(says(answer)) as address:
        outcome = reach(Check((), "/up", 80), [address])
    assert outcome.passed is passed
    assert outcome.words == f"GET http://127.0.0.1:{address[1]}/up: {words}" or b"z" in answer


def test_a_server_that_says_nothing_or_one_sign_at_a_time_costs_the_timeout() -> None:
    def drips(connection: socket.socket) -> None:
        connection.settimeout(0.05)
        for _ in range(100):
            connection.sendall(b"H")
            time.sleep(0.05)

    for answer in (lambda connection: connection.recv(1), drips):
        with served(answer) as address:
            begun = time.monotonic()
            outcome = reach(Check((), "/up", 80, timeout=0.3), [address])
            assert time.monotonic() - begun < 1.0
        assert outcome.passed is False


def test_tcp_passes_where_something_listens_at_any_of_the_addresses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = server.getsockname()
        assert reach(Check(port=80), [("127.0.0.1", 1), here]).passed
    refused = reach(Check(port=80), [("127.0.0.1", 1), here])
    assert refused == (False, f"127.0.0.1:{here[1]}: Connection refused")
    assert reach(Check(port=80), []).words.startswith("the node does not reach port 80 of the container; publish it")
