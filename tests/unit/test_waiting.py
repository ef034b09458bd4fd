"""Apps that should run and do not: what status, the events and `start-app --wait` say of them."""

from __future__ import annotations

import itertools
from typing import Any, cast

import pytest

from controllers.teller import Teller
from duckconf.cli.apps.awaiting import await_end, await_instances, is_job, where
from duckconf.cli.look.waiting import say_instances, say_unknown, waiting_row
from duckconf.counts import counted
from duckconf.errors import DuckconfError
from duckconf.events import Event
from duckconf.overview import AppView
from duckconf.placement import UNHEARD, names_silent
from duckconf.plan import UNDER_WAY


def test_one_of_a_kind_is_singular() -> None:
    assert [counted(number, "app") for number in (0, 1, 2)] == ["0 apps", "1 app", "2 apps"]
    assert [counted(number, "try", "tries") for number in (1, 2)] == ["1 try", "2 tries"]


def test_status_counts_what_does_not_run_and_gives_the_first_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [waiting_row(f"app-{number}", "pending", "no node fits: 3 cordoned") for number in range(4)]
    say_instances(6, [waiting_row("a", "backoff", ""), *rows])
    told = capsys.readouterr().out.strip().splitlines()
    assert told[:3] == ["6 instances desired, 1 running", "1 backoff, 4 pending:", "  a: backoff"]
    assert told[3] == "  app-0: pending, because: no node fits: 3 cordoned"
    assert (len(told), told[-1]) == (6, "  and 2 more; see ./inv ps")
    say_instances(1, [])
    assert capsys.readouterr().out.strip() == "1 instance desired, 1 running"


def test_the_loop_tells_a_reason_once_until_the_app_runs_or_is_withdrawn() -> None:
    told: list[Event] = []
    teller = Teller(told.append, lambda *_: None)

    def look(*states: str, why: str = "no node fits: n1: port 80 is in use") -> None:
        views = [AppView("web", "", "", "nginx", "yes", state, note=why if state == "pending" else "") for state in states]
        teller.tell_of_unplaced(views)

    for state in ("pending", "starting", "pending", "starting", "pending"):
        look(state)
    assert len(told) == 1
    look("pending", why="no node fits: 1 cordoned")
    assert len(told) == 2
    for states in (("running",), ("pending",), (), ("pending",)):
        look(*states, why="no node fits: 1 cordoned")
    assert len(told) == 4
    look("running")
    # Declared again while its old container is being removed: whoever waits for it must not take that for the end.
    look("pending", why=UNDER_WAY)
    assert len(told) == 4


class Api:
    """Pages of events as (kind, message), and the status of the app's instances after each page."""

    def __init__(self, *pages: tuple[str, str, tuple[str, ...]], before: tuple[str, ...] = ("pending",)) -> None:
        self.pages = list(pages)
        self.statuses = before

    def call(self, _: str, path: str) -> dict[str, Any]:
        if path.startswith("/app/"):
            instances = [
                {"slot": slot, "status": status, "node": f"n{slot}", "container": f"c{slot}"}
                for slot, status in enumerate(self.statuses, 1)
            ]
            return {"name": "web", "running": self.statuses.count("running"), "instances": instances}
        kind, message, self.statuses = self.pages.pop(0)
        return {"cursor": "1", "events": [{"kind": kind, "message": message, "app": "web"}] if kind else []}


def awaited(api: Api, *, starts: bool = True) -> dict[str, Any]:
    return await_instances(cast(Any, api), "web", "0", starts=starts)


def test_waiting_for_a_start_goes_on_while_another_node_may_take_the_app() -> None:
    api = Api(("failed", "n1 refuses", ("starting",)), ("", "", ("starting",)), ("started", "started on n2", ("running",)))
    assert where(awaited(api)) == "web runs on n1"
    assert api.pages == []


def test_waiting_for_a_start_goes_on_while_a_loop_that_has_just_begun_has_not_heard_all_nodes() -> None:
    unheard = f"not placed: it may run on n2, n3, {UNHEARD}; this is tried again"
    api = Api(("pending", unheard, ("pending",)), ("started", "started on n2", ("running",)))
    assert where(awaited(api)) == "web runs on n1"
    assert api.pages == []


SILENT_NODES = "no node fits: 1 cordoned, 2 unreachable"


