"""The API in agents mode for apps that are bound to nodes: of mode global, and with data."""

from __future__ import annotations

from typing import Any

from tests.api.agents_api import Client, agent, app, beat, copy, operator, told, told_revision
from tests.api.test_api_push import problem

__all__ = ["agent", "app", "operator"]


def test_an_app_of_mode_global_is_told_to_the_scheduler_and_shows_the_nodes_that_wait(operator: Client, agent: Client) -> None:
    before = told_revision(operator)
    operator("POST", "/app/start", {"name": "exporter", "image": "nginx", "deploy": {"mode": "global"}, "on": "web"})
    assert told_revision(operator) > before
    (entry,) = (operator("GET", "/apps?nodeName=").json or {})["everywhere"]
    assert (entry["name"], entry["mode"], entry["slots"]) == ("exporter", "global", {})
    assert [(one["slot"], one["status"]) for one in instances_of(operator)] == [(1, "pending"), (2, "pending")]
    bindings = [{"name": "exporter", "slot": 2, "node": "node-1", "revision": entry["revision"]}]
    assert operator("PUT", "/apps", {"apps": bindings}).json == {"bound": 1, "refused": {}}
    assert told(operator) == []
    share = agent("GET", "/apps?nodeName=node-1").json or {}
    assert [("mode" in one, "bound" in one, one["slot"]) for one in share["apps"]] == [(False, False, 2)]
    (bound,) = (operator("GET", "/apps?nodeName=node-1").json or {})["apps"]
    assert bound["bound"] == "node-1"
    operator("PUT", "/apps", {"apps": [{"name": "exporter", "slot": 2, "node": ""}]})
    events = (operator("GET", "/events").json or {})["events"]
    assert (events[-1]["kind"], events[-1]["message"]) == ("unscheduled", "exporter.2 unscheduled")
    assert (operator("GET", "/apps?nodeName=").json or {})["everywhere"][0]["slots"] == {}
    refused = problem(operator("PUT", "/app/exporter", {"replicas": 3}), 422)
    assert [error["path"] for error in refused["errors"]] == ["replicas"]
    operator("PUT", "/app/exporter", {"mode": "replicated", "replicas": 2})
    assert (operator("GET", "/apps?nodeName=").json or {})["everywhere"] == []


def instances_of(operator: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (operator("GET", "/app/exporter").json or {})["instances"]
    return found


def test_each_node_that_waits_shows_its_own_part_of_the_reason(operator: Client) -> None:
    operator("PUT", "/app/exporter", {"image": "nginx", "mode": "global"})
    why = "node-1 does not fit: suspect; node-3 does not fit: with port 80/tcp taken"
    operator("PUT", "/app/exporter", {"node": ["", "node-2"]})
    operator("POST", "/events", {"events": [{"kind": "pending", "message": why, "app": "exporter"}]})
    assert [one["note"] for one in instances_of(operator) if one["status"] == "pending"] == why.split("; ")


DATA = {"image": "postgres", "volumes": ["db:/data"]}


def test_an_instance_is_bound_to_the_node_that_has_its_data(operator: Client, agent: Client) -> None:
    operator("PUT", "/app/db", {**DATA, "node": "node-1"})
    # Where it is placed counts until it has run, so that a lost node keeps it.
    assert [(one["bound"], one["data"]) for one in told_of("node-1", operator)] == [("node-1", "volume db")]
    assert operator("GET", "/data").json == {"data": {}}
    beat(agent, "node-1", copy("db"))
    assert operator("GET", "/data").json == {"data": {"db": ["node-1", ["db"], 0]}}
    assert "data" not in told_of("node-1", agent)[0]
    operator("PUT", "/apps", {"apps": [{"name": "db", "node": ""}]})
    (waiting,) = told_of("", operator)
    assert (waiting["bound"], waiting["data"]) == ("node-1", "volume db")
    answer = operator("PUT", "/apps", {"apps": [{"name": "db", "node": "node-2"}]}).json or {}
    assert (answer["bound"], list(answer["refused"])) == (0, ["db"])
    assert "would start without it on node-2" in problem(operator("PUT", "/app/db", {"node": "node-2"}), 409)["detail"]


def told_of(node: str, client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (client("GET", f"/apps?nodeName={node}").json or {})["apps"]
    return found


def test_a_withdrawn_app_finds_its_data_again_and_says_what_it_waits_for(operator: Client, agent: Client) -> None:
    operator("PUT", "/app/db", {**DATA, "node": "node-1"})
    beat(agent, "node-1", copy("db"))
    operator("DELETE", "/app/db")
    operator("PUT", "/app/db", DATA)
    assert [one["bound"] for one in told_of("", operator)] == ["node-1"]
    problem(agent("GET", "/data"), 403)


def test_only_a_person_who_accepts_the_loss_moves_data(operator: Client, agent: Client) -> None:
    operator("PUT", "/app/db", {**DATA, "node": "node-1"})
    problem(operator("POST", "/instance/db/move", {"accept_data_loss": True}), 404)
    beat(agent, "node-1", copy("db"))
    refused = problem(operator("POST", "/instance/db/move", {"to": "node-2"}), 409)
    assert "db has its data (volume db) on node-1" in refused["detail"]
    problem(operator("POST", "/instance/db/move", {"accept_data_loss": True}), 409)
    problem(operator("POST", "/instance/db/move", {"to": "node-9", "accept_data_loss": True}), 422)
    problem(operator("POST", "/instance/db/move", {"where": "node-2"}), 422)
    problem(agent("POST", "/instance/db/move", {"to": "node-2", "accept_data_loss": True}), 403)
    moved = operator("POST", "/instance/db/move", {"to": "node-2", "accept_data_loss": True}).json or {}
    assert moved == {"app": "db", "instance": "db", "node": "node-2", "left": "node-1"}
    # The old copy stays until the new one runs, and binds nothing.
    beat(agent, "node-1", copy("db"))
    assert (operator("GET", "/app/db").json or {})["node"] == "node-2"
    assert operator("GET", "/data").json == {"data": {}}
    operator("PUT", "/node/node-2", {"cordoned": True})
