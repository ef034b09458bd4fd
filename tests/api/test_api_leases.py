"""Leases and the fence over HTTP, with all that the servers keep in files and in one table."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from duckconf.leading import HEADER
from tests.api.agents_api import Client, agent, app, beat, operator

__all__ = ["agent", "app", "operator"]
ONE, TWO = {"who": "one", "process": "p"}, {"who": "two", "process": "q"}
FIRST, SECOND = {HEADER: "scheduler/1/p"}, {HEADER: "scheduler/2/q"}


def taken(operator: Client, who: dict[str, Any], name: str = "scheduler") -> dict[str, Any]:
    answer: dict[str, Any] = operator("PUT", f"/leases/{name}", who).json or {}
    return answer


@pytest.fixture
def replaced(operator: Client) -> None:
    """`one` led, and `two` does now."""
    assert operator("POST", "/app/start", {"image": "nginx", "name": "web"}).status_code == 202
    assert taken(operator, ONE) == {"name": "scheduler", "term": 1, "who": "one", "process": "p", "yours": True}
    assert taken(operator, TWO) == {"name": "scheduler", "term": 1, "who": "one", "process": "p", "yours": False}
    assert operator("DELETE", "/leases/scheduler?process=p").json == {"name": "scheduler", "term": 1, "who": "", "process": ""}
    assert taken(operator, TWO)["yours"]


WRITES: list[tuple[str, str, Callable[[str], Any]]] = [
    ("PUT", "/apps", lambda revision: {"apps": [{"name": "web", "node": "node-1", "revision": revision}]}),
    ("PUT", "/rollouts", lambda _: {"rollouts": []}),
    ("PUT", "/rebalance", lambda _: {"done": 3, "owed": "", "moving": {}, "left": [], "known": [], "waits": "", "moved": 0}),
    ("POST", "/events", lambda _: {"events": [{"kind": "pending", "message": "x", "app": "web", "source": "scheduler"}]}),
    ("PUT", "/app/web", lambda _: {"image": "other"}),
    ("DELETE", "/app/web", lambda _: None),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES, ids=[f"{method} {path}" for method, path, _ in WRITES])
@pytest.mark.usefixtures("replaced")
def test_every_write_of_a_term_that_is_over_is_refused_and_changes_nothing(
    operator: Client, agent: Client, method: str, path: str, body: Callable[[str], Any]
) -> None:
    beat(agent)

    def state() -> tuple[Any, ...]:
        apps, told = operator("GET", "/apps").json or {}, operator("GET", "/rebalance").json or {}
        return apps["apps"], told["progress"], (operator("GET", "/events").json or {})["events"]

    before = state()
    content = body(before[0][0]["revision"])
    refused = operator(method, path, content, **FIRST)
    assert (refused.status_code, refused.mimetype) == (412, "application/problem+json")
    assert refused.json is not None
    assert refused.json["detail"] == "term 1 of scheduler is over: two leads in term 2 (nothing was changed)"
    assert state() == before
    assert operator(method, path, content, **SECOND).status_code in (200, 201)


@pytest.mark.usefixtures("replaced")
def test_a_read_needs_no_term_and_a_request_without_one_is_not_fenced(operator: Client) -> None:
    assert operator("GET", "/apps", **FIRST).status_code == 200
    assert operator("PUT", "/app/web", {"image": "other"}).status_code == 200


@pytest.mark.usefixtures("replaced")
def test_in_writes_that_arrive_together_each_has_its_own_fence(app: Flask, operator: Client) -> None:
    """Late ones, ones of the leader and ones of a person share a flush, and any of their threads may write it."""
    answers: dict[tuple[str, int], int] = {}

    def write(kind: str, headers: dict[str, str]) -> None:
        client = Client(app, "op")
        for number in range(10):
            name = f"{kind}-{number}"
            answers[kind, number] = client("PUT", f"/app/{name}", {"image": "nginx"}, **headers).status_code

    threads = [threading.Thread(target=write, args=pair) for pair in (("late", FIRST), ("leader", SECOND), ("person", {}))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(kind, status) for (kind, _), status in answers.items()} == {("late", 412), ("leader", 201), ("person", 201)}
    apps = {entry["name"] for entry in (operator("GET", "/apps").json or {})["apps"]}
    assert apps == {"web", *(f"{kind}-{number}" for kind in ("leader", "person") for number in range(10))}


def test_the_leases_are_listed_with_their_holders(operator: Client) -> None:
    taken(operator, ONE, "node-controller")
    assert taken(operator, {**ONE, "term": 1}, "node-controller")["yours"]
    nobody, led = (operator("GET", "/leases").json or {})["leases"]
    assert (nobody["name"], nobody["term"], nobody["who"]) == ("scheduler", 0, "")
    assert (led["name"], led["term"], led["who"], led["process"]) == ("node-controller", 1, "one", "p")
    assert 0 <= led["age"] < 5


def test_what_is_no_request_for_a_lease_is_told(operator: Client, agent: Client) -> None:
    assert operator("PUT", "/leases/web", ONE).status_code == 404
    assert operator("PUT", "/leases/scheduler", {**ONE, "term": 7}).status_code == 412
    wrong: list[Any] = [[], {"who": "one"}, {**ONE, "more": 1}, {**ONE, "who": ""}, {**ONE, "term": -1}, {**ONE, "begun": 1}]
    for body in wrong:
        assert operator("PUT", "/leases/scheduler", body).status_code == 422, body
    assert operator("DELETE", "/leases/scheduler").status_code == 422
    assert operator("PUT", "/apps", {"apps": []}, **{HEADER: "web/1"}).status_code == 422
    for method, path in (("GET", "/leases"), ("PUT", "/leases/scheduler"), ("DELETE", "/leases/scheduler")):
        assert agent(method, path, ONE).status_code == 403
