"""Several servers of one cluster: what one of them is told, all know."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flask.testing import FlaskClient

from api.page.session import HEADER as PAGE
from api.stores.kept import together
from duckconf.codec import spec_hash
from duckconf.leading import HEADER
from duckconf.model import App
from duckconf.reach.state.entries import CUT_OFF, Mirror
from duckconf.reach.state.fence import current
from duckconf.reach.state.file_table import FileTable
from duckconf.reach.state.journal import Journal
from tests.api.agents_api import Client, beat, copy, decide, made, mirrored
from tests.waiting import until


class Server(NamedTuple):
    """As the operator and two agents meet it."""

    operator: Client
    agent: Client
    other: Client
    mirror: Mirror
    browser: FlaskClient

    def get(self, path: str) -> Any:
        return self.operator("GET", path).json

    def told(self, path: str) -> Any:
        """What the agent of node-2 is told."""
        return self.other("GET", path).json

    def node(self, name: str) -> Any:
        return next(row for row in self.get("/nodes")["nodes"] if row["name"] == name)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    """Two, on one table."""
    table = FileTable(tmp_path / "all.json")
    with ExitStack() as stack:
        found = []
        for name in ("control-1", "control-2"):
            folder = tmp_path / name
            folder.mkdir()
            mirror = stack.enter_context(mirrored(table))
            kept = together(mirror, str)
            app = made(kept, folder, Journal(folder / "events.jsonl", "api"), name)
            operator, agent, another = (Client(app, token) for token in ("op", "token of node-1", "token of node-2"))
            found.append(Server(operator, agent, another, mirror, app.test_client(use_cookies=False)))
        yield found[0], found[1]


def test_what_one_declares_changes_and_withdraws_the_other_knows(servers: tuple[Server, Server]) -> None:
    one, other = servers
    revision = one.operator("PUT", "/app/web", {"image": "nginx:1"}).headers["ETag"]
    until("the other knows it", lambda: other.operator("GET", "/app/web").headers.get("ETag") == revision)
    assert other.get("/apps")["revision"] == one.get("/apps")["revision"]
    assert other.operator("PUT", "/app/web", {"image": "nginx:2"}, **{"If-Match": revision}).status_code == 200
    assert one.operator("PUT", "/app/web", {"image": "nginx:3"}, **{"If-Match": revision}).status_code == 412
    assert other.operator("DELETE", "/app/web").status_code == 200
    assert one.operator("GET", "/app/web?consistent=1").status_code == 404


def test_a_browser_that_logged_in_at_one_is_known_to_the_other(servers: tuple[Server, Server]) -> None:
    cookie = servers[0].operator("POST", "/session").headers["Set-Cookie"].partition(";")[0]
    for server in servers:
        assert server.browser.get("/apps", headers={"Cookie": cookie, PAGE: "1"}).status_code == 200
        assert server.browser.get("/apps", headers={"Cookie": cookie[:-1], PAGE: "1"}).status_code == 401


def test_one_instance_alone_goes_first_whichever_server_its_node_asks(servers: tuple[Server, Server]) -> None:
    one, other = servers

    def beats(agent: Client, node: str) -> None:
        agent("PUT", f"/node/{node}/heartbeat", {"instance": node, "containers": [], "images": []})

    def runs(agent: Client, node: str) -> Any:
        return (agent("GET", f"/apps?nodeName={node}").json or {})["apps"][0]["runs"]

    one.operator("PUT", "/app/web", {"image": "nginx:1", "replicas": 2, "node": ["node-1", "node-2"]})
    until("the other knows it", lambda: other.operator("GET", "/app/web").status_code == 200)
    beats(other.other, "node-2")
    assert runs(other.other, "node-2") == {"first": True}
    beats(one.agent, "node-1")
    assert "waits for web.2 on node-2" in runs(one.agent, "node-1")["awaits"]
    until("the other has heard node-1", lambda: other.node("node-1")["status"] == "ready")
    assert runs(other.other, "node-2") == {"first": True}


def test_of_writes_at_both_none_is_lost(servers: tuple[Server, Server]) -> None:
    servers[0].operator("PUT", "/app/web", {"image": "nginx", "env": {}})
    until("the other knows it", lambda: servers[1].operator("GET", "/app/web").status_code == 200)

    def add(number: int) -> None:
        """Try it until nobody else was faster."""
        server, code = servers[number % 2], 412
        while code == 412:
            read = server.operator("GET", "/app/web")
            env = {**(read.json or {}).get("env", {}), f"V{number}": "1"}
            code = server.operator("PUT", "/app/web", {"env": env}, **{"If-Match": read.headers["ETag"]}).status_code
        assert code == 200

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(20)))
    for server in servers:
        assert set(server.get("/app/web?consistent=1")["env"]) == {f"V{number}" for number in range(20)}


def test_two_apps_with_one_address_are_not_taken_by_two_servers(servers: tuple[Server, Server]) -> None:
    def declare(number: int) -> int:
        body = {"image": "nginx", "ports": ["80"], "routes": ["shop.example.org"]}
        return servers[number % 2].operator("PUT", f"/app/web-{number}", body).status_code

    with ThreadPoolExecutor(4) as pool:
        codes = sorted(pool.map(declare, range(4)))
    assert codes == [201, 409, 409, 409]


def test_a_heartbeat_is_known_to_both_with_what_runs(servers: tuple[Server, Server]) -> None:
    one, other = servers
    one.operator("PUT", "/app/web", {"image": "nginx", "node": "node-1"})
    beat(one.agent, "node-1", copy("web"))
    until("it is ready", lambda: other.node("node-1")["status"] == "ready")
    until("it runs", lambda: other.get("/app/web")["running"] == 1)
    assert 0 <= other.node("node-1")["age"] < 20
    assert one.node("node-2")["status"] == "suspect"
    beat(other.agent, "node-1")
    until("it is gone", lambda: one.get("/app/web")["running"] == 0)


def test_a_cordon_a_secret_and_the_past_are_known_to_both(servers: tuple[Server, Server]) -> None:
    one, other = servers
    assert one.operator("PUT", "/node/node-1", {"draining": True}).status_code == 200
    until("it is drained", lambda: other.node("node-1").get("draining"))
    assert other.operator("PUT", "/node/node-1", {"cordoned": False}).status_code == 200
    value = base64.b64encode(b"hunter2").decode()
    assert one.operator("PUT", "/secret/db", {"value": value}).status_code == 201
    until("the secret is there", lambda: [entry["name"] for entry in other.get("/secrets")["secrets"]] == ["db"])
    assert other.operator("PUT", "/app/web", {"image": "nginx", "secrets": ["db"], "node": "node-2"}).status_code == 201
    told = other.told("/node/node-2/secrets")["secrets"]
    assert told["db"]["value"] == value
    before = other.told("/apps?nodeName=node-2")["apps"][0]["secret_revisions"]
    one.operator("PUT", "/secret/db", {"value": base64.b64encode(b"other").decode()})
    until("the new one counts", lambda: other.told("/apps?nodeName=node-2")["apps"][0]["secret_revisions"] != before)
    one.operator("POST", "/rebalance")
    until("a rebalance is asked for", lambda: other.get("/rebalance")["asked"] == 1)


def test_what_happened_with_one_is_told_by_both_once(servers: tuple[Server, Server]) -> None:
    one, other = servers

    def told(server: Server) -> list[str]:
        return [event["app"] for event in server.get("/events")["events"] if event["kind"] == "declared"]

    for number in range(10):
        servers[number % 2].operator("PUT", f"/app/web-{number}", {"image": "nginx"})
    for server in (one, other):
        until("all is told", lambda: sorted(told(server)) == [f"web-{number}" for number in range(10)])  # noqa: B023


def test_an_event_of_a_leader_is_refused_by_a_server_that_has_not_heard_of_the_next_one(
    servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that was frozen meanwhile: it hears what the others did while it asks for that."""
    one, other = servers
    one.operator("PUT", "/app/web", {"image": "nginx"})
    assert one.operator("PUT", "/leases/scheduler", {"who": "one", "process": "p"}).status_code == 200
    until("the other knows it", lambda: other.get("/leases")["leases"][0]["who"] == "one")
    thawed, told, reach = threading.Event(), one.mirror._told, one.mirror.reach

    def late(*news: Any) -> None:
        thawed.wait(20)
        told(*news)

    def asked(*revision: Any) -> bool:
        if current() is not None:
            thawed.set()
        return reach(*revision)

    monkeypatch.setattr(one.mirror, "_told", late)
    monkeypatch.setattr(one.mirror, "reach", asked)
    other.operator("DELETE", "/leases/scheduler?process=p")
    assert (other.operator("PUT", "/leases/scheduler", {"who": "two", "process": "q"}).json or {})["yours"]
    event = {"kind": "pending", "message": "no node for web", "app": "web", "source": "scheduler"}
    answer = one.operator("POST", "/events", {"events": [event]}, **{HEADER: "scheduler/1/p"})
    thawed.set()
    assert answer.status_code == 412
    assert [entry for entry in one.get("/events")["events"] if entry["kind"] == "pending"] == []


