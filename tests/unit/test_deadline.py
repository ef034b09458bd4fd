"""An instance that never becomes ready: its revision fails in the end, and nobody counts time in which nothing was known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controllers.reconciler import Reconciler, Verdict
from duckconf.backoff import Tries
from duckconf.codec import spec_hash
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.errors import BadInput, Unreachable
from duckconf.healthcheck import HEALTHY, STARTING
from duckconf.instance import instances_of
from duckconf.model import App, parse_app
from duckconf.reach.state.placements import FILE_NAME, PlacementBook
from duckconf.reach.state.revisions import RevisionBook
from duckconf.readiness import deadline
from duckconf.report import Report, report_from_json
from duckconf.rollout import DONE, FAILED

CHECK = {"test": '["CMD", "true"]', "start_period": "1h"}
OLD = App("web:1", "web", healthcheck=CHECK, update_config={"healthy_deadline": "1m"})
NEW = replace(OLD, image="web:2")


class Loop:
    """A node on which containers are as the test has them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reconciler = self._new()
        self.seen: dict[str, Container] = {}

    def _new(self) -> Reconciler:
        book = PlacementBook(self.folder / FILE_NAME)
        book.certain = True
        return Reconciler("demo", book, 20.0, history=RevisionBook.at(self.folder / "history.json"))

    def look(self, now: float, app: App, *, silent: bool = False) -> Verdict:
        heard = {"n2": (now, ())} | ({} if silent else {"n1": (now, tuple(self.seen.values()))})
        return self.reconciler.decide(Desired(instances_of([app])), ("n1", "n2"), heard, ("n2",), now)

    def serve(self, now: float, app: App, health: str) -> None:
        """A pass, all of whose starts succeed."""
        for step in self.look(now, app).decision.plan.steps:
            spec = spec_hash(self.reconciler.meant["web"].app)
            container = step.action.container
            self.seen[container] = Container("i", container, "n1", "web", spec, "web", "running", 0.0, 1, health=health)
            self.reconciler.settle(step, None, now, last=True)

    def outcomes(self) -> list[str]:
        assert self.reconciler.history is not None
        return [item.outcome for item in self.reconciler.history.revisions["web"]]

    def restart(self, now: float) -> None:
        """Its process ends and another one begins on a clock of its own."""
        report = Report(tries=self.reconciler.tries, clock=now)
        self.reconciler = self._new()
        self.reconciler.tries.update(report_from_json(report.to_json()).tries_at(0.0))


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    loop = Loop(tmp_path)
    loop.serve(0.0, OLD, HEALTHY)
    loop.look(1.0, OLD)
    assert loop.outcomes() == [DONE]
    loop.serve(2.0, NEW, STARTING)
    return loop


def test_a_revision_that_stays_starting_is_taken_back_at_its_deadline(loop: Loop) -> None:
    loop.look(61.0, NEW)
    assert loop.outcomes() == [DONE, ""]
    due = loop.reconciler.wake_after(("n1", "n2"), 61.0)
    assert due is not None
    assert due <= 1.0
    verdict = loop.look(62.0, NEW)
    assert loop.outcomes() == [DONE, FAILED]
    assert "web is not ready after 60 s (healthy_deadline): it is starting" in verdict.decision.rollouts["web"]
    assert verdict.decision.desired is not None
    assert verdict.decision.desired.instances["web"].app.image == "web:1"


def test_a_start_in_which_the_engine_hangs_is_late_too(tmp_path: Path) -> None:
    loop = Loop(tmp_path)
    loop.serve(0.0, OLD, HEALTHY)
    loop.look(1.0, OLD)
    (step,) = loop.look(2.0, NEW).decision.plan.steps
    assert loop.look(50.0, NEW).decision.plan.steps == ()
    loop.look(63.0, NEW)
    assert loop.outcomes() == [DONE, FAILED]
    loop.reconciler.settle(step, Unreachable("n1", "does not answer", may_have_run=True), 600.0, last=True)


def test_while_its_node_does_not_answer_no_time_counts(loop: Loop) -> None:
    loop.look(60.0, NEW, silent=True)
    loop.look(70.0, NEW)
    loop.look(129.0, NEW)
    assert loop.outcomes() == [DONE, ""]
    loop.look(131.0, NEW)
    assert loop.outcomes() == [DONE, FAILED]


def test_what_is_ready_in_time_is_not_late_when_it_falls_ill_afterwards(loop: Loop) -> None:
    for container in loop.seen.values():
        loop.seen[container.name] = replace(container, health=HEALTHY)
    loop.look(30.0, NEW)
    assert loop.outcomes() == [DONE, DONE]
    assert loop.reconciler.tries["web"].waits is None


def test_a_spec_that_is_changed_to_and_fro_keeps_its_pauses(loop: Loop) -> None:
    before = replace(loop.reconciler.tries["web"], waits=None, awaited="")
    assert before.strikes == 1
    loop.look(10.0, replace(NEW, image="web:3"))
    loop.look(11.0, NEW)
    assert replace(loop.reconciler.tries["web"], waits=None, awaited="") == before


def test_a_loop_that_is_killed_again_and_again_counts_on(loop: Loop) -> None:
    loop.restart(32.0)
    loop.look(0.0, NEW)
    loop.restart(20.0)
    loop.look(9.0, NEW)
    assert loop.outcomes() == [DONE, ""]
    loop.look(11.0, NEW)
    assert loop.outcomes() == [DONE, FAILED]


@pytest.mark.parametrize(
    ("more", "seconds"),
    [
        ({}, 305.0),
        ({"update_config": {"monitor": "30s"}}, 330.0),
        ({"healthcheck": {"test": "true", "start_period": "10m"}}, 905.0),
        ({"healthcheck": {"test": "true", "start_period": "10m"}, "update_config": {"healthy_deadline": "90s"}}, 90.0),
    ],
)
def test_the_deadline_is_longer_for_what_takes_its_time(more: dict[str, object], seconds: float) -> None:
    assert deadline(parse_app({"image": "web", **more})) == seconds


def test_a_deadline_of_nothing_is_refused() -> None:
    with pytest.raises(BadInput) as caught:
        parse_app({"image": "web", "update_config": {"healthy_deadline": "0s"}})
    assert [fault.path for fault in caught.value.faults] == ["update_config/healthy_deadline"]


def test_a_report_of_an_older_version_has_no_such_time() -> None:
    told = Report(tries={"web": Tries("s", 1, 1)}, clock=5.0).to_json()
    del told["tries"]["web"]["waits"]
    assert report_from_json(told).tries_at(7.0) == {"web": Tries("s", 1, 1, 2.0, 2.0)}
