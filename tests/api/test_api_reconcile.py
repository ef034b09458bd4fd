"""The reconcile API: it changes the desired file and nothing else, and says what the loop reported."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from api.factory import create_reconcile
from api.openapi import document
from api.stores.desired import DesiredStore
from duckconf.desired import empty_document, read_document
from duckconf.overview import AppView
from duckconf.reach.state.journal import Journal
from duckconf.reach.state.reports import ReportFile
from duckconf.reach.state.secrets import SecretFile
from duckconf.report import NodeView, Report
from tests.api.test_api_push import calls_in, calls_of, problem
from tests.unit.test_compose import PRINTED, SHORT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "desired_state.csv"
    file.write_text(empty_document().text())
    os.utime(file, (0, 0))
    return file


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "events.jsonl", "api")


@pytest.fixture
def reports(tmp_path: Path) -> ReportFile:
    return ReportFile(tmp_path / "reconciler.json")


@pytest.fixture
def client(path: Path, journal: Journal, reports: ReportFile) -> FlaskClient:
    return create_reconcile(DesiredStore(path, journal.add), reports, "demo", journal).test_client()


def declared(path: Path) -> dict[str, str]:
    return {name: app.image for name, app in read_document(path.read_text()).apps().items()}


def test_a_start_is_accepted_when_it_is_in_the_file(client: FlaskClient, path: Path) -> None:
    answer = client.post("/app/start", json={"image": "nginx", "env": {"A": "b c"}})
    assert answer.status_code == 202
    assert (answer.json or {})["app"] == "app-1"
    assert declared(path) == {"app-1": "nginx"}
    assert path.read_text().startswith("name,image")


def test_names_count_on_and_never_repeat(client: FlaskClient, path: Path, journal: Journal, reports: ReportFile) -> None:
    for _ in range(3):
        client.post("/app/start", json={"image": "nginx"})
    client.delete("/app/app-3")
    restarted = create_reconcile(DesiredStore(path, journal.add), reports, "demo", journal).test_client()
    assert restarted.post("/app/start", json={"image": "nginx"}).json["app"] == "app-4"  # type: ignore[index]


def test_a_name_that_is_taken_is_409_and_says_how_to_change_it(client: FlaskClient, path: Path) -> None:
    assert client.post("/app/start", json={"image": "nginx", "name": "web"}).status_code == 202
    detail = problem(client.post("/app/start", json={"image": "redis", "name": "web"}), 409)["detail"]
    assert "./inv update web" in detail
    assert declared(path) == {"web": "nginx"}


def test_a_put_declares_changes_and_repeats(client: FlaskClient, path: Path) -> None:
    assert client.put("/app/web", json={"image": "nginx", "env": {"A": "1"}}).status_code == 201
    text = path.read_text()
    assert client.put("/app/web", json={"image": "nginx"}).status_code == 200
    assert path.read_text() == text
    changed = client.put("/app/web", json={"image": "nginx:2"})
    assert (changed.status_code, (changed.json or {})["env"]) == (200, {"A": "1"})
    assert "env" not in (client.put("/app/web", json={"env": None}).json or {})
    assert declared(path) == {"web": "nginx:2"}


def test_if_match_keeps_two_people_from_overwriting_each_other(client: FlaskClient) -> None:
    first = client.put("/app/web", json={"image": "nginx"})
    assert first.headers["ETag"] == f'"{(first.json or {})["revision"]}"'
    matching = {"If-Match": first.headers["ETag"]}
    assert client.put("/app/web", json={"image": "nginx:2"}, headers=matching).status_code == 200
    problem(client.put("/app/web", json={"image": "nginx:3"}, headers=matching), 412)
    problem(client.delete("/app/web", headers=matching), 412)
    problem(client.put("/app/new", json={"image": "nginx"}, headers={"If-Match": "*"}), 412)
    for wrong in ("", '"', ","):
        assert "in quotes, or *" in problem(client.delete("/app/web", headers={"If-Match": wrong}), 422)["detail"]
    assert client.delete("/app/web", headers={"If-Match": "*"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"node": "node-1"}, "node"),
        ({"name": "other"}, "name"),
        ({"image": "A B"}, "image"),
        ({}, "image"),
        ({"image": "x", "ports": ["80:"]}, "ports/0"),
        ([], ""),
        ({"image": "x", "colour": "red"}, "colour"),
    ],
)
def test_a_put_that_cannot_be_meant_is_422_with_its_path(client: FlaskClient, path: Path, body: Any, where: str) -> None:
    assert [error["path"] for error in problem(client.put("/app/web", json=body), 422)["errors"]] == [where]
    assert declared(path) == {}


def test_a_request_and_what_it_led_to_have_one_id(client: FlaskClient) -> None:
    given = client.put("/app/web", json={"image": "nginx"}, headers={"X-Request-Id": "ticket-17"})
    assert given.headers["X-Request-Id"] == "ticket-17"
    own = client.delete("/app/web", headers={"X-Request-Id": "bad id\t"}).headers["X-Request-Id"]
    assert len(own) == 8
    assert [event["id"] for event in client.get("/events").json["events"]][-2:] == ["ticket-17", own]  # type: ignore[index]


def test_a_name_that_is_typed_wrong_comes_with_the_right_one(client: FlaskClient) -> None:
    client.put("/app/web", json={"image": "nginx"})
    assert "did you mean web?" in problem(client.get("/app/wbe"), 404)["detail"]
    assert "did you mean web?" in problem(client.delete("/app/wbe"), 404)["detail"]


def test_what_is_not_declared_is_404(client: FlaskClient) -> None:
    for answer in (client.get("/app/web"), client.delete("/app/web"), client.get("/app/Not A Name")):
        problem(answer, 404)
    problem(client.put("/app/Not A Name", json={"image": "nginx"}), 422)


def test_a_listing_shows_what_the_loop_reported(client: FlaskClient, reports: ReportFile) -> None:
    for name in ("a", "b"):
        client.put(f"/app/{name}", json={"image": "nginx"})
    view = AppView("a", "node-2", "duckconf-a", "nginx", "yes", "running", 3)
    reports.write(Report({"node-2": NodeView("ready"), "node-1": NodeView("lost", "no answer")}, (view,)))
    apps = {entry["name"]: entry for entry in (client.get("/apps").json or {})["apps"]}
    assert (apps["a"]["node"], apps["a"]["status"], apps["a"]["restarts"]) == ("node-2", "running", 3)
    assert (apps["b"]["node"], apps["b"]["status"]) == ("", "pending")
    for node, name in (("node-2", "a"), ("", "b")):
        assert [entry["name"] for entry in (client.get(f"/apps?nodeName={node}").json or {})["apps"]] == [name]
    metrics = client.get("/metrics").get_data(as_text=True)
    assert 'duckconf_app_instances{app="a",state="running"} 1.0' in metrics
    assert 'duckconf_app_instances{app="b",state="pending"} 1.0' in metrics
    assert 'duckconf_node_status{node="node-1",status="lost"} 1.0' in metrics


def test_a_listing_has_every_instance_and_counts_those_that_run(client: FlaskClient, reports: ReportFile) -> None:
    client.post("/app/start", json={"image": "nginx", "name": "web", "replicas": 3})
    views = [AppView("web", f"node-{slot}", f"c-{slot}", "nginx", "yes", "running", slot=slot) for slot in (1, 2)]
    reports.write(Report({}, views))
    (shown,) = (client.get("/apps").json or {})["apps"]
    assert [(entry["slot"], entry["status"]) for entry in shown["instances"]] == [(1, "running"), (2, "running"), (3, "pending")]
    assert (shown["running"], shown["replicas"], shown["status"]) == (2, 3, "pending")
    assert (client.get("/apps?nodeName=node-2").json or {})["apps"] == [shown]
    assert (client.put("/app/web", json={"replicas": 0}).json or {})["instances"] == []


def test_a_watch_returns_at_once_when_something_is_newer_and_when_something_comes(client: FlaskClient, path: Path) -> None:
    revision = (client.get("/apps").json or {})["revision"]
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(client.get(f"/apps?wait=30&since={revision}").json))
    waiting.start()
    client.application.test_client().put("/app/web", json={"image": "nginx"})
    waiting.join(10)
    assert answers[0]["revision"] > revision
    assert (client.get(f"/apps?wait=30&since={revision}").json or {})["apps"]


@pytest.mark.parametrize(
    "query", ["wait=x&since=1", "wait=-1&since=1", "since=-1", "since=x", "nodename=a", "wait=nan&since=1", "wait=-1"]
)
def test_a_bad_query_is_422(client: FlaskClient, query: str) -> None:
    problem(client.get(f"/apps?{query}"), 422)


def test_events_say_what_was_declared_and_can_be_followed(client: FlaskClient) -> None:
    cursor = (client.get("/events").json or {})["cursor"]
    client.put("/app/web", json={"image": "nginx"})
    client.put("/app/web", json={"image": "nginx:2"})
    client.delete("/app/web")
    page = client.get(f"/events?since={cursor}&wait=5").json or {}
    assert [event["kind"] for event in page["events"]] == ["declared", "updated", "withdrawn"]
    assert (client.get(f"/events?since={page['cursor']}").json or {})["events"] == []
    for wrong in ("since=nonsense", "since=", "since=²-0", f"since=1-{10**30}", "wait=-1", "limit=-1"):
        problem(client.get(f"/events?{wrong}"), 422)


def test_a_bad_row_is_shown_and_cannot_be_written_over(client: FlaskClient, path: Path, journal: Journal) -> None:
    path.write_text("web,NOT AN IMAGE\ngood,nginx\n")
    store = DesiredStore(path, journal.add)
    again = create_reconcile(store, ReportFile(path.with_name("r")), "demo", journal).test_client()
    listing = again.get("/apps").json or {}
    assert [entry["name"] for entry in listing["apps"]] == ["good"]
    assert listing["faults"][0].startswith("line 1: image")
    assert "line 1" in problem(again.put("/app/web", json={"image": "nginx"}), 409)["detail"]
    assert "web,NOT AN IMAGE\n" in path.read_text()


def test_a_missing_file_is_503_and_lists_what_was_known(client: FlaskClient, path: Path) -> None:
    client.put("/app/web", json={"image": "nginx"})
    path.unlink()
    assert "missing" in problem(client.put("/app/b", json={"image": "nginx"}), 503)["detail"]
    assert "missing" in json.dumps((client.get("/apps").json or {})["faults"])
    assert client.get("/readyz").status_code == 503
    assert not path.exists()


def test_the_description_is_valid(client: FlaskClient) -> None:
    validate(document("reconcile"))
    assert client.get("/openapi.json").json == document("reconcile")
    # An app may be called start, and then has the address that also starts one.
    of_start = {("/app/start", verb) for verb in ("get", "put", "delete")}
    assert calls_of(client.application) == calls_in(document("reconcile")) - of_start


def test_the_body_of_a_compose_service_declares_an_app_and_changes_it(client: FlaskClient, path: Path) -> None:
    made = client.put("/app/web", json=PRINTED)
    assert (made.status_code, {key: (made.json or {})[key] for key in SHORT}) == (201, SHORT)
    again = client.put("/app/web", json=PRINTED)
    assert (again.status_code, again.headers["ETag"]) == (200, made.headers["ETag"])
    changed = client.put("/app/web", json={"environment": ["B=2"], "mem_limit": None, "stop_signal": "SIGQUIT"}).json or {}
    assert (changed["env"], "memory" in changed, changed["ports"]) == ({"B": "2"}, False, SHORT["ports"])
    assert read_document(path.read_text()).apps()["web"].stop_signal == "SIGQUIT"
    started = client.post("/app/start", json={**PRINTED, "ports": []})
    assert started.status_code == 202


def test_a_key_of_compose_that_is_not_supported_is_a_problem_with_its_name(client: FlaskClient) -> None:
    body = problem(client.put("/app/web", json={"image": "nginx", "volumes_from": ["db"], "environment": {"A": None}}), 422)
    assert [error["path"] for error in body["errors"]] == ["volumes_from", "environment/A"]


def test_secrets_are_set_in_their_file_and_an_app_may_use_those_that_are_there(client: FlaskClient, path: Path) -> None:
    for answer in (client.put("/secret/db", json={"value": "eA=="}), client.delete("/secret/db"), client.get("/secrets")):
        assert "./inv secret" in problem(answer, 404)["detail"]
    for answer in (
        client.put("/app/web", json={"image": "nginx", "secrets": ["db"]}),
        client.post("/app/start", json={"image": "nginx", "secrets": ["db"]}),
    ):
        assert "./inv secret set db" in problem(answer, 422)["detail"]
    SecretFile(path.with_name("secrets.json")).put("db", b"hunter2", 1.0)
    assert client.put("/app/web", json={"image": "nginx", "secrets": ["db"]}).status_code == 201
    assert "hunter2" not in client.get("/apps").get_data(as_text=True) + path.read_text()
