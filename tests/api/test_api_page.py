"""The web page as it is served: whole, from here alone, and with a session that nobody else can use."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.page import session
from api.page.session import LIFETIME, Sessions
from duckconf.reach.state.cordons import DRAINS_NAME, FILE_NAME, Cordons
from duckconf.report import NodeView, Report
from tests.api.agents_api import Client, app, operator
from tests.api.test_api_live import Loop, loop
from tests.api.test_api_push import client, nodes, problem

__all__ = ["app", "client", "loop", "nodes", "operator"]

STATIC = Path(session.__file__).with_name("static")
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PAGE = {"X-Duckconf-Page": "1"}


def test_a_browser_gets_the_page_and_a_program_what_it_always_got(loop: Loop, app: Flask) -> None:
    for served in (loop.client, app.test_client()):
        answer = served.get("/", headers=HTML)
        assert answer.status_code == 200
        assert answer.mimetype == "text/html"
    assert "GET /openapi.json" in problem(loop.client.get("/"), 404)["detail"]
    assert "GET /openapi.json" in problem(loop.client.get("/", headers={"Accept": "*/*"}), 404)["detail"]
    problem(app.test_client().get("/"), 401)


def test_all_that_the_page_names_is_served_with_its_policy(loop: Loop) -> None:
    named = set(re.findall(r'(?:src|href)="(/[^"]*)"', (STATIC / "index.html").read_text()))
    for script in STATIC.glob("*.js"):
        named |= {f"/page/{name}" for name in re.findall(r'from "\./([^"]*)"', script.read_text())}
    assert len(named) > 10
    for path in named:
        answer = loop.client.get(path)
        assert answer.status_code == 200, path
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    problem(loop.client.get("/page/session.py"), 404)


def test_the_page_has_no_script_or_style_in_itself_and_asks_nobody_else() -> None:
    page = (STATIC / "index.html").read_text()
    assert not re.findall(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*src=)", page)
    for file in STATIC.iterdir():
        assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", file.read_text()), file.name
        assert "innerHTML" not in file.read_text(), file.name


def test_a_file_that_a_browser_has_is_not_sent_again(loop: Loop) -> None:
    mark = loop.client.get("/page/style.css").headers["ETag"]
    assert loop.client.get("/page/style.css", headers={"If-None-Match": mark}).status_code == 304


def cookie(answer: TestResponse) -> str:
    return answer.headers["Set-Cookie"]


def test_the_token_is_exchanged_once_for_a_cookie_that_no_script_and_no_other_site_has(operator: Client) -> None:
    told = cookie(operator("POST", "/session"))
    for word in ("HttpOnly", "SameSite=Strict", f"Max-Age={LIFETIME}", "Path=/"):
        assert word in told
    assert "op" not in told.partition("=")[2].partition(";")[0].split(".")


def test_a_session_counts_with_the_header_of_the_page_and_from_the_same_site_alone(operator: Client, app: Flask) -> None:
    browser = app.test_client()
    assert browser.post("/session", headers={"Authorization": "Bearer op"}).status_code == 200
    assert browser.get("/picture", headers=PAGE).status_code == 200
    assert browser.put("/app/web", json={"image": "nginx"}, headers={**PAGE, "Sec-Fetch-Site": "same-origin"}).status_code == 201
    problem(browser.get("/picture"), 401)
    problem(browser.put("/app/web", json={"image": "nginx"}, headers={**PAGE, "Sec-Fetch-Site": "cross-site"}), 401)
    problem(browser.get("/picture", headers={**PAGE, "Authorization": "Bearer nobody"}), 401)
    assert browser.post("/session", headers=PAGE).status_code == 200
    assert browser.delete("/session", headers=PAGE).status_code == 200
    problem(browser.get("/picture", headers=PAGE), 401)


def test_the_token_of_a_node_and_no_token_open_no_session(app: Flask) -> None:
    problem(Client(app, "token of node-1")("POST", "/session"), 403)
    problem(app.test_client().post("/session", headers=PAGE), 401)


def test_a_session_outlives_the_server_and_ends_with_its_time_and_its_token(tmp_path: Path) -> None:
    now = [time.time()]
    mark = ["hash of the token"]

    def sessions() -> Sessions:
        return Sessions(tmp_path / "operator.token", "demo", lambda: mark[0], lambda: now[0])

    (tmp_path / "operator.token").write_text("op")

    value = sessions().open()
    assert sessions().is_valid(value)
    for forged in ("", "x", value + "0", f"9{value}", ".".join(["99999999999", *value.split(".")[1:]])):
        assert not sessions().is_valid(forged)
    now[0] += LIFETIME + 1
    assert not sessions().is_valid(value)
    now[0] -= LIFETIME
    assert sessions().is_valid(value)
    mark[0] = "another"
    assert not sessions().is_valid(value)
    mark[0] = "hash of the token"
    for text in ("", "another"):
        (tmp_path / "operator.token").write_text(text)
        assert not sessions().is_valid(value)


def test_a_node_is_cordoned_drained_and_let_free_again_in_reconcile_mode(loop: Loop, tmp_path: Path) -> None:
    loop.reports.write(Report({"n1": NodeView("ready")}))

    def change(**wanted: bool) -> dict[str, bool]:
        assert (loop.client.put("/node/n1", json=wanted).json or {})["changed"]
        node = (loop.client.get("/picture").json or {})["nodes"]["n1"]
        return {name: node[name] for name in ("cordoned", "draining") if name in node}

    assert change(cordoned=True) == {"cordoned": True}
    assert change(draining=True) == {"cordoned": True, "draining": True}
    assert "n1" in Cordons(tmp_path / DRAINS_NAME).names()
    assert change(cordoned=False) == {}
    assert not Cordons(tmp_path / FILE_NAME).names()
    kinds = [event["kind"] for event in (loop.client.get("/events").json or {})["events"]]
    assert kinds == ["cordoned", "draining", "uncordoned"]


@pytest.mark.parametrize("wanted", [{}, {"cordoned": 1}, {"draining": True}, {"draining": 1}, [], {"cordoned": True, "more": 1}])
def test_in_push_mode_a_node_is_cordoned_and_nothing_else(client: FlaskClient, wanted: object) -> None:
    assert '{"cordoned": true}' in problem(client.put("/node/node-1", json=wanted), 422)["detail"]
    assert "node-1, node-2" in problem(client.put("/node/nobody", json={"cordoned": True}), 404)["detail"]
    assert client.put("/node/node-1", json={"cordoned": True}).json == {"name": "node-1", "changed": True}
    assert (client.post("/app/start", json={"image": "nginx"}).json or {})["node"] != "node-1"


def test_a_page_of_another_site_changes_nothing_in_any_mode(loop: Loop, client: FlaskClient, operator: Client) -> None:
    for origin in ("http://evil.example", "null", "http://localhost:1"):
        problem(loop.client.post("/apps/confirm", headers={"Origin": origin}), 403)
        problem(loop.client.put("/app/web", json={"image": "nginx"}, headers={"Origin": origin}), 403)
        problem(client.post("/app/start", json={"image": "nginx"}, headers={"Origin": origin}), 403)
        problem(operator("POST", "/session", None, Origin=origin), 403)
    assert loop.client.put("/app/web", json={"image": "nginx"}, headers={"Origin": "http://localhost"}).status_code == 201


def test_a_kill_asks_for_json_and_says_when_nobody_holds_the_connections(loop: Loop) -> None:
    path = "/node/n1/container/duckconf-web"
    problem(loop.client.post(f"{path}/kill"), 415)
    problem(loop.client.post(f"{path}/kill", json={"signal": "TERM"}), 422)
    assert "the control loop" in problem(loop.client.post(f"{path}/kill", json={}), 503)["detail"]
    assert "the control loop" in problem(loop.client.get(f"{path}/log"), 503)["detail"]
    problem(loop.client.get(f"{path}/log?since=1"), 422)


def test_in_push_mode_only_what_is_ours_is_killed(client: FlaskClient) -> None:
    problem(client.post("/node/node-1/container/stranger/kill", json={}), 404)
    problem(client.post("/node/nobody/container/stranger/kill", json={}), 404)
