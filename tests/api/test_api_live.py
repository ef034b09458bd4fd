"""The live picture: as it is now, and as a stream over a real server, whose workers stay free for others."""

from __future__ import annotations

import os
import ssl
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import validate

from api.factory import create_reconcile
from api.live.hub import Hub
from api.live.of_agents import OfAgents
from api.live.of_loop import OfLoop
from api.schemas_of_picture import PICTURE
from api.stores.desired import DesiredStore
from duckconf.cli.cluster.certificates import ensure_certificate
from duckconf.control_plane import Tls
from duckconf.desired import empty_document
from duckconf.events import Event
from duckconf.overview import AppView
from duckconf.reach.state.journal import FILE_NAME, Journal
from duckconf.reach.state.news import of_folder
from duckconf.reach.state.passings import PassingFile
from duckconf.reach.state.reports import ReportFile
from duckconf.report import NodeView, Report
from tests.api.agents_api import Client, app, beat, copy, operator
from tests.api.live_server import Reader, served
from tests.api.test_api_push import client, nodes, problem
from tests.waiting import until

__all__ = ["app", "client", "nodes", "operator"]

# Seconds: longer than a test waits.
NEVER = 60.0
SHOWN = (FILE_NAME, "reconciler.json", "passing.json", "desired_state.csv")
WEB = AppView("web", "n1", "duckconf-web", "nginx", "yes", "running", started=5.0, ready=True, updated=True)


class Loop:
    """What the loop's process writes, and the API beside it as an app."""

    def __init__(self, folder: Path) -> None:
        state = folder / "desired_state.csv"
        state.write_text(empty_document().text())
        os.utime(state, (0, 0))
        self.reports = ReportFile(folder / "reconciler.json")
        self.journal = Journal(folder / FILE_NAME, "reconciler")
        self.passing = PassingFile(folder / "passing.json", time.time)
        journal = Journal(folder / FILE_NAME, "api", news=of_folder(folder, SHOWN))
        journal.news.again = NEVER
        self.app = create_reconcile(DesiredStore(state, journal.add), ReportFile(folder / "reconciler.json"), "demo", journal)
        self.client = self.app.test_client()


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loop:
    """Nobody looks by himself: what comes has come by news."""
    monkeypatch.setattr(OfLoop, "due", lambda _: NEVER)
    return Loop(tmp_path)


@pytest.fixture
def port(loop: Loop) -> Iterator[int]:
    with served(loop.app) as port:
        yield port


def test_the_picture_has_what_is_desired_beside_what_the_loop_reported(loop: Loop) -> None:
    loop.client.put("/app/web", json={"image": "nginx", "replicas": 2})
    old = AppView("old", "n1", "duckconf-old", "redis", "no", "running", note="not desired")
    nodes = {"n1": NodeView("ready"), "n2": NodeView("lost", "no route")}
    loop.reports.write(Report(nodes, (WEB, old), rollouts={"web": "1 of 2"}))
    loop.passing.passed({"sensor": "1 of 2 nodes answer"}, ["n1"], 0.25)
    told: dict[str, Any] = loop.client.get("/picture").json or {}
    validate(told, PICTURE)
    assert told["mode"] == "reconcile"
    assert told["apps"]["web"] | {"revision": ""} == {
        "image": "nginx", "wanted": 2, "running": 1, "ready": 1, "updated": 1, "rollout": "1 of 2", "revision": "",
    }  # fmt: skip
    assert {name: (one.get("node", ""), one["status"]) for name, one in told["instances"].items()} == {
        "web": ("n1", "running"),
        "web.2": ("", "pending"),
        "n1/duckconf-old": ("n1", "running"),
    }
    assert told["instances"]["n1/duckconf-old"]["surplus"]
    assert told["nodes"]["n2"] == {"status": "lost", "reason": "no route"}
    assert told["nodes"]["n1"]["heard"] == pytest.approx(time.time(), abs=60)
    assert told["steps"]["sensor"]["words"] == "1 of 2 nodes answer"
    assert told["processes"]["reconciler"]["state"] == "running"


def test_a_loop_whose_process_has_ended_is_stopped_and_does_nothing_now(loop: Loop, tmp_path: Path) -> None:
    loop.passing.acts("actuator", "n1/web", "n1", "start web", done=False)
    path = tmp_path / "passing.json"
    assert "n1/web" in (loop.client.get("/picture").json or {})["calls"]
    path.write_text(path.read_text().replace(f'"process": {os.getpid()}', f'"process": {2**22 + 1}'))
    told = loop.client.get("/picture").json or {}
    assert (told["processes"]["reconciler"]["state"], told["calls"]) == ("stopped", {})


