"""The routes of apps in the API: declared, refused where another app has them, and followed by whoever runs a front."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from flask import Flask

from api.stores.fronts import FrontBook
from api.stores.kept_nodes import NodesFile
from api.stores.nodes import NodeBook, Report
from api.stores.placed import PlacedIndex
from tests.api.agents_api import Client, agent, app, beat, copy, operator
from tests.api.test_api_push import problem

__all__ = ["agent", "app", "operator"]

WEB = {"image": "nginx", "ports": ["80"], "routes": ["Shop.example.org"], "node": "node-1"}


def ready(port: int, container: str = "duckconf-web") -> dict[str, Any]:
    return {**copy("web"), "container": container, "ports": [f"{port}:80"], "ready": True}


def routes(operator: Client, query: str = "") -> tuple[str, list[str]]:
    told = operator("GET", f"/routes{query}").json or {}
    (route,) = told["routes"]
    assert (route["host"], route["path"], route["app"]) == ("shop.example.org", "/", "web")
    return told["revision"], [upstream["address"] for upstream in route["upstreams"]]


def test_a_route_leads_to_the_containers_that_are_ready_on_nodes_that_answer(operator: Client, agent: Client) -> None:
    operator("PUT", "/app/web", WEB)
    assert routes(operator)[1] == []
    beat(agent, "node-1", {**ready(32768), "ready": False})
    assert routes(operator)[1] == []
    beat(agent, "node-1", ready(32768))
    assert routes(operator)[1] == ["node-1:32768"]
    beat(agent, "node-1", ready(32768), ready(32769, "duckconf-web.2"))
    assert routes(operator)[1] == ["node-1:32768", "node-1:32769"]
    assert operator("PUT", "/app/web", {"routes": None}).status_code == 200
    assert (operator("GET", "/routes").json or {})["routes"] == []


def test_a_watch_returns_when_another_container_serves(app: Flask, operator: Client, agent: Client) -> None:
    operator("PUT", "/app/web", WEB)
    beat(agent, "node-1", ready(32768))
    revision, before = routes(operator)
    assert routes(operator, f"?since={revision}&wait=0.01") == (revision, before)
    answers: list[list[str]] = []
    follows = Client(app, "op")
    watch = threading.Thread(target=lambda: answers.append(routes(follows, f"?since={revision}&wait=30")[1]))
    watch.start()
    # The same containers again are no news.
    beat(agent, "node-1", ready(32768))
    beat(agent, "node-1", ready(32769, "duckconf-web.2"))
    watch.join(20)
    assert answers == [["node-1:32769"]]


def test_an_address_that_leads_to_another_app_already_is_refused(operator: Client) -> None:
    operator("PUT", "/app/web", WEB)
    assert operator("PUT", "/app/web", {"image": "nginx:2"}).status_code == 200
    refused = problem(operator("PUT", "/app/api", {**WEB, "routes": ["api.example.org", "SHOP.example.org/"]}), 409)
    assert refused["detail"] == "shop.example.org leads to web already (take it away there first: ./inv update web --unset route)"
    problem(operator("POST", "/app/start", {"name": "api", "image": "x", "ports": ["80"], "routes": ["shop.example.org"]}), 409)
    assert operator("PUT", "/app/api", {**WEB, "routes": ["shop.example.org/api"]}).status_code == 201


def test_only_the_operator_follows_routes_and_asks_well(operator: Client, agent: Client) -> None:
    problem(agent("GET", "/routes"), 403)
    problem(operator("GET", "/routes?wait=x"), 422)
    problem(operator("GET", "/routes?host=x"), 422)


def front_of(beats: Client, *containers: dict[str, Any]) -> list[str]:
    """What a heartbeat of node-1 is told of its containers."""
    answer = beat(beats, "node-1", *containers)
    return list((answer.json or {})["front"])


def test_a_front_is_told_of_containers_by_their_inner_addresses_once_all_nodes_were_heard(
    app: Flask, operator: Client, agent: Client
) -> None:
    operator("PUT", "/app/web", WEB)
    edge = Client(app, "token of node-2")
    beat(agent, "node-1", ready(32768))
    told = edge("GET", "/front/node-2").json or {}
    assert (told["complete"], told["told"], told["names"]) == (False, False, {"inside:32768": ["node-1", "duckconf-web"]})
    for node in ("node-2", "node-3"):
        beat(Client(app, f"token of {node}"), node)
    assert (edge("GET", "/front/node-2").json or {})["complete"] is True
    problem(edge("GET", "/front/node-1"), 403)
    problem(agent("GET", "/front/node-1"), 404)


def test_a_container_that_leaves_is_kept_until_no_front_has_it(app: Flask, operator: Client, agent: Client) -> None:
    operator("PUT", "/app/web", WEB)
    edge = Client(app, "token of node-2")
    beat(edge, "node-2")
    leaving = {**ready(32768), "ready": False, "leaving": True}
    assert front_of(agent, ready(32768)) == ["duckconf-web"]
    assert front_of(agent, leaving) == ["duckconf-web"], "the front has not told what it has"
    assert routes(operator)[1] == []
    assert edge("PUT", "/front/node-2", {"has": [["node-1", "duckconf-web"]]}).status_code == 200
    assert front_of(agent, leaving) == ["duckconf-web"]
    edge("PUT", "/front/node-2", {"has": []})
    assert front_of(agent, leaving) == []
    problem(edge("PUT", "/front/node-2", {"has": ["duckconf-web"]}), 422)


def test_a_front_on_a_node_that_does_not_answer_is_not_waited_for(operator: Client, agent: Client) -> None:
    operator("PUT", "/app/web", WEB)
    assert front_of(agent, ready(32768)) == []


def test_nodes_that_were_never_heard_have_their_timeout_from_when_the_first_one_was(tmp_path: Path) -> None:
    now = 0.0
    nodes = NodeBook(NodesFile(tmp_path / "nodes.json"), ("node-1", "node-2"), 20.0, lambda: now)
    book = FrontBook(PlacedIndex(nodes), nodes, ("node-1",), lambda: now)

    def complete(at: float) -> bool:
        nonlocal now
        now = at
        return book.is_complete(book.seen())

    assert not complete(50.0)
    nodes.heartbeat("node-1", Report("one"))
    assert [complete(at) for at in (60.0, 79.0, 81.0)] == [False, False, True]
    nodes.close()