def test_what_stops_first_and_what_a_front_has_is_known_to_both(servers: tuple[Server, Server]) -> None:
    one, other = servers
    one.operator("PUT", "/app/web", {"image": "nginx", "node": "node-1", "ports": ["80"], "routes": ["a.example.org"]})
    for server, node in ((one.agent, "node-1"), (other.other, "node-2")):
        beat(server, node, *([copy("web") | {"ready": True}] if node == "node-1" else []))
    until("both know the first node", lambda: other.node("node-1")["status"] == "ready")
    one.other("PUT", "/front/node-2", {"has": [["node-1", "duckconf-web"]]})
    until("the front has it", lambda: other.told("/front/node-2")["told"])
    binding = {"name": "web", "slot": 1, "node": "node-2", "stops_first": True}
    assert one.operator("PUT", "/apps", {"apps": [binding]}).json == {"bound": 1, "refused": {}}
    until("it is bound", lambda: other.get("/app/web")["node"] == "node-2")
    assert other.told("/apps?nodeName=node-2")["apps"] == []
    beat(one.agent, "node-1")
    until("it may start", lambda: len(other.told("/apps?nodeName=node-2")["apps"]) == 1)


def test_a_read_says_how_old_it_may_be_and_a_consistent_one_is_not(servers: tuple[Server, Server]) -> None:
    one, other = servers
    answer = other.operator("GET", "/apps")
    assert 0 <= float(answer.headers["Duckconf-Age"]) < 3
    assert "Warning" not in answer.headers
    for number in range(10):
        one.operator("PUT", f"/app/web-{number}", {"image": "nginx"})
        assert len(other.get("/apps?consistent=1")["apps"]) == number + 1
    assert other.operator("GET", "/apps?consistent=yes").status_code == 400