def test_a_stream_begins_with_the_picture_and_news_bring_each_change(loop: Loop, port: int) -> None:
    reader = Reader(port)
    assert "200 OK" in reader.head
    assert "text/event-stream" in reader.head
    assert "Transfer-Encoding" not in reader.head
    reader.until("picture")
    validate({**reader.picture, "now": 1.0}, PICTURE)
    for number in range(5):
        loop.reports.write(Report({"n1": NodeView("ready", f"turn {number}")}))
        patch = reader.until("patch")
        assert patch.data["nodes"]["n1"]["reason" if number else "status"] == (f"turn {number}" if number else "ready")
    reader.close()


def test_an_event_of_the_loop_and_an_own_one_reach_the_stream(loop: Loop, port: int) -> None:
    reader = Reader(port)
    reader.until("picture")
    for tell in (loop.journal.add, lambda _: loop.client.put("/app/web", json={"image": "nginx"})):
        tell(Event("started", "web started", "web", "n1"))
        reader.until("events")
    assert [event["kind"] for event in reader.events] == ["started", "declared"]
    reader.close()


def test_who_comes_back_is_told_what_was_missed_and_not_the_whole_again(loop: Loop, port: int) -> None:
    first, other = Reader(port), Reader(port)
    first.until("picture")
    first.close()
    other.until("picture")
    loop.reports.write(Report({"n1": NodeView("ready")}))
    loop.journal.add(Event("started", "web started", "web", "n1"))
    other.until("events")
    again = Reader(port, first.known)
    again.picture = first.picture
    again.until("events")
    assert "picture" not in again.kinds
    assert [event["message"] for event in again.events] == ["web started"]
    assert again.picture["nodes"] == {"n1": {"status": "ready"}}
    unknown = Reader(port, "deadbeef.3.1-2")
    unknown.until("picture")
    for reader in (other, again, unknown):
        reader.close()


def test_a_hundred_open_pages_leave_all_workers_free(loop: Loop) -> None:
    with served(loop.app, threads=2) as port:
        readers = [Reader(port) for _ in range(100)]
        for reader in readers:
            reader.until("picture")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            assert answer.status == 200
        loop.reports.write(Report({"n1": NodeView("ready")}))
        assert {reader.until("patch").id for reader in readers} == {readers[0].known}
        for reader in readers:
            reader.close()


def test_over_tls_a_large_picture_and_its_changes_arrive_whole(loop: Loop, tmp_path: Path) -> None:
    files = ensure_certificate(tmp_path, tmp_path, Tls(), "demo", (), time.time())
    assert files.ca is not None
    trust = ssl.create_default_context(cafile=str(files.ca))
    views = tuple(replace(WEB, slot=number + 1, container=f"duckconf-web-{number}", note="x" * 200) for number in range(5000))
    loop.client.put("/app/web", json={"image": "nginx", "replicas": 1000})
    with served(loop.app, 2, str(files.certificate), str(files.key)) as port:
        readers = [Reader(port, trust=trust) for _ in range(5)]
        for reader in readers:
            reader.until("picture")
        loop.reports.write(Report({"n1": NodeView("ready")}, views))
        for reader in readers:
            while not reader.picture["nodes"]:
                reader.until("patch")
            assert reader.picture["apps"]["web"]["ready"] == 1000
            reader.close()


