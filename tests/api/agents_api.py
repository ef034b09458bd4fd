"""The API of agents mode as a test client meets it, with the tokens of the operator and of three nodes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.agents import create_agents
from api.auth import Tokens
from api.secrets import resolving
from api.stores.desired import DesiredStore
from api.stores.nodes import NodeBook
from api.stores.placed import PlacedIndex
from controllers.updates import advanced
from duckconf.desired import PLACED_COLUMNS, empty_document
from duckconf.reach.api.control_config import ControlConfig
from duckconf.reach.state.journal import Journal
from duckconf.reach.state.revisions import RevisionBook
from duckconf.reach.state.secrets import SecretFile
from duckconf.sites import Sites

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
    past = RevisionBook.at(tmp_path / "history.json")
    sites = Sites(NODES, {"node-1": "a"}, {"web": NODES[1:]})
    index = PlacedIndex(book, resolving(kept), sites, lambda app: past.revisions.get(app, ()))
    journal = Journal(tmp_path / "events.jsonl", "api")
    store = DesiredStore(state, journal.add, PLACED_COLUMNS, index.see)
    config = ControlConfig(
        "demo", NODES, str(tmp_path / "tokens.json"), "", edges=("node-2",), edge_addresses={"node-1": "inside"}
    )
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


def told(operator: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (operator("GET", "/apps?nodeName=").json or {})["moves"]
    return found


def told_revision(operator: Client) -> int:
    return int((operator("GET", "/apps?nodeName=").json or {})["revision"])
