"""What a person asks of a node in agents mode: its agent comes for it and brings the answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.api.agents_api import Client, agent, app, beat, operator
from tests.api.test_api_push import problem
from tests.waiting import until

__all__ = ["agent", "app", "operator"]

WEB = "/node/node-1/container/duckconf-web"


def told(agent: Client) -> list[dict[str, Any]]:
    """The questions, as soon as there are any: they come with what the node should run."""
    share = agent("GET", "/apps?nodeName=node-1").json or {}
    while not share.get("questions"):
        share = agent("GET", f"/apps?nodeName=node-1&since={share['revision']}&wait=5").json or {}
    return list(share["questions"])


def asked(operator: Client, method: str, path: str, body: Any = None) -> Future[TestResponse]:
    return ThreadPoolExecutor(1).submit(operator, method, path, body)


def test_the_agent_is_told_at_once_and_whoever_asks_gets_its_answer(operator: Client, agent: Client) -> None:
    beat(agent)
    log = asked(operator, "GET", f"{WEB}/log?lines=3")
    (question,) = told(agent)
    assert question == {"id": question["id"], "log": ["node-1", "duckconf-web"], "lines": 3}
    assert agent("PUT", f"/node/node-1/answers/{question['id']}", {"text": "hello\n"}).status_code == 200
    assert log.result(10).json == {"node": "node-1", "container": "duckconf-web", "text": "hello\n"}
    assert "questions" not in (agent("GET", "/apps?nodeName=node-1").json or {})


def test_a_failure_on_the_node_is_told_in_its_own_words_and_kills_nothing(operator: Client, agent: Client) -> None:
    beat(agent)
    kill = asked(operator, "POST", f"{WEB}/kill", {})
    (question,) = told(agent)
    failure = {"kind": "NotFound", "node": "", "message": "node-1 has no container duckconf-web of cluster demo", "remedy": "x"}
    agent("PUT", f"/node/node-1/answers/{question['id']}", {"failure": failure})
    assert "has no container duckconf-web" in problem(kill.result(10), 404)["detail"]
    assert [event["kind"] for event in (operator("GET", "/events").json or {})["events"]] == []


def test_a_kill_is_an_event(operator: Client, agent: Client) -> None:
    beat(agent)
    kill = asked(operator, "POST", f"{WEB}/kill", {})
    (question,) = told(agent)
    agent("PUT", f"/node/node-1/answers/{question['id']}", {"text": ""})
    assert kill.result(10).status_code == 200
    assert [event["kind"] for event in (operator("GET", "/events").json or {})["events"]] == ["killed"]


def test_two_questions_at_once_have_their_own_answers(operator: Client, agent: Client) -> None:
    beat(agent)
    logs = {name: asked(operator, "GET", f"/node/node-1/container/{name}/log") for name in ("a", "b")}
    until("both are told", lambda: len(told(agent)) == 2)
    for question in told(agent):
        agent("PUT", f"/node/node-1/answers/{question['id']}", {"text": f"of {question['log'][1]}"})
    assert {name: (log.result(10).json or {})["text"] for name, log in logs.items()} == {"a": "of a", "b": "of b"}


@pytest.mark.parametrize("said", [{}, {"text": 1}, {"text": "", "failure": {}}, {"failure": {"kind": "x"}}, []])
def test_an_answer_that_is_none_is_refused_and_still_waited_for(operator: Client, agent: Client, said: object) -> None:
    beat(agent)
    log = asked(operator, "GET", f"{WEB}/log")
    (question,) = told(agent)
    problem(agent("PUT", f"/node/node-1/answers/{question['id']}", said), 422)
    agent("PUT", f"/node/node-1/answers/{question['id']}", {"text": "well"})
    assert (log.result(10).json or {})["text"] == "well"


def test_a_node_that_is_not_heard_is_not_asked(operator: Client) -> None:
    assert "its agent was last heard" in problem(operator("GET", f"{WEB}/log"), 503)["detail"]
    assert "there is no node" in problem(operator("GET", "/node/nobody/container/x/log"), 404)["detail"]


def test_only_the_operator_asks_and_only_the_agent_of_the_node_answers(app: Flask, agent: Client) -> None:
    problem(agent("POST", f"{WEB}/kill", {}), 403)
    problem(agent("GET", f"{WEB}/log"), 403)
    problem(Client(app, "token of node-2")("PUT", "/node/node-1/answers/x", {"text": ""}), 403)
    problem(agent("PUT", "/node/node-1/answers/x", {"text": ""}), 404)


def test_without_an_answer_the_person_is_told_after_a_while(
    operator: Client, agent: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat(agent)
    waits: Callable[..., bool] = threading.Condition.wait_for
    monkeypatch.setattr(threading.Condition, "wait_for", lambda self, holds, _=None: waits(self, holds, 0.1))
    assert "did not answer within" in problem(operator("GET", f"{WEB}/log"), 503)["detail"]
    assert "questions" not in (agent("GET", "/apps?nodeName=node-1").json or {})
