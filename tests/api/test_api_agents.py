"""The API in agents mode: who may do what, what an agent is told, and that nothing refused changes anything."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import validate

from api.openapi import document
from tests.api.agents_api import Client, agent, app, beat, copy, operator, told, told_revision
from tests.api.test_api_push import calls_in, calls_of, problem

__all__ = ["agent", "app", "operator"]


def test_an_instance_on_a_node_that_its_pattern_does_not_mean_is_the_next_to_move(app: Flask, operator: Client) -> None:
    one = Client(app, "token of node-1")
    operator("PUT", "/app/web", {"image": "nginx", "replicas": 2, "node": ["node-1", "node-1"]})
    both = [copy("web"), {**copy("web"), "container": "duckconf-web_2", "slot": 2}]
    beat(one, "node-1", *both)
    assert told(operator) == []
    before = told_revision(operator)
    answer = operator("PUT", "/app/web", {"on": "web"}).json or {}
    assert answer["instances"][0]["note"] == "node-1 is not in web; it moves"
    assert told_revision(operator) > before
    (move,) = told(operator)
    assert (move["name"], move.get("slot", 1), move["node"], move["siblings"]) == ("web", 1, "node-1", ["node-1", "node-1"])
    operator("PUT", "/apps", {"apps": [{"name": "web", "slot": 1, "node": "node-2"}]})
    # The second waits until the first runs at its new place; its old copy is kept until then.
    assert told(operator) == []
    share = one("GET", "/apps?nodeName=node-1").json or {}
    assert share["kept"] == ["web"]
    # Its agent runs what is placed there, and does not place it anew.
    assert [("on" in entry, entry["slot"]) for entry in share["apps"]] == [(False, 2)]
    beat(Client(app, "token of node-2"), "node-2", copy("web"), instance="two")
    assert [(move["name"], move["slot"]) for move in told(operator)] == [("web", 2)]
    operator("PUT", "/apps", {"apps": [{"name": "web", "slot": 2, "node": "node-3"}]})
    assert told(operator) == []


def test_what_is_reserved_of_a_node_and_its_zone_are_told(operator: Client) -> None:
    fields = {"image": "nginx", "node": "node-1", "reserve_cpus": 0.1, "reserve_memory": "1g"}
    for name in ("a", "b", "c"):
        operator("PUT", f"/app/{name}", fields)
    operator("DELETE", "/app/c")
    rows = {row["name"]: row for row in (operator("GET", "/nodes").json or {})["nodes"]}
    assert (rows["node-1"]["reserved"], rows["node-1"]["zone"]) == ({"cpus": 0.2, "memory": 2 * 2**30}, "a")
    assert rows["node-2"]["reserved"] == {"cpus": 0, "memory": 0}


def test_without_a_token_only_healthz_answers(app: Flask) -> None:
    client = app.test_client()
    assert (client.get("/healthz").json or {})["mode"] == "agents"
    for method, path in (("GET", "/apps"), ("POST", "/app/start"), ("GET", "/nodes"), ("GET", "/events"), ("GET", "/metrics")):
        answer = client.open(path, method=method, json={})
        assert problem(answer, 401)["detail"]
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    problem(client.get("/apps", headers={"Authorization": "Bearer wrong"}), 401)
    problem(client.get("/apps", headers={"Authorization": "Basic b3A="}), 401)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/apps", None),
        ("GET", "/apps?nodeName=node-2", None),
        ("GET", "/apps?nodeName=", None),
        ("POST", "/app/start", {"name": "x", "image": "nginx"}),
        ("PUT", "/app/mine", {"image": "nginx"}),
        ("DELETE", "/app/mine", None),
        ("GET", "/app/other", None),
        ("PUT", "/apps", {"apps": [{"name": "mine", "node": ""}]}),
        ("PUT", "/node/node-2/heartbeat", {"instance": "x", "containers": []}),
        ("PUT", "/node/node-1", {"cordoned": True}),
        ("GET", "/nodes", None),
        ("GET", "/events", None),
        ("GET", "/metrics", None),
    ],
)
def test_an_agent_may_only_do_what_is_its_own(operator: Client, agent: Client, method: str, path: str, body: Any) -> None:
    operator("PUT", "/app/mine", {"image": "nginx", "node": "node-1"})
    operator("PUT", "/app/other", {"image": "nginx", "node": "node-2"})
    before = revisions(operator)
    problem(agent(method, path, body), 403)
    assert revisions(operator) == before


def revisions(operator: Client) -> dict[str, str]:
    """Of each app, which change with all that is declared of it and with its placement, and not with the time."""
    return {app["name"]: app["revision"] for app in (operator("GET", "/apps").json or {})["apps"]}


def test_an_agent_reads_its_share_and_says_that_it_lives(operator: Client, agent: Client) -> None:
    operator("PUT", "/app/mine", {"image": "nginx", "node": "node-1"})
    operator("PUT", "/app/other", {"image": "nginx", "node": "node-2"})
    share = agent("GET", "/apps?nodeName=node-1").json or {}
    assert [(app["name"], app["node"]) for app in share["apps"]] == [("mine", "node-1")]
    assert agent("GET", "/app/mine").status_code == 200
    answer = beat(agent, "node-1", copy("mine")).json or {}
    assert (answer["node"], answer["interval"]) == ("node-1", 5.0)
    row = next(node for node in (operator("GET", "/nodes").json or {})["nodes"] if node["name"] == "node-1")
    assert (row["status"], row["apps"], row["cordoned"], row["age"] < 5) == ("ready", 1, False, True)
    shown = operator("GET", "/app/mine").json or {}
    assert (shown["status"], shown["container"]) == ("running", "duckconf-mine")


def test_the_ports_that_an_engine_chose_are_shown(operator: Client, agent: Client) -> None:
    operator("PUT", "/app/mine", {"image": "nginx", "ports": ["80"], "node": "node-1"})
    beat(agent, "node-1", {**copy("mine"), "ports": ["41234:80"]})
    shown = operator("GET", "/app/mine").json or {}
    assert (shown["ports"], shown["published"]) == (["80"], ["41234:80"])


def test_a_second_agent_of_the_same_name_is_refused(agent: Client) -> None:
    assert beat(agent).status_code == 200
    assert "another agent" in problem(beat(agent, instance="two"), 409)["detail"]


def test_each_placement_has_a_higher_generation_and_a_new_spec_keeps_it(operator: Client) -> None:
    operator("POST", "/app/start", {"name": "web", "image": "nginx"})
    generations = [
        (operator("PUT", "/app/web", {"node": node}).json or {}).get("generation", 0) for node in ("node-1", "node-2", "node-1")
    ]
    assert generations == sorted(set(generations))
    changed = operator("PUT", "/app/web", {"image": "nginx:2"}).json or {}
    assert (changed["generation"], changed["node"]) == (generations[-1], "node-1")
    unscheduled = operator("PUT", "/app/web", {"node": ""}).json or {}
    assert (unscheduled["node"], unscheduled["status"]) == ("", "pending")
    again = operator("PUT", "/app/web", {"node": "node-1"}).json or {}
    assert again["generation"] > generations[-1]


def test_each_instance_has_a_place_of_its_own_and_only_the_agents_concerned_are_told(operator: Client, agent: Client) -> None:
    operator("POST", "/app/start", {"name": "web", "image": "nginx", "replicas": 3})
    unplaced = (operator("GET", "/apps?nodeName=").json or {})["apps"]
    assert [(entry["name"], entry.get("slot", 1)) for entry in unplaced] == [("web", 1), ("web", 2), ("web", 3)]
    where = {1: "node-1", 2: "node-2", 3: "node-1"}
    bindings = [{"name": "web", "slot": slot, "node": node, "revision": unplaced[0]["revision"]} for slot, node in where.items()]
    assert operator("PUT", "/apps", {"apps": bindings}).json == {"bound": 3, "refused": {}}
    share = (agent("GET", "/apps?nodeName=node-1").json or {})["apps"]
    assert [entry.get("slot", 1) for entry in share] == [1, 3]
    beat(agent, "node-1", copy("web"), {**copy("web", "exited"), "container": "duckconf-web_3", "slot": 3})
    shown = operator("GET", "/app/web").json or {}
    assert [(entry["node"], entry["status"]) for entry in shown["instances"]] == [
        ("node-1", "running"),
        ("node-2", "unreachable"),
        ("node-1", "exited"),
    ]
    assert (shown["running"], shown["status"], shown["replicas"]) == (1, "unreachable", 3)
    fewer = operator("PUT", "/app/web", {"replicas": 1}).json or {}
    assert [entry["generation"] for entry in fewer["instances"]] == [shown["instances"][0]["generation"]]
    assert operator("PUT", "/app/web", {"replicas": None}).status_code == 200


@pytest.mark.parametrize("slot", [0, -1, True, "1", 1.5])
def test_a_slot_that_is_none_is_refused(operator: Client, slot: Any) -> None:
    faults = problem(operator("PUT", "/apps", {"apps": [{"name": "a", "node": "", "slot": slot}]}), 422)["errors"]
    assert [fault["path"] for fault in faults] == ["apps/0"]


def test_many_are_bound_in_one_transaction_and_those_that_changed_are_named(operator: Client) -> None:
    revisions = {}
    for name in ("a", "b", "c"):
        revisions[name] = (operator("POST", "/app/start", {"name": name, "image": "nginx"}).json or {})["revision"]
    operator("PUT", "/app/b", {"image": "nginx:2"})
    bindings = [{"name": name, "node": "node-1", "revision": revisions[name]} for name in revisions] + [{"name": "x", "node": ""}]
    answer = operator("PUT", "/apps", {"apps": bindings}).json or {}
    assert answer == {"bound": 2, "refused": {"b": "has changed", "x": "is not declared"}}
    assert {app["name"] for app in (operator("GET", "/apps?nodeName=node-1").json or {})["apps"]} == {"a", "c"}


@pytest.mark.parametrize(
    ("method", "path", "body", "where"),
    [
        ("POST", "/app/start", {"image": "nginx"}, "name"),
        ("POST", "/app/start", {"image": "nginx", "name": "a", "node": "node-1"}, "node"),
        ("POST", "/app/start", {"image": "nginx", "name": "a", "generation": 7}, "generation"),
        ("PUT", "/app/a", {"image": "nginx", "node": "node-9"}, "node"),
        ("PUT", "/app/a", {"image": "nginx", "node": 5}, "node"),
        ("PUT", "/apps", {"apps": [{"name": "a", "node": "node-9"}]}, "node"),
        ("PUT", "/apps", {"apps": [{"name": "a"}]}, "apps/0"),
        ("PUT", "/apps", {}, "apps"),
        ("PUT", "/node/node-1", {"cordoned": "yes"}, "cordoned"),
        ("PUT", "/node/node-1/heartbeat", {"instance": "x", "containers": [{"app": "a"}]}, "containers/0"),
        ("PUT", "/node/node-1/heartbeat", [], "instance"),
        ("PUT", "/node/node-1/heartbeat", {"instance": "x", "refusals": "no"}, "refusals"),
        ("PUT", "/node/node-1/heartbeat", {"instance": "x", "facts": []}, "facts"),
        ("PUT", "/node/node-1/heartbeat", {"instance": "x", "facts": {"load": "high"}}, "facts"),
        ("POST", "/events", {"events": [{"message": "x"}]}, "events/0"),
    ],
)
def test_what_cannot_be_meant_is_422_with_its_path(operator: Client, method: str, path: str, body: Any, where: str) -> None:
    assert [error["path"] for error in problem(operator(method, path, body), 422)["errors"]] == [where]
    assert (operator("GET", "/apps").json or {})["apps"] == []


def test_what_a_node_has_left_is_shown_to_who_asks(operator: Client, agent: Client) -> None:
    told = {"engine": "podman", "engine_version": "5.0", "disk_free": 10, "disk_total": 20, "load": 0.5, "cores": 2}
    agent("PUT", "/node/node-1/heartbeat", {"instance": "one", "facts": told})
    row = operator("GET", "/nodes?facts=true").get_json()["nodes"][0]
    assert row.items() >= told.items()
    assert row["memory_free"] is None
    assert "engine" not in operator("GET", "/nodes").get_json()["nodes"][0]


def test_a_cordoned_node_is_no_place_for_a_new_app(operator: Client) -> None:
    assert (operator("PUT", "/node/node-1", {"cordoned": True}).json or {})["cordoned"] is True
    assert "cordoned" in problem(operator("PUT", "/app/a", {"image": "nginx", "node": "node-1"}), 422)["detail"]
    operator("PUT", "/node/node-1", {"cordoned": False})
    assert operator("PUT", "/app/a", {"image": "nginx", "node": "node-1"}).status_code == 201


def test_an_agents_watch_returns_when_something_of_its_own_changes(app: Flask, operator: Client, agent: Client) -> None:
    revision = (agent("GET", "/apps?nodeName=node-1").json or {})["revision"]
    answers: list[Any] = []
    watch = Client(app, "token of node-1")
    path = f"/apps?nodeName=node-1&since={revision}&wait=20"
    waiting = threading.Thread(target=lambda: answers.append(watch("GET", path).json))
    waiting.start()
    operator("PUT", "/app/theirs", {"image": "nginx", "node": "node-2"})
    assert answers == []
    operator("PUT", "/app/mine", {"image": "nginx", "node": "node-1"})
    waiting.join(10)
    assert [app["name"] for app in answers[0]["apps"]] == ["mine"]


def test_a_reason_that_the_scheduler_tells_is_shown_until_the_app_is_placed(operator: Client) -> None:
    operator("POST", "/app/start", {"name": "web", "image": "nginx"})
    told = {"kind": "pending", "message": "no node fits: 3 cordoned", "app": "web", "source": "scheduler"}
    assert operator("POST", "/events", {"events": [told]}).status_code == 200
    assert (operator("GET", "/app/web").json or {})["note"] == "no node fits: 3 cordoned"
    operator("PUT", "/app/web", {"node": "node-1"})
    assert "no node fits" not in (operator("GET", "/app/web").json or {}).get("note", "")


def test_an_agents_events_bear_its_name_whatever_it_says(agent: Client, operator: Client) -> None:
    told = {"kind": "started", "message": "x", "app": "a", "node": "node-2", "source": "scheduler"}
    agent("POST", "/events", {"events": [told]})
    event = (operator("GET", "/events").json or {})["events"][-1]
    assert (event["source"], event["node"]) == ("agent@node-1", "node-1")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("GET", "/apps?nodeName=node-9", None), ("PUT", "/node/node-9", {"cordoned": True}), ("PUT", "/node/node-9/heartbeat", {})],
)
def test_a_node_that_there_is_not_is_404_with_those_that_there_are(operator: Client, method: str, path: str, body: Any) -> None:
    assert "node-1, node-2, node-3" in problem(operator(method, path, body), 404)["detail"]


def test_the_description_is_valid_and_complete(app: Flask, operator: Client) -> None:
    validate(document("agents"))
    assert operator("GET", "/openapi.json").json == document("agents")
    of_start = {("/app/start", verb) for verb in ("get", "put", "delete")}
    assert calls_of(app) == calls_in(document("agents")) - of_start


def test_what_is_left_of_a_stack_on_a_node_goes_in_the_reverse_order_of_depends_on(app: Flask, operator: Client) -> None:
    one, two = Client(app, "token of node-1"), Client(app, "token of node-2")
    operator("PUT", "/app/db", {"image": "nginx", "node": "node-2"})
    operator("PUT", "/app/web", {"image": "nginx", "node": "node-2", "depends_on": ["db"]})
    beat(two, "node-2", copy("db"), copy("web"), instance="two")

    def kept(*names: str) -> list[str]:
        beat(one, "node-1", *map(copy, names))
        return list((one("GET", "/apps?nodeName=node-1").json or {})["kept"])

    assert kept("db", "web") == ["db"]
    assert kept("db") == []
    operator("DELETE", "/app/db")
    assert kept("db", "web") == []
