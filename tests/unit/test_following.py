"""`update --wait` ends when there is nothing left to wait for."""

from __future__ import annotations

from typing import Any, cast

import pytest

from duckconf.cli.apps import update
from duckconf.codec import spec_hash
from duckconf.errors import DuckconfError
from duckconf.model import App
from duckconf.reach.api.client import ApiClient

WEB = App("web:2")


class Api:
    """Tells the same of the app until `events` are asked for more often than there are answers."""

    def __init__(self, outcomes: list[str], status: str, rollout: str = "") -> None:
        specs = ["0" * 16] * (len(outcomes) - 1) + [spec_hash(WEB)]
        self.past = [
            {"number": number, "declared": spec, "outcome": outcome, "why": "no such image"}
            for number, (spec, outcome) in enumerate(zip(specs, outcomes), 1)
        ]
        self.entry = {"image": "web:2", "instances": [{"status": status, "node": "n1", "note": "held back"}], "rollout": rollout}

    def call(self, _: str, path: str, *__: object) -> dict[str, Any]:
        if path.endswith("/history"):
            return {"revisions": self.past}
        return {"events": [], "cursor": "1"} if path.startswith("/events") else self.entry


def follow_to(*of: Any) -> None:
    update.follow(cast(ApiClient, Api(*of)), "web", "0")


def test_it_ends_well_when_the_revision_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    follow_to(["done", "done"], "running")
    assert "revision 2 runs on 1 instance" in capsys.readouterr().out


def test_it_ends_with_the_way_back_when_the_revision_failed() -> None:
    with pytest.raises(DuckconfError, match=r"revision 2 failed: no such image.*inv rollback web"):
        follow_to(["done", "failed"], "running", "revision 2 failed")


def test_it_does_not_wait_for_what_nobody_takes_back() -> None:
    with pytest.raises(DuckconfError, match=r"web on n1: held back.*no revision of it has served yet"):
        follow_to(["", ""], "backoff", "revision 2: 0 of 1 instance updated")


def test_how_far_it_is_names_the_app_and_a_failure_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DuckconfError):
        follow_to(["", ""], "backoff", "revision 2: 0 of 1 instance updated")
    assert capsys.readouterr().err == "web: revision 2: 0 of 1 instance updated\n"
    with pytest.raises(DuckconfError):
        follow_to(["done", "failed"], "running", "revision 2 failed: no such image")
    assert capsys.readouterr().err == ""
