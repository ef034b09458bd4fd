"""The API of agents mode finds out through the agents which image a revision runs, and tells all that run it."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from duckconf.codec import spec_hash
from duckconf.model import App
from tests.api.agents_api import NODES, Client, app, decide, found_by_the_next, operator

__all__ = ["app", "operator"]

SPEC = spec_hash(App("nginx:1"))
ID, OTHER = "1" * 64, "2" * 64
DIGESTS = [f"docker.io/library/nginx@sha256:{'a' * 64}"]


@pytest.fixture
def agents(app: Flask) -> dict[str, Client]:
    return {node: Client(app, f"token of {node}") for node in NODES}


def beat(agents: dict[str, Client], node: str, image: str = "", *, spec: str = SPEC, **entry: Any) -> int:
    """A heartbeat that tells of the image of a revision, and of one container."""
    images = [{"app": "web", "spec": spec, "image_id": image, "digests": DIGESTS}] if image else []
    containers = [{"app": "web", "container": f"web-{node}", "spec": spec, "slot": int(node[-1]), **entry}] if entry else []
    body = {"instance": node, "containers": containers, "images": images}
    return agents[node]("PUT", f"/node/{node}/heartbeat", body).status_code


def runs(agents: dict[str, Client], node: str) -> dict[str, Any] | None:
    """What the agent of a node is told of the image of its instance."""
    (entry,) = (agents[node]("GET", f"/apps?nodeName={node}").json or {})["apps"]
    return entry.get("runs")  # type: ignore[no-any-return]


def revision_of(agents: dict[str, Client], node: str) -> int:
    return int((agents[node]("GET", f"/apps?nodeName={node}").json or {})["revision"])


@pytest.fixture
def web(operator: Client, agents: dict[str, Client]) -> None:
    """Three instances whose image nobody has told of."""
    operator("PUT", "/app/web", {"image": "nginx:1", "replicas": 3, "node": list(NODES)})
    assert {beat(agents, node) for node in NODES} == {HTTPStatus.OK}


def test_one_goes_first_and_the_others_wait_for_it_and_run_the_same(web: None, agents: dict[str, Client]) -> None:
    assert runs(agents, "node-1") == {"first": True}
    waits = {"awaits": "waits for web on node-1, which finds out what nginx:1 is"}
    assert [runs(agents, node) for node in NODES[1:]] == [waits] * 2
    before = revision_of(agents, "node-2")
    beat(agents, "node-1", ID)
    assert revision_of(agents, "node-2") > before
    beat(agents, "node-2", OTHER)
    assert [runs(agents, node) for node in NODES] == [{"image_id": ID, "digests": DIGESTS}] * 3


def test_another_goes_first_where_the_one_before_cannot_come_up(web: None, agents: dict[str, Client]) -> None:
    assert runs(agents, "node-1") == {"first": True}
    before = revision_of(agents, "node-2")
    beat(agents, "node-1", state="backoff")
    assert revision_of(agents, "node-2") > before
    assert runs(agents, "node-2") == {"first": True}
    assert "waits for web.2 on node-2" in str(runs(agents, "node-1"))
    beat(agents, "node-1", state="starting")
    assert runs(agents, "node-2") == {"first": True}


def test_the_image_is_kept_with_the_revision_and_a_way_back_has_it_too(
    web: None, operator: Client, agents: dict[str, Client], tmp_path: Path
) -> None:
    beat(agents, "node-1", ID, state="running", ready=True)
    for node in NODES[1:]:
        beat(agents, node, state="running", ready=True)
    decide(operator)
    assert [item.pin and item.pin.id for item in found_by_the_next(tmp_path).revisions.revisions["web"]] == [ID]
    operator("PUT", "/app/web", {"image": "nginx:2"})
    decide(operator)
    assert runs(agents, "node-1") == {}
    beat(agents, "node-1", OTHER, spec=spec_hash(App("nginx:2")))
    operator("POST", "/app/web/rollback", {"to": 1})
    decide(operator)
    assert runs(agents, "node-1") == {"image_id": ID, "digests": DIGESTS}
    assert [item.get("image_id") for item in (operator("GET", "/app/web/history").json or {})["revisions"]] == [ID, OTHER, ID]


def test_redeploy_asks_a_registry_anew_and_a_new_declaration_has_no_image(
    web: None, operator: Client, agents: dict[str, Client]
) -> None:
    beat(agents, "node-1", ID)
    operator("PUT", "/app/web", {"image": "nginx:1", "replicas": 1, "labels": {"redeployed": "now"}})
    decide(operator)
    assert runs(agents, "node-1") == {"fresh": True}
    operator("DELETE", "/app/web")
    operator("PUT", "/app/web", {"image": "nginx:1", "node": "node-1"})
    assert runs(agents, "node-1") == {}


def test_an_agent_that_knows_nothing_of_it_is_told_nothing(operator: Client, agents: dict[str, Client]) -> None:
    operator("PUT", "/app/web", {"image": "nginx:1", "replicas": 3, "node": list(NODES)})
    for node in NODES:
        agents[node]("PUT", f"/node/{node}/heartbeat", {"instance": node, "containers": []})
    assert [runs(agents, node) for node in NODES] == [None] * 3


def test_what_is_named_by_digest_and_a_job_need_none(operator: Client, agents: dict[str, Client]) -> None:
    assert {beat(agents, node) for node in NODES} == {HTTPStatus.OK}
    for more in ({"image": f"nginx@sha256:{ID}"}, {"image": "nginx:1", "restart": "no"}):
        operator("PUT", "/app/web", {"node": "node-1", **more})
        assert runs(agents, "node-1") is None


def test_a_node_tells_of_its_own_apps_only_and_what_is_no_image_is_refused(
    web: None, operator: Client, agents: dict[str, Client]
) -> None:
    operator("PUT", "/app/web", {"image": "nginx:1", "replicas": 1, "node": "node-1"})
    beat(agents, "node-2", OTHER)
    assert runs(agents, "node-1") == {}
    assert beat(agents, "node-1", "x; reboot") == HTTPStatus.UNPROCESSABLE_ENTITY
