"""The id of a request in agents mode: it comes back to the agents, for their logs."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from controllers.contact import Contact
from controllers.heart import Heart
from duckconf.events import Event, with_ids
from duckconf.reach.api.agent_config import AgentConfig
from tests.api.agents_api import Client, agent, app, operator

__all__ = ["agent", "app", "operator"]


def test_an_agent_logs_what_it_told_with_the_id_of_the_request(
    operator: Client, agent: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(_: Contact, method: str, path: str, body: Any = None, **__: float) -> Any:
        return agent(method, path, body).json

    monkeypatch.setattr(Contact, "call", call)
    operator("POST", "/app/start", {"image": "nginx", "name": "web"})
    heart = Heart(AgentConfig("demo", "node-1", "http://api"), "one", lambda: None)
    heart.see((), time.monotonic())
    heart.tell(Event("started", "web started", "web"))
    with caplog.at_level(logging.INFO, "agent"):
        heart.beat()
    (declared, started) = (operator("GET", "/events").json or {})["events"]
    (logged,) = [record.event for record in caplog.records if record.name == "agent" and hasattr(record, "event")]
    assert (logged.kind, logged.app, logged.node, logged.id) == ("started", "web", "node-1", declared["id"])
    assert started["id"] == declared["id"]


def test_a_component_is_told_the_ids_of_what_it_told_and_of_a_known_wait_none(operator: Client) -> None:
    operator("POST", "/app/start", {"image": "nginx", "name": "web"})
    waits = {"kind": "pending", "message": "no node fits: 3 cordoned", "app": "web"}
    first, second = ((operator("POST", "/events", {"events": [waits]}).json or {})["ids"] for _ in range(2))
    (declared, _) = (operator("GET", "/events").json or {})["events"]
    assert (first, second) == ([declared["id"]], [""])


@pytest.mark.parametrize("told", [None, [], "no list"])
def test_an_older_server_tells_no_ids(told: object) -> None:
    events = [Event("started", "x", "web")]
    assert with_ids(events, told) == events
