"""The API of agents mode as a test client meets it, with the tokens of the operator and of three nodes."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.agents import create_agents
from api.auth import Tokens
from api.known import knowing
from api.stores.kept import Kept, in_files, together
from controllers.updates import advanced
from duckconf.model import App
from duckconf.reach.api.control_config import ControlConfig
from duckconf.reach.state.entries import Mirror
from duckconf.reach.state.file_table import FileTable
from duckconf.reach.state.journal import Journal
from duckconf.reach.state.table import Item, Listing, News, Table

NODES = ("node-1", "node-2", "node-3")


TOGETHER = "all.json"


def found_by_the_next(folder: Path) -> Kept:
    """What a server that is started now finds."""
    if (folder / TOGETHER).exists():
        table = FileTable(folder / TOGETHER)
        return together(Mirror(lambda _: table), str)
    return in_files(folder, Journal(folder / "events.jsonl", "api").add)


def apps_found(folder: Path) -> Mapping[str, App]:
    return found_by_the_next(folder).store(lambda *_: None).listing().apps


@contextmanager
def _kept(kind: str, folder: Path, journal: Journal) -> Iterator[Kept]:
    if kind == "files":
        yield in_files(folder, journal.add)
        return
    with mirrored(FileTable(folder / TOGETHER)) as mirror:
        yield together(mirror, str)


@dataclass(frozen=True)
class Looking:
    """A table whose followers look up often, so that they notice soon that they are to end."""

    get: Callable[[str], Item | None]
    list: Callable[..., Listing]
    commit: Callable[..., int]
    set_aside: Callable[[], None]
    followed: Callable[[int, float], Iterator[News]]

    def follow(self, since: int, pause: float) -> Iterator[News]:
        return self.followed(since, min(pause, 0.02))


@contextmanager
def mirrored(table: Table) -> Iterator[Mirror]:
    often = Looking(table.get, table.list, table.commit, table.set_aside, table.follow)
    mirror = Mirror(lambda _: often)
    thread = threading.Thread(target=mirror.run, daemon=True)
    thread.start()
    yield mirror
    mirror.close()
    thread.join(10.0)


@pytest.fixture(params=["files", "together"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """Of a server that keeps all in files of its own, and of one among several: the same is asked of both."""
    with served(request.param, tmp_path) as found:
        yield found


@contextmanager
def served(kind: str, tmp_path: Path) -> Iterator[Flask]:
    journal = Journal(tmp_path / "events.jsonl", "api")
    with _kept(kind, tmp_path, journal) as kept:
        yield made(kept, tmp_path, journal)


def made(kept: Kept, folder: Path, journal: Journal, server: str = "control-1") -> Flask:
    """A server of this name, with its own files in the folder."""
    tokens = {"operator": _hash("op"), "nodes": {name: _hash(f"token of {name}") for name in NODES}}
    (folder / "tokens.json").write_text(json.dumps(tokens))
    (folder / "operator.token").write_text("op\n")
    config = ControlConfig(
        "demo", NODES, str(folder / "tokens.json"), str(folder / "operator.token"), state_dir=str(folder), zones={"node-1": "a"},
        groups={"web": NODES[1:]}, edges=("node-2",), edge_addresses={"node-1": "inside"}, server=server,
    )  # fmt: skip
    return create_agents(knowing(kept, config), Tokens(folder / "tokens.json"), journal, config, 8)


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