def test_waiting_for_a_start_goes_on_while_nodes_are_silent_for_a_moment() -> None:
    api = Api(("pending", SILENT_NODES, ("pending",)), ("", "", ("pending",)), ("started", "started on n2", ("running",)))
    assert where(awaited(api)) == "web runs on n1"
    assert api.pages == []


def test_waiting_for_a_start_ends_with_the_reason_when_nodes_stay_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(step=7.0)
    monkeypatch.setattr("duckconf.cli.apps.awaiting.time.monotonic", lambda: next(clock))
    with pytest.raises(DuckconfError, match=SILENT_NODES):
        awaited(Api(("pending", SILENT_NODES, ("pending",)), *[("", "", ("pending",))] * 9))


@pytest.mark.parametrize(
    ("reason", "silent"),
    [
        ("no node fits: 2 unreachable", True),
        ("no node fits: 1 suspect, 2 with port 80 taken; n4: the disk is full", True),
        ("n1 does not fit: unreachable", True),
        ("waits for n1, which has its data (d): unreachable; to start it elsewhere without the data: …", True),
        ("no node fits: 2 cordoned", False),
        ("no node fits: n1: the registry is unreachable from here", False),
    ],
)
def test_a_reason_that_names_silent_nodes_is_told_from_others(reason: str, silent: bool) -> None:
    assert names_silent(reason) is silent


def test_waiting_for_several_instances_ends_when_all_run() -> None:
    api = Api(
        ("started", "", ("running", "starting")), ("started", "", ("running", "starting")), ("", "", ("running", "running"))
    )
    assert where(awaited(api)) == "web: 2/2 instances run: web on n1, web.2 on n2"
    assert api.pages == []


def test_what_an_older_look_shows_as_running_is_not_taken_for_a_start() -> None:
    api = Api(("", "", ("running",)), ("started", "", ("running",)), before=("running",))
    assert awaited(api)["running"] == 1
    assert api.pages == []
    untouched = Api(("started", "", ("running",)), before=("running",))
    assert awaited(untouched, starts=False)["running"] == 1
    assert len(untouched.pages) == 1


def test_waiting_for_a_start_ends_with_the_reason_of_every_node_or_when_it_is_held_back() -> None:
    everyone = "no node fits: n1, n2: port 80 is in use"
    with pytest.raises(DuckconfError, match=everyone):
        awaited(Api(("failed", "n1 refuses", ("starting",)), ("pending", everyone, ("pending",))))
    with pytest.raises(DuckconfError, match="there is no such image"):
        awaited(Api(("failed", "there is no such image", ("starting",)), ("", "", ("running", "backoff"))))


def test_waiting_for_a_job_ends_with_it_and_with_its_exit_code() -> None:
    entry = {"name": "web", "instances": []}
    done = Api(*[("", "", ("running", "done")), ("", "", ("done", "done"))], before=("running", "running"))
    done.pages.insert(0, ("", "", ("running", "running")))
    assert where(await_end(cast(Any, done), entry)) == "web: 2/2 instances are done: web on n1, web.2 on n2"
    assert done.pages == []
    failed = Api(("", "", ("running",)), ("", "", ("failed (3)",)), before=("running",))
    with pytest.raises(DuckconfError, match=r"^web: failed \(3\)"):
        await_end(cast(Any, failed), entry)


@pytest.mark.parametrize(
    ("fields", "ends"),
    [
        ({"restart": "no"}, True),
        ({"restart": "on-failure"}, True),
        ({}, False),
        ({"restart": "on-failure", "ports": ["80"]}, False),
        ({"restart": "no", "healthcheck": {"tcp": "80"}}, False),
    ],
)
def test_the_end_of_what_serves_nobody_is_waited_for(fields: dict[str, Any], ends: bool) -> None:
    assert is_job(fields) is ends


def test_a_start_that_was_held_back_before_is_not_waited_for_as_if_its_failure_were_news(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr("duckconf.cli.apps.awaiting.time.monotonic", lambda: float(next(clock)))
    with pytest.raises(DuckconfError, match="it is held back"):
        awaited(Api(*[("", "", ("backoff",))] * 3, before=("backoff",)))


def test_a_status_without_a_desired_state_counts_no_apps(capsys: pytest.CaptureFixture[str]) -> None:
    say_unknown()
    told = capsys.readouterr().out
    assert ("cannot be read" in told, "0 apps" in told) == (True, False)