def test_a_server_that_is_cut_off_warns_whoever_reads_and_agents_that_send_heartbeats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mirrored(FileTable(tmp_path / "all.json")) as mirror:
        app = made(together(mirror, str), tmp_path, Journal(tmp_path / "events.jsonl", "api"), "control-1")
        operator, agent = Client(app, "op"), Client(app, "token of node-1")
        assert "Warning" not in beat(agent).headers
        monkeypatch.setattr(Mirror, "age", CUT_OFF + 1)
        for answer in (operator("GET", "/apps"), beat(agent)):
            assert (answer.status_code, answer.headers["Warning"][:4]) == (200, "110 ")


def test_a_question_is_answered_by_an_agent_that_asks_another_server(servers: tuple[Server, Server]) -> None:
    one, other = servers
    one.operator("PUT", "/app/web", {"image": "nginx", "node": "node-2"})
    beat(other.other, "node-2", copy("web"))
    until("its agent is heard", lambda: one.node("node-2")["status"] == "ready")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(one.operator, "GET", "/node/node-2/container/duckconf-web/log")
        until("it is told", lambda: bool(other.told("/apps?nodeName=node-2").get("questions")))
        (question,) = other.told("/apps?nodeName=node-2")["questions"]
        path = f"/node/node-2/answers/{question['id']}"
        assert other.other("PUT", path, {"text": "hello"}).status_code == 200
        assert "hello" in asked.result(20).get_data(as_text=True)
    assert "questions" not in other.told("/apps?nodeName=node-2")


