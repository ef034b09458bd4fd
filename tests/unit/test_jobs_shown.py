"""How jobs are shown beside what runs: by apps, by status, and as a whole."""

from __future__ import annotations

from typing import Any

import pytest

from api.declared import as_a_whole
from duckconf.cli.apps.awaiting import where
from duckconf.cli.look.apps import line
from duckconf.cli.look.waiting import say_instances, waiting_row


def instances(*statuses: str, **more: Any) -> dict[str, Any]:
    entries = [{"slot": slot, "node": "n1", "status": status} for slot, status in enumerate(statuses, 1)]
    return {"name": "job", "image": "x", "running": statuses.count("running"), "instances": entries, **more}


def test_apps_shows_a_job_that_is_done_as_such_and_what_failed_before_it() -> None:
    assert (line(instances("done"))["ready"], line(instances("done"))["note"]) == ("1/1", "done")
    assert (line(instances("done", "running"))["ready"], line(instances("done", "running"))["note"]) == ("2/2", "")
    assert (line(instances("done", "failed (3)"))["ready"], line(instances("done", "failed (3)"))["note"]) == (
        "1/2",
        "job.2 failed (3)",
    )
    assert where(instances("done")) == "job is done on n1"


def test_status_tells_what_is_done_from_what_runs(capsys: pytest.CaptureFixture[str]) -> None:
    say_instances(5, [waiting_row("a", "failed (3)", "why")], done=2)
    assert capsys.readouterr().out.strip().splitlines() == [
        "5 instances desired, 2 running, 2 done",
        "1 failed (3):",
        "  a: failed (3), because: why",
    ]


def test_as_a_whole_an_app_is_what_its_worst_instance_is() -> None:
    assert as_a_whole(instances("done", "running")["instances"])["status"] == "running"
    assert as_a_whole(instances("done", "done")["instances"])["status"] == "done"
    assert as_a_whole(instances("running", "done", "failed (1)")["instances"])["status"] == "failed (1)"
