"""What a backup takes of a state that several servers share: the files that a backup of a server alone has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api import move
from api.exported import CONTROL, exported
from api.mirrored import MOVE, UNDER_WAY
from api.stores.kept import together
from duckconf.backup import CONTROL as CONTROL_FILES
from duckconf.backup import continued, may_hold
from duckconf.cli.cluster import agents_up, past
from duckconf.errors import SetupError
from duckconf.local_data import held_from_json
from duckconf.reach.api.control_config import ControlConfig
from duckconf.reach.inventory.project import Project
from duckconf.reach.state.entries import Mirror
from duckconf.reach.state.file_table import FileTable
from duckconf.reach.state.journal import Journal
from duckconf.settings import Settings
from tests.api.agents_api import NODES, Client, beat, copy, decide, made, mirrored
from tests.waiting import until


@pytest.fixture
def table(tmp_path: Path) -> FileTable:
    return FileTable(tmp_path / "all.json")


@pytest.fixture
def operator(table: FileTable, tmp_path: Path) -> Iterator[Client]:
    """Of a server with a state of every kind."""
    with mirrored(table) as mirror:
        app = made(together(mirror, str), tmp_path, Journal(tmp_path / "events.jsonl", "api"))
        operator, agent = Client(app, "op"), Client(app, "token of node-1")
        operator("PUT", "/secret/db", {"value": "aHVudGVyMg=="})
        for name, body in {
            "web": {"image": "nginx:1", "replicas": 2, "node": ["node-1", "node-2"], "secrets": ["db"]},
            "job": {"image": "nginx", "node": ["node-1"], "restart": "no"},
            "waits": {"image": "nginx"},
        }.items():
            assert operator("PUT", f"/app/{name}", body).status_code == 201
        decide(operator)
        beat(agent, "node-1", copy("web"))
        operator("PUT", "/app/web", {"env": {"A": "1"}})
        decide(operator)
        operator("PUT", "/node/node-2", {"cordoned": True})
        yield operator


def config(folder: Path) -> ControlConfig:
    return ControlConfig("demo", NODES, "", "", state_dir=str(folder))


def backed_up(table: FileTable, folder: Path) -> dict[str, str]:
    return exported(config(folder), Mirror(lambda _: table))


class Api:
    """As the commands ask it."""

    def __init__(self, operator: Client) -> None:
        self._operator = operator

    def call(self, method: str, path: str, deadline: float = 0.0) -> Any:
        return self._operator(method, path).json


def test_it_has_what_the_api_tells_and_nothing_that_no_backup_holds(
    operator: Client, table: FileTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    until("its report is kept", lambda: any(name.startswith("heard/nodes/") for name in table.list().items))
    found = backed_up(table, tmp_path)
    api, project = Api(operator), Project(tmp_path, Settings(), "demo")
    for module in (agents_up, past):
        monkeypatch.setattr(module, "api_client", lambda _: api)
    apps = agents_up.declared(api)  # type: ignore[arg-type]
    folder = tmp_path / "told"
    folder.mkdir()
    held = held_from_json(api.call("GET", "/data")["data"])
    agents_up.keep_as_other_modes(folder, apps, held, past.told_by(project, apps), past.places_told_by(project))
    told = {path.name: path.read_text() for path in folder.iterdir()}
    assert {"desired_state.csv", "history.json", "placements.json"} <= told.keys()
    assert {name: json.loads(text) if name.endswith(".json") else text for name, text in told.items()} == {
        name: json.loads(found[name]) if name.endswith(".json") else found[name] for name in told
    }
    assert json.loads(found["placements.json"]).keys() == {"web"}
    assert json.loads(found["secrets.json"])["secrets"]["db"]["value"] == "aHVudGVyMg=="
    assert json.loads(found[f"{CONTROL}/nodes.json"])["nodes"]["node-2"]["cordoned"] is True
    assert all(map(may_hold, found))
    assert not list(tmp_path.glob(".export*"))


def test_it_is_of_one_moment_whatever_is_written_meanwhile(operator: Client, table: FileTable, tmp_path: Path) -> None:
    mirror = Mirror(lambda _: table)
    operator("PUT", "/secret/late", {"value": "eA=="})
    operator("PUT", "/app/late", {"image": "nginx", "secrets": ["late"]})
    operator("PUT", "/app/web", {"env": {"A": "2"}})
    found = exported(config(tmp_path), mirror)
    assert "late" not in "".join(found.values())
    assert "A=1" in found["desired_state.csv"]


def test_a_state_that_is_half_there_is_not_backed_up(operator: Client, table: FileTable, tmp_path: Path) -> None:
    table.commit({f"{MOVE}/{UNDER_WAY}": '"now"'})
    with pytest.raises(SetupError, match="is being moved"):
        backed_up(table, tmp_path)


def test_a_new_control_plane_counts_on_from_it_with_the_cordons(operator: Client, table: FileTable, tmp_path: Path) -> None:
    found = backed_up(table, tmp_path)
    before = together(Mirror(lambda _: table), str).store(lambda *_: None).counts
    folder = tmp_path / "restored"
    folder.mkdir()
    state, nodes = CONTROL_FILES
    (folder / "state.csv").write_text(continued(found[state], 0.0))
    (folder / "nodes.json").write_text(found[nodes])
    with mirrored(FileTable(tmp_path / "new.json")) as mirror:
        assert move.into_etcd(config(tmp_path), mirror, folder) == 0
        kept = together(mirror, str)
        counts = kept.store(lambda *_: None).counts
        assert counts.revision > before.revision
        assert [kept.nodes.of(name).cordoned for name in NODES] == [False, True, False]
