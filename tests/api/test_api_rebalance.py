"""The calls for a rebalance: asked for on disk, told as the one who moves instances keeps it, refused where nobody can."""

from __future__ import annotations

from pathlib import Path

from flask.testing import FlaskClient
from openapi_spec_validator import validate

from api.factory import create_reconcile
from api.openapi import document
from api.stores.desired import DesiredStore
from duckconf.desired import empty_document
from duckconf.reach.state.journal import Journal
from duckconf.reach.state.rebalances import RebalanceBook
from duckconf.reach.state.reports import ReportFile
from duckconf.rebalancing import Progress, Way
from tests.api.test_api_push import client, nodes, problem

__all__ = ["client", "nodes"]


def reconcile(folder: Path) -> FlaskClient:
    path, journal = folder / "desired_state.csv", Journal(folder / "events.jsonl", "api")
    path.write_text(empty_document().text())
    return create_reconcile(DesiredStore(path, journal.add), ReportFile(folder / "report.json"), "demo", journal).test_client()


def test_a_request_is_on_disk_when_it_is_answered_and_told_until_it_is_carried_out(tmp_path: Path) -> None:
    api = reconcile(tmp_path)
    assert (api.get("/rebalance").json or {})["under_way"] is False
    answer = api.post("/rebalance")
    assert (answer.status_code, (answer.json or {})["asked"], (answer.json or {})["under_way"]) == (202, 1, True)
    loop = RebalanceBook(tmp_path)
    assert loop.asked() == 1
    loop.keep(Progress(0, "", {"web.2": Way("n1", "n3")}, ("db",), waits="web.2 is on its way to n3", moved=2))
    told = api.get("/rebalance").json or {}
    assert told["moving"] == [{"instance": "web.2", "from": "n1", "to": "n3"}]
    assert (told["moved"], told["waits"], told["left"]) == (2, "web.2 is on its way to n3", ["db"])
    loop.keep(Progress(1, result="2 instances moved: the nodes are level"))
    assert api.get("/rebalance").json == {
        "asked": 1,
        "done": 1,
        "under_way": False,
        "moved": 0,
        "moving": [],
        "waits": "",
        "why": "",
        "left": [],
        "result": "2 instances moved: the nodes are level",
    }
    assert [event["kind"] for event in (api.get("/events").json or {})["events"]] == ["rebalance-asked"]


def test_push_mode_says_what_to_do_instead(client: FlaskClient) -> None:
    for answer in (client.post("/rebalance"), client.get("/rebalance")):
        assert "./inv up reconcile" in problem(answer, 404)["detail"]


def test_every_mode_describes_the_call() -> None:
    for mode in ("push", "reconcile"):
        validate(document(mode))
        assert set(document(mode)["paths"]["/rebalance"]) == {"get", "post"}
