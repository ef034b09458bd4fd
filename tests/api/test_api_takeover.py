"""A cluster enters agents mode: all that another mode ran becomes the state at once, with its past."""

from __future__ import annotations

from typing import Any

import pytest

from duckconf.by_revision import revision_to_json
from duckconf.model import App
from duckconf.rollout import Revision
from tests.api.agents_api import NODES, Client, app, decide, operator
from tests.api.test_api_rollouts import NEW, OLD, agents, outcomes, report, told

__all__ = ["agents", "app", "operator"]

PAST = [
    {**revision_to_json(Revision(1, App("nginx:1"), "done")), "since": 5.0},
    {**revision_to_json(Revision(2, App("nginx:2"), "failed", "it ended")), "since": 6.0},
]
WEB = {
    "app": {"name": "web", "image": "nginx:2", "replicas": 3},
    "nodes": list(NODES),
    "slots": {str(slot): OLD for slot in (1, 2, 3)},
    "ended": {},
    "history": PAST,
}
JOB = {
    "app": {"name": "job", "image": "nginx:1", "restart": "on-failure:1"},
    "nodes": ["node-1"],
    "slots": {},
    "ended": {"1": f"{OLD}:4:1"},
    "history": [],
}


def take_over(operator: Client, *apps: dict[str, Any], data: Any = None) -> Any:
    return operator("PUT", "/takeover", {"apps": list(apps), "data": data or {}})


def test_what_another_mode_took_back_is_not_started_again(operator: Client, agents: dict[str, Client]) -> None:
    assert take_over(operator, WEB, JOB).json == {"apps": ["job", "web"]}
    assert told(agents) == {1: "nginx:1", 2: "nginx:1", 3: "nginx:1"}
    report(agents, {1: OLD, 2: OLD, 3: OLD})
    decide(operator)
    assert told(agents) == {1: "nginx:1", 2: "nginx:1", 3: "nginx:1"}
    revisions = (operator("GET", "/app/web/history").json or {})["revisions"]
    assert [(item["outcome"], item["since"]) for item in revisions] == [("done", 5.0), ("failed", 6.0)]
    assert (operator("GET", "/app/job").json or {})["status"] == "failed (4)"
    kinds = {event["kind"] for event in (operator("GET", "/events").json or {})["events"]}
    assert (kinds & {"update-failed", "taken-over"}) == {"taken-over"}


def test_apps_that_were_left_here_are_gone_when_the_other_mode_withdrew_them(operator: Client, agents: dict[str, Client]) -> None:
    operator("PUT", "/app/old", {"image": "nginx", "node": ["node-2"]})
    operator("PUT", "/app/web", {"image": "nginx:1", "replicas": 3, "node": list(NODES)})
    report(agents, {1: OLD, 2: OLD, 3: OLD})
    decide(operator)
    operator("PUT", "/app/web", {"image": "nginx:3"})
    late = (operator("GET", "/rollouts").json or {})["rollouts"]
    take_over(operator, WEB)
    assert [entry["name"] for entry in (operator("GET", "/apps").json or {})["apps"]] == ["web"]
    assert outcomes(operator) == [(1, "done"), (2, "failed")]
    # Decided on what was here before.
    before = [revision_to_json(Revision(1, App("nginx:1"), "done")), revision_to_json(Revision(2, App("nginx:3")))]
    slots = {"1": NEW}
    for revision in (late[0]["revision"], (operator("GET", "/app/web").json or {})["revision"]):
        decision = {"app": "web", "revision": revision, "slots": slots, "history": before, "note": "", "said": ""}
        assert (operator("PUT", "/rollouts", {"rollouts": [decision]}).json or {})["decided"] == 0
    assert told(agents) == {1: "nginx:1", 2: "nginx:1", 3: "nginx:1"}


def test_data_is_taken_over_too_and_an_app_without_a_node_waits_for_the_scheduler(operator: Client) -> None:
    data = {"db": ["node-2", ["db"], 0], "old": ["node-3", ["v"], 2]}
    db = {**JOB, "app": {"name": "db", "image": "postgres", "volumes": ["db:/data"]}, "nodes": [], "ended": {}}
    take_over(operator, db, data=data)
    assert (operator("GET", "/data").json or {})["data"] == data
    (waiting,) = (operator("GET", "/apps?nodeName=").json or {})["apps"]
    assert (waiting["name"], waiting["bound"]) == ("db", "node-2")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"apps": [], "data": [1]},
        {"apps": {}, "data": {}},
        {"apps": [{"app": {"name": "web", "image": "nginx"}}], "data": {}},
        {"apps": [{**JOB, "ended": {"1": "so"}}], "data": {}},
        {"apps": [{**WEB, "history": [{}]}], "data": {}},
        {"apps": [WEB, {**JOB, "app": {"name": "job", "image": "nginx", "secrets": ["nobody"]}}], "data": {}},
    ],
)
def test_what_cannot_be_taken_over_changes_nothing(operator: Client, agents: dict[str, Client], body: Any) -> None:
    operator("PUT", "/app/web", {"image": "nginx:1", "replicas": 3, "node": list(NODES)})
    report(agents, {1: OLD, 2: OLD, 3: OLD})
    decide(operator)
    assert operator("PUT", "/takeover", body).status_code == 422
    assert outcomes(operator) == [(1, "done")]
    assert agents["node-1"]("PUT", "/takeover", body).status_code == 403


@pytest.mark.parametrize("app", ["files"], indirect=True)
def test_a_state_that_cannot_be_read_keeps_its_past(operator: Client, agents: dict[str, Client], tmp_path: Any) -> None:
    operator("PUT", "/app/web", {"image": "nginx:1", "replicas": 3, "node": list(NODES)})
    report(agents, {1: OLD, 2: OLD, 3: OLD})
    decide(operator)
    (tmp_path / "state.csv").write_bytes(b"\x00\xff no state")
    assert take_over(operator, WEB).status_code == 503
    assert outcomes(operator) == [(1, "done")]