def test_a_picture_that_cannot_be_made_ends_neither_stream_nor_server(
    loop: Loop, port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reader = Reader(port)
    reader.until("picture")
    with monkeypatch.context() as patch:
        patch.setattr(OfLoop, "look", lambda _: 1 / 0)
        loop.reports.write(Report({"n1": NodeView("ready")}))
        until("it was tried", lambda: "no picture can be made" in caplog.text)
        # Who joins while others look needs no picture made for him; a connection that cannot be taken over is closed.
        patch.setattr(Hub, "join", lambda *_: 1 / 0)
        with pytest.raises(AssertionError, match="ended"):
            Reader(port).until("picture")
    loop.reports.write(Report({"n2": NodeView("ready")}))
    reader.until("patch")
    assert list(reader.picture["nodes"]) == ["n2"]
    reader.close()


def test_an_unknown_parameter_of_the_picture_is_refused(loop: Loop) -> None:
    assert "known are none" in problem(loop.client.get("/picture?full=1"), 422)["detail"]
    assert "known are none" in problem(loop.client.get("/events?since=1", headers={"Accept": "text/event-stream"}), 422)["detail"]


def test_events_stay_json_for_programs_that_take_anything(loop: Loop) -> None:
    assert loop.client.get("/events").json == {"cursor": "0-0", "events": []}
    assert loop.client.get("/events", headers={"Accept": "*/*"}).is_json


def test_push_mode_shows_that_it_has_neither_sensor_nor_comparator(client: FlaskClient) -> None:
    client.post("/app/start", json={"image": "nginx"})
    told: dict[str, Any] = client.get("/picture").json or {}
    validate(told, PICTURE)
    assert [step for step, seen in told["steps"].items() if "absent" in seen] == ["sensor", "comparator"]
    assert told["steps"]["actuator"]["node"] == "node-1"
    assert list(told["nodes"]) == ["node-1", "node-2", "node-3"]
    events = (client.get("/events").json or {})["events"]
    assert [(event["kind"], event["node"]) for event in events] == [("started", "node-1")]


def test_agents_mode_shows_heartbeats_and_who_decides(operator: Client, app: Flask) -> None:
    operator("PUT", "/app/web", {"image": "nginx"})
    operator("PUT", "/apps", {"apps": [{"name": "web", "node": "node-1"}]})
    beat(operator, "node-1", {**copy("web"), "ports": ["8080:80"]}, copy("other"))
    operator("GET", "/nodes", **{"User-Agent": "duckconf/scheduler"})
    told: dict[str, Any] = operator("GET", "/picture").json or {}
    validate(told, PICTURE)
    assert told["nodes"]["node-1"] | {"heard": 0} == {"status": "ready", "heard": 0, "zone": "a", "instances": 2, "ready": 2}
    assert told["nodes"]["node-2"]["status"] == "suspect"
    assert told["instances"]["web"]["ports"] == ["8080:80"]
    assert told["instances"]["node-1/duckconf-other"]["surplus"]
    assert told["steps"]["sensor"]["node"] == "node-1"
    assert told["steps"]["comparator"]["words"] == "web placed on node-1"
    assert {name: one["state"] for name, one in told["processes"].items()} == {
        "api": "running", "scheduler": "running", "node-controller": "silent",
    }  # fmt: skip


def test_an_app_of_agents_mode_is_shown_as_it_is_after_each_thing_that_changes_it(operator: Client, app: Flask) -> None:
    def web() -> dict[str, Any]:
        told = operator("GET", "/picture").json or {}
        return {**told["apps"]["web"], **told["instances"]["web"]}

    operator("PUT", "/app/web", {"image": "nginx"})
    assert web()["status"] == "pending"
    operator("PUT", "/apps", {"apps": [{"name": "web", "node": "node-1"}]})
    beat(operator, "node-1")
    assert web()["status"] == "starting"
    beat(operator, "node-1", copy("web"))
    assert (web()["status"], web()["ready"], web().get("restarts", 0)) == ("running", 1, 0)
    beat(operator, "node-1", {**copy("web"), "restarts": 2})
    assert web()["restarts"] == 2
    beat(operator, "node-1", {**copy("web"), "health": "unhealthy", "ready": False})
    assert (web()["health"], web().get("ready", 0)) == ("unhealthy", 0)
    operator("PUT", "/app/web", {"image": "nginx:2"})
    assert web()["image"] != "nginx:1"
    assert web()["outdated"]
    operator("PUT", "/app/web", {"replicas": 2})
    assert web()["wanted"] == 2


def test_in_agents_mode_the_picture_and_the_stream_are_the_operators(app: Flask) -> None:
    for token in ("token of node-1", "nobody"):
        stranger, status = Client(app, token), 403 if token != "nobody" else 401
        problem(stranger("GET", "/picture"), status)
        problem(stranger("GET", "/events", Accept="text/event-stream"), status)


def test_a_heartbeat_that_changes_the_picture_is_seen_at_once(
    operator: Client, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OfAgents, "due", lambda _: NEVER)
    with served(app) as port:
        reader = Reader(port, Authorization="Bearer op")
        reader.until("picture")
        beat(operator, "node-1", copy("web"))
        while "node-1/duckconf-web" not in reader.picture["instances"]:
            reader.until("patch")
        reader.close()
