"""The push API over fake nodes: answers, refusals, and what reaches a node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate
from werkzeug.test import TestResponse

from api.factory import create_push
from api.live.of_push import OfPush
from api.openapi import document
from api.push import Pusher
from api.turns import TurnBook
from duckconf.compose import ALIASES
from duckconf.errors import Unreachable
from duckconf.model import FIELDS
from duckconf.reach.inventory.follower import InventoryFollower
from duckconf.reach.ssh.fleet import Fleet
from duckconf.reach.state.cordons import Cordons
from duckconf.reach.state.journal import Journal
from tests.fakes import FakeFleet, FakeHosts, FakeNode

NAMES = ("node-1", "node-2", "node-3")


@pytest.fixture
def nodes() -> dict[str, FakeNode]:
    return {name: FakeNode(name) for name in NAMES}


@pytest.fixture
def client(nodes: dict[str, FakeNode], tmp_path: Path) -> FlaskClient:
    fleet, hosts = cast(Fleet, FakeFleet(nodes.values())), cast(InventoryFollower, FakeHosts(NAMES))
    pusher = Pusher("demo", hosts, fleet, TurnBook(tmp_path / "push.json"), Cordons(tmp_path / "cordoned"))
    journal = Journal(tmp_path / "events.jsonl", "api")
    return create_push(pusher, OfPush("demo", pusher, journal.news.tell), "demo", journal).test_client()


def problem(answer: TestResponse, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.get_data(as_text=True)
    assert answer.content_type == "application/problem+json"
    body: dict[str, Any] = json.loads(answer.get_data())
    assert body["status"] == status
    assert body["detail"]
    return body


def asked(nodes: dict[str, FakeNode]) -> int:
    return sum(len(node.asked) for node in nodes.values())


def test_a_pattern_leaves_nodes_out_and_what_needs_a_state_is_refused(client: FlaskClient) -> None:
    started = [client.post("/app/start", json={"image": "nginx", "on": "all:!node-1"}).json or {} for _ in range(4)]
    assert {answer["node"] for answer in started} == {"node-2", "node-3"}
    told = problem(client.post("/app/start", json={"image": "nginx", "on": "nobody"}), 503)
    assert "node-1: is not in nobody" in told["detail"]
    for field, value in (("max_per_node", 1), ("reserve_cpus", 1), ("reserve_memory", "1g")):
        told = problem(client.post("/app/start", json={"image": "nginx", field: value}), 422)
        assert f"{field}: needs a mode that knows what runs where" in told["detail"]


def test_requests_go_round_the_nodes_in_inventory_order(client: FlaskClient) -> None:
    answers = [client.post("/app/start", json={"image": "nginx"}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [201] * 4
    assert [(answer.json or {})["app"] for answer in answers] == [
        f"duckconf-{node}-app-{number}" for number, node in enumerate([*NAMES, "node-1"], 1)
    ]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "UTF-8"),
        (b'{"image": NaN}', "NaN"),
        (b'{"image": "a", "image": "b"}', "twice"),
        (b"[" * 30_000, "nested"),
        (b"", "not JSON"),
    ],
)
def test_a_body_that_is_not_json_is_400(client: FlaskClient, nodes: dict[str, FakeNode], body: bytes, word: str) -> None:
    answer = client.post("/app/start", data=body, content_type="application/json")
    assert word in problem(answer, 400)["detail"]
    assert asked(nodes) == 0


@pytest.mark.parametrize(
    "image", ["nginx; touch /tmp/pwned", "$(id)", "`id`", "a\nb", "a\0b", "-v", "--privileged", "", "UPPER", "a b", "a" * 300]
)
def test_an_image_that_is_no_reference_reaches_no_node(client: FlaskClient, nodes: dict[str, FakeNode], image: str) -> None:
    answer = problem(client.post("/app/start", json={"image": image}), 422)
    assert [error["path"] for error in answer["errors"]] == ["image"]
    assert asked(nodes) == 0


def test_several_are_started_in_turn_and_all_are_named(client: FlaskClient, nodes: dict[str, FakeNode]) -> None:
    answer = client.post("/app/start", json={"image": "nginx", "replicas": 4}).json or {}
    assert [entry["node"] for entry in answer["instances"]] == ["node-1", "node-2", "node-3", "node-1"]
    assert answer["app"] == answer["instances"][0]["app"]
    assert len({entry["app"] for entry in answer["instances"]}) == 4
    assert problem(client.post("/app/start", json={"image": "nginx", "replicas": 0}), 422)["errors"][0]["path"] == "replicas"


def test_the_wrong_media_type_size_path_and_method_have_their_own_status(client: FlaskClient) -> None:
    problem(client.post("/app/start", data="{}", content_type="text/plain"), 415)
    problem(client.post("/app/start", data=b" " * 65_537, content_type="application/json"), 413)
    problem(client.get("/nothing"), 404)
    refused = client.get("/app/start")
    assert "POST" in problem(refused, 405)["detail"]
    assert "POST" in refused.headers["Allow"]
    problem(client.get("/healthz", headers={"Host": "evil.example"}), 421)


def test_a_node_that_is_away_is_passed_over_and_named(client: FlaskClient, nodes: dict[str, FakeNode]) -> None:
    nodes["node-1"].failure = Unreachable("node-1", "no answer")
    answer = client.post("/app/start", json={"image": "nginx"})
    assert answer.json == {
        "app": "duckconf-node-2-app-1",
        "node": "node-2",
        "skipped": ["node-1"],
        "reasons": {"node-1": "no answer"},
    }


def test_a_start_that_was_cut_off_is_cleaned_up_when_its_node_returns(client: FlaskClient, nodes: dict[str, FakeNode]) -> None:
    nodes["node-1"].failure = Unreachable("node-1", "stopped answering", may_have_run=True)
    assert client.post("/app/start", json={"image": "nginx"}).json["node"] == "node-2"  # type: ignore[index]
    nodes["node-1"].failure = None
    nodes["node-1"].containers["duckconf-node-1-app-1"] = {"duckconf.cluster": "demo", "node": "node-1"}
    for _ in NAMES:
        client.post("/app/start", json={"image": "nginx"})
    assert list(nodes["node-1"].containers) == ["duckconf-node-1-app-4"]


def test_with_no_node_left_it_is_503_with_every_reason(client: FlaskClient, nodes: dict[str, FakeNode]) -> None:
    for node in nodes.values():
        node.failure = Unreachable(node.name, "no answer")
    assert problem(client.post("/app/start", json={"image": "nginx"}), 503)["skipped"] == list(NAMES)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("Error: nosuch: image not known", 422),
        ('Conflict. The container name "/a" is already in use by 1', 409),
    ],
)
def test_the_engines_no_is_passed_on_and_leaves_nothing(
    client: FlaskClient, nodes: dict[str, FakeNode], words: str, status: int
) -> None:
    nodes["node-1"].refusal = words
    detail = problem(client.post("/app/start", json={"image": "nosuch"}), status)["detail"]
    assert words.rpartition(": ")[2] in detail
    assert nodes["node-1"].containers == {}
    assert asked({name: node for name, node in nodes.items() if name != "node-1"}) == 0


PORT_TAKEN = "Error: cannot listen on the TCP port: listen tcp4 :80: bind: address already in use"
PATH_MISSING = "Error: statfs /data: no such file or directory"
NO_SPACE = "Error: writing blob: no space left on device"


def test_a_node_that_refuses_for_a_reason_of_its_own_is_passed_over_with_the_reason(
    client: FlaskClient, nodes: dict[str, FakeNode]
) -> None:
    nodes["node-1"].refusal = PORT_TAKEN
    answer = client.post("/app/start", json={"image": "nginx", "ports": ["80:80"]})
    assert (answer.status_code, answer.get_json()["node"], answer.get_json()["skipped"]) == (201, "node-2", ["node-1"])
    assert answer.get_json()["reasons"]["node-1"].startswith("port 80 is in use; the engine said: cannot listen")
    assert nodes["node-1"].containers == {}


@pytest.mark.parametrize(
    ("words", "status"), [((PORT_TAKEN,), 409), ((PATH_MISSING,), 422), ((PORT_TAKEN, PATH_MISSING), 422), ((NO_SPACE,), 503)]
)
def test_when_every_node_refuses_the_answer_says_why_each_does(
    client: FlaskClient, nodes: dict[str, FakeNode], words: tuple[str, ...], status: int
) -> None:
    for number, node in enumerate(nodes.values()):
        node.refusal = words[number % len(words)]
    told = problem(client.post("/app/start", json={"image": "nginx"}), status)
    assert told["skipped"] == list(NAMES)
    assert all(node in told["detail"] for node in NAMES)


def test_a_name_is_refused_because_push_gives_names(client: FlaskClient) -> None:
    answer = problem(client.post("/app/start", json={"image": "nginx", "name": "web"}), 422)
    assert answer["errors"][0]["path"] == "name"


def test_it_tells_that_it_lives_and_counts_what_it_did(client: FlaskClient) -> None:
    client.post("/app/start", json={"image": "nginx"})
    assert client.get("/healthz").json == {"status": "ok", "cluster": "demo", "mode": "push"}
    assert client.get("/readyz").status_code == 200
    assert 'duckconf_apps_started_total{node="node-1"} 1.0' in client.get("/metrics").get_data(as_text=True)


def test_it_is_not_ready_when_every_node_is_away(client: FlaskClient, nodes: dict[str, FakeNode]) -> None:
    for node in nodes.values():
        node.away = Unreachable(node.name, "no answer")
    assert client.get("/readyz").status_code == 503


def test_a_cordoned_node_gets_nothing_new(client: FlaskClient, nodes: dict[str, FakeNode], tmp_path: Path) -> None:
    Cordons(tmp_path / "cordoned").change("node-2", cordoned=True)
    assert {client.post("/app/start", json={"image": "nginx"}).json["node"] for _ in NAMES} == {"node-1", "node-3"}  # type: ignore[index]
    for node in ("node-1", "node-3"):
        Cordons(tmp_path / "cordoned").change(node, cordoned=True)
    assert problem(client.post("/app/start", json={"image": "nginx"}), 503)["skipped"] == list(NAMES)


def test_the_description_is_valid_and_knows_the_models_fields(client: FlaskClient) -> None:
    validate(document("push"))
    assert client.get("/openapi.json").json == document("push")
    fields = set(document("push")["components"]["schemas"]["App"]["properties"])
    assert {*FIELDS, *ALIASES, "deploy"} - fields == {
        "name",
        "secrets",
        "routes",
        "max_per_node",
        "reserve_cpus",
        "reserve_memory",
    }


def test_the_description_lists_each_call(client: FlaskClient) -> None:
    assert calls_of(client.application) == calls_in(document("push"))


def calls_of(app: Flask) -> set[tuple[str, str]]:
    """Path and verb of each route, as its description has them."""
    rules = [(rule.rule.replace("<", "{").replace(">", "}"), rule.methods or ()) for rule in app.url_map.iter_rules()]
    return {(path, verb.lower()) for path, verbs in rules for verb in verbs if verb not in ("HEAD", "OPTIONS")}


def calls_in(description: dict[str, Any]) -> set[tuple[str, str]]:
    return {(path, verb) for path, calls in description["paths"].items() for verb in calls}


@pytest.mark.parametrize("value", [{}, [], 1, None])
def test_a_value_of_another_shape_is_refused_with_its_field(client: FlaskClient, value: object) -> None:
    for field in (*FIELDS, *ALIASES):
        answer = client.post("/app/start", json={"image": "nginx", field: {"nested": [value]}})
        assert answer.status_code in (201, 422), field
    for shape in ({"a": value}, [value]):
        told = problem(client.post("/app/start", json={"image": "nginx", "pull_policy": shape}), 422)
        assert "always" in told["errors"][0]["message"]


def test_secrets_are_refused_with_the_modes_that_have_them(client: FlaskClient, nodes: dict[str, FakeNode]) -> None:
    refused = problem(client.post("/app/start", json={"image": "nginx", "secrets": ["db"]}), 422)
    assert "mode reconcile or agents" in refused["detail"]
    for answer in (client.put("/secret/db", json={"value": "eA=="}), client.delete("/secret/db"), client.get("/secrets")):
        assert "mode reconcile or agents" in problem(answer, 404)["detail"]
    assert asked(nodes) == 0