def test_an_image_that_one_is_told_of_all_know_until_the_app_is_declared_anew(servers: tuple[Server, Server]) -> None:
    one, other = servers
    declared = {"image": "nginx:1", "replicas": 2, "node": ["node-1", "node-2"]}
    waits = "waits for web on node-1, which finds out what nginx:1 is"

    def runs(name: str, value: str) -> bool:
        return any(app.get("runs", {}).get(name) == value for app in other.told("/apps?nodeName=node-2")["apps"])

    for node, agent in (("node-1", one.agent), ("node-2", other.other)):
        beats(agent, node)
    until("both know both", lambda: one.node("node-2")["status"] == other.node("node-1")["status"] == "ready")
    one.operator("PUT", "/app/web", declared)
    until("it waits", lambda: runs("awaits", waits))
    beats(one.agent, "node-1", {"app": "web", "spec": spec_hash(App("nginx:1")), "image_id": "1" * 64})
    # An agent does not tell it again once it knows that it is known.
    beats(one.agent, "node-1")
    until("the other tells it", lambda: runs("image_id", "1" * 64))
    assert one.operator("DELETE", "/app/web").status_code == 200
    one.operator("PUT", "/app/web", declared)
    until("it waits again", lambda: runs("awaits", waits))


def beats(agent: Client, node: str, *images: object) -> None:
    body = {"instance": node, "containers": [], "images": [*images]}
    assert agent("PUT", f"/node/{node}/heartbeat", body).status_code == 200


def test_a_server_that_is_cut_off_does_nothing_by_halves_and_sends_to_another(
    servers: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Mirror, "age", 4.0)
    refused = servers[0].operator("POST", "/app/start", {"name": "web", "image": "nginx"})
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert "nothing was confirmed for 4 s" in (refused.json or {})["detail"]
    assert servers[0].operator("GET", "/apps").headers["Warning"].startswith("110")


def test_how_far_an_update_is_and_what_was_decided_both_know(servers: tuple[Server, Server]) -> None:
    one, other = servers
    one.operator("PUT", "/app/web", {"image": "nginx:1", "node": "node-1"})
    beat(one.agent, "node-1", copy("web") | {"spec": spec_hash(App("nginx:1")), "ready": True})
    decide(one.operator)
    one.operator("PUT", "/app/web", {"image": "nginx:2"})
    decide(one.operator)
    until("the other tells how far it is", lambda: "0 of 1" in other.get("/app/web").get("rollout", ""))
    beat(one.agent, "node-1", copy("web") | {"spec": spec_hash(App("nginx:2")), "ready": True, "generation": 2})
    until("it is ready for the other", lambda: other.get("/app/web")["ready"] == 1)
    until("the other has the past", lambda: len(other.get("/app/web/history")["revisions"]) == 2)

    def is_over() -> bool:
        """As the scheduler does, it is decided on what is known until all is known."""
        decide(other.operator)
        return not any("rollout" in server.get("/app/web") for server in servers)

    until("it is over for both", is_over)
    assert [item["outcome"] for item in one.get("/app/web/history?consistent=1")["revisions"]] == ["done", "done"]


def test_each_server_says_that_its_revisions_are_its_own(servers: tuple[Server, Server]) -> None:
    assert [server.told("/apps?nodeName=node-2")["origin"] for server in servers] == ["control-1", "control-2"]
