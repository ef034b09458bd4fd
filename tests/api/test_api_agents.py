"""The API in agents mode: who may do what, what an agent is told, and that nothing refused changes anything."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate
from werkzeug.test import TestResponse

from api.agents import create_agents
from api.auth import Tokens
from api.openapi import document
from api.secrets import resolving
from api.stores.desired import DesiredStore
from api.stores.nodes import NodeBook
from api.stores.placed import PlacedIndex
from controllers.updates import advanced
from duckconf.codec import spec_hash
from duckconf.desired import PLACED_COLUMNS, empty_document
from duckconf.model import App
from duckconf.reach.api.control_config import ControlConfig
from duckconf.reach.state.journal import Journal
from duckconf.reach.state.revisions import RevisionBook
from duckconf.reach.state.secrets import SecretFile
from duckconf.secrets import LARGEST
from duckconf.sites import Sites
from tests.api.test_api_push import problem

NODES = ("node-1", "node-2", "node-3")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    state = tmp_path / "state.csv"
    state.write_text(empty_document(PLACED_COLUMNS).text())
    os.utime(state, (0, 0))
    tokens = {"operator": _hash("op"), "nodes": {name: _hash(f"token of {name}") for name in NODES}}
    (tmp_path / "tokens.json").write_text(json.dumps(tokens))
    book = NodeBook(tmp_path / "nodes.json", NODES, 20.0)
    kept = SecretFile(tmp_path / "secrets.json")
    past = RevisionBook(tmp_path / "history.json")
    sites = Sites(NODES, {"node-1": "a"}, {"web": NODES[1:]})
    index = PlacedIndex(book, resolving(kept), sites, lambda app: past.revisions.get(app, ()))
    journal = Journal(tmp_path / "events.jsonl", "api")
    store = DesiredStore(state, journal.add, PLACED_COLUMNS, index.see)
    config = ControlConfig("demo", NODES, str(tmp_path / "tokens.json"), "")
    yield create_agents(store, book, index, Tokens(tmp_path / "tokens.json"), journal, config, 8, kept, past)
    store.close()


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class Client:
    """A client that sends its token."""

    def __init__(self, app: Flask, token: str) -> None:
        self._client: FlaskClient = app.test_client()
        self._headers = {"Authorization": f"Bearer {token}"}

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        return self._client.open(path, method=method, json=body, headers={**self._headers, **headers})


@pytest.fixture
def operator(app: Flask) -> Client:
    return Client(app, "op")


@pytest.fixture
def agent(app: Flask) -> Client:
    return Client(app, "token of node-1")


def beat(client: Client, node: str = "node-1", *containers: dict[str, Any], instance: str = "one") -> TestResponse:
    return client("PUT", f"/node/{node}/heartbeat", {"instance": instance, "containers": list(containers)})


def decide(operator: Client) -> list[dict[str, Any]]:
    """What the scheduler does: decide on the updates that there are."""
    decisions = list(advanced((operator("GET", "/rollouts").json or {})["rollouts"]).decisions)
    answer = operator("PUT", "/rollouts", {"rollouts": decisions}).json or {}
    assert answer == {"decided": len(decisions), "refused": {}}
    return decisions


def copy(app: str, state: str = "running") -> dict[str, Any]:
    return {"app": app, "container": f"duckconf-{app}", "state": state, "image": "nginx", "generation": 1}


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


def told(operator: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (operator("GET", "/apps?nodeName=").json or {})["moves"]
    return found


def told_revision(operator: Client) -> int:
    return int((operator("GET", "/apps?nodeName=").json or {})["revision"])


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
        ("PUT", "/node/node-9", {"cordoned": True}, "node"),
        ("PUT", "/node/node-1", {"cordoned": "yes"}, "cordoned"),
        ("PUT", "/node/node-1/heartbeat", {"instance": "x", "containers": [{"app": "a"}]}, "containers/0"),
        ("PUT", "/node/node-1/heartbeat", [], "instance"),
        ("PUT", "/node/node-1/heartbeat", {"instance": "x", "refusals": "no"}, "refusals"),
        ("PUT", "/node/node-1/heartbeat", {"instance": "x", "facts": []}, "facts"),
        ("PUT", "/node/node-1/heartbeat", {"instance": "x", "facts": {"load": "high"}}, "facts"),
        ("POST", "/events", {"events": [{"message": "x"}]}, "events/0"),
        ("GET", "/apps?nodeName=node-9", None, "node"),
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


FULL = {"app": "large", "spec": "s", "kind": "space", "reason": "no space left on its disk", "wait": 60.0}


def test_an_app_that_its_node_refuses_says_why_and_for_how_long(operator: Client, agent: Client) -> None:
    operator("PUT", "/app/web", {"image": "nginx", "node": "node-1"})
    refusal = {
        "app": "web",
        "spec": spec_hash(App("nginx", "web")),
        "kind": "path",
        "reason": "path /data is missing",
        "wait": 60,
    }
    agent("PUT", "/node/node-1/heartbeat", {"instance": "one", "refusals": [refusal]})
    (row,) = operator("GET", "/apps").get_json()["apps"]
    assert (row["status"], row["refused"]) == ("starting", "path /data is missing")
    assert row["note"] == "node-1 refuses it: path /data is missing"
    (told,) = operator("GET", "/nodes").get_json()["nodes"][0]["refusals"]
    assert told.items() >= {**refusal, "wait": told["wait"]}.items()
    assert 59 < told["wait"] <= 60
    operator("PUT", "/node/node-1", {"cordoned": False})
    assert operator("GET", "/nodes").get_json()["nodes"][0]["refusals"] == []
    agent("PUT", "/node/node-1/heartbeat", {"instance": "one", "refusals": [refusal]})
    assert operator("GET", "/nodes").get_json()["nodes"][0]["refusals"] == []
    agent("PUT", "/node/node-1/heartbeat", {"instance": "one", "refusals": [{**refusal, "strikes": 2}]})
    assert operator("GET", "/app/web").get_json()["refused"] == "path /data is missing"
    operator("PUT", "/app/web", {"image": "nginx:2"})
    decide(operator)
    assert "refused" not in operator("GET", "/app/web").get_json()


def test_a_node_that_becomes_full_is_news(operator: Client, agent: Client) -> None:
    agent("PUT", "/node/node-1/heartbeat", {"instance": "one"})
    before = operator("GET", "/nodes").get_json()
    assert before["nodes"][0]["full"] is False
    agent("PUT", "/node/node-1/heartbeat", {"instance": "one", "refusals": [FULL]})
    after = operator("GET", f"/nodes?since={before['revision']}&wait=5").get_json()
    assert (after["revision"] > before["revision"], after["nodes"][0]["full"]) == (True, True)


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


def test_a_reason_is_an_event_once_until_the_app_has_run(agent: Client, operator: Client) -> None:
    operator("POST", "/app/start", {"name": "web", "image": "nginx"})
    told = {"kind": "pending", "message": "no node fits: node-1: port 80 is in use", "app": "web", "source": "scheduler"}

    def waits() -> int:
        operator("POST", "/events", {"events": [told]})
        assert (operator("GET", "/app/web").json or {})["note"].startswith(told["message"])
        events = (operator("GET", "/events").json or {})["events"]
        return sum(event["kind"] == "pending" for event in events)

    def is_placed_and_unscheduled(state: str) -> None:
        operator("PUT", "/app/web", {"node": "node-1"})
        seen = {"app": "web", "container": "duckconf-web", "state": state}
        agent("PUT", "/node/node-1/heartbeat", {"instance": "one", "containers": [seen]})
        operator("PUT", "/app/web", {"node": ""})

    assert waits() == 1
    is_placed_and_unscheduled("created")
    assert waits() == 1
    is_placed_and_unscheduled("running")
    assert (waits(), waits()) == (2, 2)
    is_placed_and_unscheduled("running")
    assert waits() == 3


def test_reasons_that_swap_are_events_once_each_and_each_instance_shows_its_own(agent: Client, operator: Client) -> None:
    operator("PUT", "/app/web", {"image": "nginx", "replicas": 2})
    one, two = "no node fits: 3 cordoned", "no node fits: 2 cordoned, 1 suspect"
    for first, second in ((one, two), (two, one), (one, two)):
        for instance, why in (("web", first), ("web.2", second)):
            entry = {"kind": "pending", "message": why, "app": "web", "instance": instance, "source": "scheduler"}
            operator("POST", "/events", {"events": [entry]})
    assert [entry["note"] for entry in (operator("GET", "/app/web").json or {})["instances"]] == [one, two]
    assert (operator("GET", "/apps?nodeName=").json or {})["notes"] == {"web": one, "web.2": two}
    events = [event for event in (operator("GET", "/events").json or {})["events"] if event["kind"] == "pending"]
    assert [(event["instance"], event["message"]) for event in events] == [("web", one), ("web.2", two)]
    operator("PUT", "/app/web", {"node": ["node-1", ""]})
    assert (operator("GET", "/apps?nodeName=").json or {})["notes"] == {"web.2": two}


def test_one_without_a_place_says_where_its_container_runs_on(agent: Client, operator: Client) -> None:
    operator("PUT", "/app/web", {"image": "nginx", "node": "node-1"})
    beat(agent, "node-1", copy("web"))
    operator("PUT", "/app/web", {"node": ""})
    shown = operator("GET", "/app/web").json or {}
    assert (shown["status"], shown["note"]) == (
        "pending",
        "waiting for the scheduler; its container on node-1 runs on until it has another place",
    )


def test_a_node_that_an_app_is_placed_on_again_and_again_is_an_event_once_until_it_runs(agent: Client, operator: Client) -> None:
    operator("POST", "/app/start", {"name": "web", "image": "nginx"})

    def places() -> list[str]:
        told = (operator("GET", "/events").json or {})["events"]
        return [event["message"] for event in told if event["kind"] in ("scheduled", "unscheduled")]

    def is_tried_on(node: str) -> None:
        operator("PUT", "/app/web", {"node": node})
        operator("PUT", "/app/web", {"node": ""})

    for node in ("node-1", "node-2", "node-1", "node-2"):
        is_tried_on(node)
    first = ["web placed on node-1", "web unscheduled; waiting for the scheduler", "web placed on node-2"]
    assert places() == first
    seen = {"app": "web", "container": "duckconf-web", "state": "running"}
    agent("PUT", "/node/node-1/heartbeat", {"instance": "one", "containers": [seen]})
    is_tried_on("node-1")
    assert places() == [*first, *first[:2]]
    operator("PUT", "/app/web", {"image": "nginx:2"})
    decide(operator)
    is_tried_on("node-1")
    assert places() == [*first, *first[:2], *first[:2]]


def test_an_agents_events_bear_its_name_whatever_it_says(agent: Client, operator: Client) -> None:
    told = {"kind": "started", "message": "x", "app": "a", "node": "node-2", "source": "scheduler"}
    agent("POST", "/events", {"events": [told]})
    event = (operator("GET", "/events").json or {})["events"][-1]
    assert (event["source"], event["node"]) == ("agent@node-1", "node-1")


def test_the_description_is_valid_and_complete(app: Flask, operator: Client) -> None:
    validate(document("agents"))
    assert operator("GET", "/openapi.json").json == document("agents")
    rules = {rule.rule.replace("<", "{").replace(">", "}") for rule in app.url_map.iter_rules()}
    assert rules == set(document("agents")["paths"])


def test_the_end_of_a_job_is_recorded_told_and_kept_when_its_container_is_gone(
    operator: Client, agent: Client, app: Flask, tmp_path: Path
) -> None:
    job = App("nginx", "job", restart="no", ports=("80:80",))
    operator("PUT", "/app/job", {"image": "nginx", "restart": "no", "ports": ["80:80"], "node": "node-1"})
    end = f"{spec_hash(job)}:3:0"
    ended = copy("job", "failed (3)") | {"end": end}
    assert beat(Client(app, "token of node-2"), "node-2", ended).status_code == 200
    assert end not in (tmp_path / "state.csv").read_text()
    beat(agent, "node-1", ended)
    assert end in (tmp_path / "state.csv").read_text()
    beat(agent)
    shown = (operator("GET", "/app/job").json or {})["instances"][0]
    assert (shown["status"], shown["node"], "restart policy is no" in shown["note"]) == ("failed (3)", "node-1", True)
    told = (agent("GET", "/apps?nodeName=node-1").json or {})["apps"][0]
    assert told["ended"] == end
    row = next(node for node in (operator("GET", "/nodes").json or {})["nodes"] if node["name"] == "node-1")
    assert (row["apps"], row["ports"]) == (0, [])
    operator("PUT", "/app/job", {"env": {"A": "b"}})
    assert "ended" not in (agent("GET", "/apps?nodeName=node-1").json or {})["apps"][0]


def test_a_stale_copy_of_a_job_that_is_over_may_go(operator: Client, app: Flask) -> None:
    operator("PUT", "/app/job", {"image": "nginx", "restart": "no", "node": "node-1"})
    other = Client(app, "token of node-2")
    beat(other, "node-2", copy("job"))
    assert (other("GET", "/apps?nodeName=node-2").json or {})["kept"] == ["job"]
    beat(Client(app, "token of node-1"), "node-1", copy("job", "done") | {"end": f"{spec_hash(App('nginx'))}:0:0"})
    assert (other("GET", "/apps?nodeName=node-2").json or {})["kept"] == []


class TestSecrets:
    """Set by the operator, told to the agents of their apps, and to nobody else."""

    VALUE = "aHVudGVyMg=="

    def put(self, operator: Client, name: str = "db", value: str = VALUE) -> dict[str, Any]:
        answer = operator("PUT", f"/secret/{name}", {"value": value})
        assert answer.status_code in (200, 201), answer.get_data(as_text=True)
        return dict(answer.json or {})

    def test_a_value_that_is_set_is_never_told_to_its_operator(self, operator: Client) -> None:
        told = self.put(operator)
        assert told["changed"]
        operator("PUT", "/app/web", {"image": "nginx", "secrets": ["db"]})
        (row,) = (operator("GET", "/secrets").json or {})["secrets"]
        assert (row["name"], row["revision"], row["apps"]) == ("db", told["revision"], ["web"])
        problem(operator("GET", "/node/node-1/secrets"), 403)
        for path in ("/secrets", "/apps", "/app/web", "/events", "/metrics", "/apps?nodeName="):
            text = operator("GET", path).get_data(as_text=True)
            assert self.VALUE not in text
            assert "hunter2" not in text

    def test_the_same_value_again_changes_nothing(self, operator: Client) -> None:
        first, again = self.put(operator), self.put(operator)
        assert (again["changed"], again["revision"]) == (False, first["revision"])

    def test_an_agent_is_told_those_of_its_own_apps_alone(self, app: Flask, operator: Client, agent: Client) -> None:
        for name in ("db", "key"):
            self.put(operator, name)
        operator("PUT", "/app/web", {"image": "nginx", "secrets": ["db"], "node": "node-1"})
        operator("PUT", "/app/api", {"image": "nginx", "secrets": ["key"], "node": "node-2"})
        told = (agent("GET", "/node/node-1/secrets").json or {})["secrets"]
        assert {name: entry["value"] for name, entry in told.items()} == {"db": self.VALUE}
        problem(agent("GET", "/node/node-2/secrets"), 403)
        for method, path in (("PUT", "/secret/db"), ("DELETE", "/secret/db"), ("GET", "/secrets")):
            problem(agent(method, path, {"value": self.VALUE}), 403)

    def test_a_new_value_wakes_the_agents_of_its_apps_and_no_other(self, app: Flask, operator: Client, agent: Client) -> None:
        other = Client(app, "token of node-2")
        self.put(operator)
        operator("PUT", "/app/web", {"image": "nginx", "secrets": ["db"], "node": "node-1"})
        before = agent("GET", "/apps?nodeName=node-1").json or {}
        others = other("GET", "/apps?nodeName=node-2").json or {}
        told = self.put(operator, value="bmV3")
        assert told["apps"] == ["web"]
        after = agent("GET", f"/apps?nodeName=node-1&since={before['revision']}&wait=5").json or {}
        assert before["apps"][0]["secret_revisions"] != after["apps"][0]["secret_revisions"] == {"db": told["revision"]}
        assert (other("GET", "/apps?nodeName=node-2").json or {})["revision"] == others["revision"]

    def test_one_that_is_used_is_not_removed(self, operator: Client) -> None:
        self.put(operator)
        operator("PUT", "/app/web", {"image": "nginx", "secrets": ["db"]})
        assert "used by web" in problem(operator("DELETE", "/secret/db"), 409)["detail"]
        operator("DELETE", "/app/web")
        assert operator("DELETE", "/secret/db").status_code == 200
        problem(operator("DELETE", "/secret/db"), 404)

    def test_an_app_cannot_use_one_that_is_not_set(self, operator: Client) -> None:
        refused = problem(operator("PUT", "/app/web", {"image": "nginx", "secrets": ["db"]}), 422)
        assert "./inv secret set db" in refused["detail"]
        problem(operator("POST", "/app/start", {"name": "web", "image": "nginx", "secrets": ["db"]}), 422)

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"value": ""},
            {"value": "not base64!"},
            {"value": 1},
            {"value": "aA==", "more": 1},
            ["aA=="],
            {"value": "aA==", "salt": "?"},
        ],
    )
    def test_a_bad_value_is_refused_and_not_quoted(self, operator: Client, body: Any) -> None:
        assert "base64!" not in problem(operator("PUT", "/secret/db", body), 422)["detail"]

    def test_names_and_sizes_have_limits(self, operator: Client) -> None:
        problem(operator("PUT", "/secret/a%20b", {"value": self.VALUE}), 422)
        assert self.put(operator, "large", base64.b64encode(bytes(LARGEST)).decode())["changed"]
        problem(operator("PUT", "/secret/larger", {"value": base64.b64encode(bytes(LARGEST + 1)).decode()}), 422)
        problem(operator("PUT", "/secret/huge", {"value": base64.b64encode(bytes(LARGEST * 2)).decode()}), 413)

    def test_its_state_is_in_no_other_file_than_its_own(self, operator: Client, tmp_path: Path) -> None:
        self.put(operator)
        operator("PUT", "/app/web", {"image": "nginx", "secrets": ["db"], "node": "node-1"})
        holding = [path.name for path in tmp_path.iterdir() if path.is_file() and self.VALUE in path.read_text()]
        assert holding == ["secrets.json"]

    def test_the_end_of_a_job_with_secrets_is_recorded(self, operator: Client, agent: Client, tmp_path: Path) -> None:
        revision = self.put(operator)["revision"]
        operator("PUT", "/app/job", {"image": "nginx", "restart": "no", "secrets": ["db"], "node": "node-1"})
        ran = App("nginx", "job", restart="no", secrets=("db",), secret_revisions={"db": revision})
        beat(agent, "node-1", copy("job", "done") | {"end": f"{spec_hash(ran)}:0:0"})
        assert f"{spec_hash(ran)}:0:0" in (tmp_path / "state.csv").read_text()
        assert (operator("GET", "/app/job").json or {})["status"] == "done"


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
    operator("PUT", "/data", {"data": {"old": ["node-3", ["v"], 2], "db": ["node-2", ["db"], 0]}})
    assert operator("GET", "/data").json == {"data": {"db": ["node-2", ["db"], 0], "old": ["node-3", ["v"], 2]}}
    problem(operator("PUT", "/data", {"data": [1]}), 422)
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
