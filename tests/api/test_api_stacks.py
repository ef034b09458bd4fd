"""A stack through the API, in both modes that keep a state: all its apps in one write, or none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from api.factory import create_reconcile
from api.stores.desired import DesiredStore
from duckconf.codec import spec_hash
from duckconf.desired import empty_document
from duckconf.reach.state.journal import Journal
from duckconf.reach.state.reports import ReportFile
from duckconf.restart import End
from duckconf.share import read_instance
from tests.api.agents_api import Client, agent, app, beat, operator, served
from tests.api.test_api_push import problem

__all__ = ["agent", "app", "operator"]

SHOP = {"apps": {"shop-web": {"image": "nginx", "ports": ["8080:80"]}, "shop-db": {"image": "postgres"}}}


@pytest.fixture(params=["reconcile", "files", "together"])
def call(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """A client of the API in reconcile mode, or in agents mode with what is kept so."""
    if request.param != "reconcile":
        with served(request.param, tmp_path) as app:
            yield Client(app, "op")
        return
    file = tmp_path / "desired_state.csv"
    file.write_text(empty_document().text())
    journal = Journal(tmp_path / "events.jsonl", "api")
    client = create_reconcile(DesiredStore(file, journal.add), ReportFile(tmp_path / "r.json"), "demo", journal).test_client()
    yield lambda method, path, body=None: client.open(path, method=method, json=body)


def images(call: Any) -> dict[str, str]:
    return {entry["name"]: entry["image"] for entry in call("GET", "/apps").json["apps"]}


def test_a_stack_is_declared_changed_and_withdrawn_as_a_whole(call: Any) -> None:
    call("PUT", "/app/alone", {"image": "x"})
    answer = call("PUT", "/stacks/shop", SHOP)
    assert (answer.status_code, sorted(answer.json["declared"])) == (200, ["shop-db", "shop-web"])
    assert {entry["name"]: entry.get("stack") for entry in call("GET", "/apps").json["apps"]} == {
        "alone": None,
        "shop-web": "shop",
        "shop-db": "shop",
    }
    before = call("GET", "/apps").json["revision"]
    again = call("PUT", "/stacks/shop", SHOP).json
    assert (again["declared"], again["updated"], again["withdrawn"]) == ([], [], [])
    assert call("GET", "/apps").json["revision"] == before
    changed = call("PUT", "/stacks/shop", {"apps": {"shop-web": {"image": "nginx:2"}, "shop-new": {"image": "n"}}}).json
    assert (changed["declared"], changed["updated"], changed["withdrawn"]) == (["shop-new"], ["shop-web"], ["shop-db"])
    # A declaration is whole: the ports that it does not name are gone.
    assert "ports" not in call("GET", "/app/shop-web").json
    assert call("DELETE", "/stacks/shop").json["withdrawn"]
    assert images(call) == {"alone": "x"}
    problem(call("DELETE", "/stacks/shop"), 404)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (
            {"apps": {"shop-web": {"image": "nginx"}, "shop-db": {"image": "x", "ports": ["no"]}}},
            422,
            "apps/shop-db/ports/0: sho",
        ),
        (
            {"apps": {"shop-web": {"image": "nginx"}, "alone": {"image": "x"}}},
            409,
            "alone: an app of this name is declared",
        ),
        (
            {"apps": {"shop-web": {"image": "nginx", "ports": ["9000:1"]}}},
            409,
            "the port 9000/tcp of the node is that of blog",
        ),
        (
            {
                "apps": {
                    "shop-web": {"image": "nginx"},
                    "shop-db": {"image": "x", "ports": ["80"], "routes": ["blog.example.org"]},
                }
            },
            409,
            "blog.example.org leads to blog-web already",
        ),
        (
            {"apps": {"shop-web": {"image": "nginx"}, "shop-db": {"image": "x", "secrets": ["none"]}}},
            422,
            "the secret none is not",
        ),
        ({"apps": {"shop-web": {"image": "nginx", "stack": "other"}}}, 422, "apps/shop-web/stack: should be 'shop'"),
        ({"apps": {"shop-web": "nginx"}}, 422, "apps/shop-web: should be an object"),
        ({"apps": {}}, 422, "apps: should be an object such as"),
        ([], 422, "apps: should be an object such as"),
    ],
)
def test_what_is_wrong_with_one_app_keeps_the_stack_as_it_was(call: Any, body: Any, status: int, words: str) -> None:
    call("PUT", "/app/alone", {"image": "x"})
    call("PUT", "/stacks/blog", {"apps": {"blog-web": {"image": "x", "ports": ["9000:80"], "routes": ["blog.example.org"]}}})
    call("PUT", "/stacks/shop", SHOP)
    before = call("GET", "/apps").json
    assert words in problem(call("PUT", "/stacks/shop", body), status)["detail"]
    assert call("GET", "/apps").json == before


def test_an_update_that_rests_goes_on_resting(call: Any) -> None:
    call("PUT", "/stacks/shop", SHOP)
    call("PUT", "/app/shop-web", {"paused": True})
    assert call("PUT", "/stacks/shop", SHOP).json["updated"] == []
    assert call("GET", "/app/shop-web").json["paused"] is True


def test_instances_stay_where_they_are_placed(operator: Client) -> None:
    operator("PUT", "/stacks/shop", SHOP)
    operator("PUT", "/apps", {"apps": [{"name": "shop-web", "node": "node-2"}]})
    operator("PUT", "/stacks/shop", {"apps": {"shop-web": {"image": "nginx:2"}}})
    shown = operator("GET", "/app/shop-web").json or {}
    assert (shown["node"], shown["image"]) == ("node-2", "nginx:2")


def test_an_agent_may_not_declare_a_stack(app: Flask) -> None:
    agent = Client(app, "token of node-1")
    problem(agent("PUT", "/stacks/shop", SHOP), 403)
    problem(agent("DELETE", "/stacks/shop"), 403)


def test_the_scheduler_is_told_where_the_rest_of_a_stack_is(operator: Client) -> None:
    one = {"image": "x", "network_mode": "stack:shop"}
    operator("PUT", "/stacks/shop", {"apps": {"shop-web": one, "shop-db": one, "shop-cache": {"image": "x"}}})
    free = (operator("GET", "/apps?nodeName=").json or {})["apps"]
    assert not [entry for entry in free if "bound" in entry]
    operator("PUT", "/apps", {"apps": [{"name": "shop-db", "node": "node-2"}]})
    free = (operator("GET", "/apps?nodeName=").json or {})["apps"]
    assert {entry["name"]: entry.get("bound") for entry in free} == {"shop-web": "node-2", "shop-cache": None}
    operator("PUT", "/node/node-2", {"cordoned": True})
    free = (operator("GET", "/apps?nodeName=").json or {})["apps"]
    assert not [entry for entry in free if "bound" in entry]


PAIR = {"image": "x", "network_mode": "stack:shop"}


def bound_on(node: str, operator: Client) -> dict[str, str]:
    """What the node-controller is told of each instance there: it takes nothing that is bound from a lost node."""
    told = (operator("GET", f"/apps?nodeName={node}").json or {})["apps"]
    return {entry["name"]: entry.get("bound", "") for entry in told}


def test_a_stack_is_bound_to_its_node_by_data_alone(operator: Client) -> None:
    operator("PUT", "/stacks/shop", {"apps": {"shop-web": PAIR, "shop-db": PAIR}})
    operator("PUT", "/apps", {"apps": [{"name": name, "node": "node-1"} for name in ("shop-web", "shop-db")]})
    assert bound_on("node-1", operator) == {"shop-web": "", "shop-db": ""}
    operator("DELETE", "/stacks/shop")
    operator("PUT", "/stacks/shop", {"apps": {"shop-web": PAIR, "shop-db": {**PAIR, "volumes": ["db:/data"]}}})
    operator("PUT", "/apps", {"apps": [{"name": name, "node": "node-1"} for name in ("shop-web", "shop-db")]})
    assert bound_on("node-1", operator) == {"shop-web": "node-1", "shop-db": "node-1"}


def test_a_job_that_is_done_keeps_the_rest_of_its_stack_nowhere(operator: Client, agent: Client) -> None:
    operator("PUT", "/stacks/shop", {"apps": {"shop-boot": {**PAIR, "restart": "no"}, "shop-web": PAIR}})
    operator("PUT", "/apps", {"apps": [{"name": name, "node": "node-1"} for name in ("shop-web", "shop-boot")]})
    job = next(one for one in (agent("GET", "/apps?nodeName=node-1").json or {})["apps"] if one["name"] == "shop-boot")
    spec = spec_hash(read_instance(job).app)
    ended = {"app": "shop-boot", "container": "c", "state": "exited", "spec": spec, "end": str(End(spec, 0, 0))}
    assert beat(agent, "node-1", ended).status_code == 200
    operator("PUT", "/apps", {"apps": [{"name": "shop-web", "node": ""}]})
    free = (operator("GET", "/apps?nodeName=").json or {})["apps"]
    assert [(entry["name"], entry.get("bound")) for entry in free] == [("shop-web", None)]
    operator("PUT", "/apps", {"apps": [{"name": "shop-web", "node": "node-2"}]})
    assert (operator("GET", "/apps?nodeName=").json or {})["moves"] == []
