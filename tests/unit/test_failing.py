"""A revision that an engine refuses again and again fails, also where the container that it replaces still runs in its place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controllers.reconciler import Reconciler, Verdict
from duckconf.codec import spec_hash
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.errors import EngineRefused
from duckconf.instance import instances_of
from duckconf.model import App
from duckconf.reach.state.placements import FILE_NAME, PlacementBook
from duckconf.reach.state.revisions import RevisionBook
from duckconf.rollout import DONE, FAILED

WEB = App("web:1", "web")
PORT = replace(WEB, ports=("8080:80",))
STOPS = replace(WEB, update_config={"order": "stop-first"})


def passes(reconciler: Reconciler, app: App, now: float, seen: list[Container]) -> Verdict:
    return reconciler.decide(Desired(instances_of([app])), ("n1",), {"n1": (now, tuple(seen))}, (), now)


@pytest.mark.parametrize("before", [WEB, PORT, STOPS])
def test_an_image_that_cannot_be_had_is_taken_back_whatever_the_order(before: App, tmp_path: Path) -> None:
    book = PlacementBook(tmp_path / FILE_NAME)
    book.certain = True
    reconciler = Reconciler("demo", book, 20.0, history=RevisionBook.at(tmp_path / "history.json"))
    (step,) = passes(reconciler, before, 0.0, []).decision.plan.steps
    reconciler.settle(step, None, 0.0, last=True)
    runs = [Container("i", step.action.container, "n1", "web", spec_hash(before), "web", "running", 0.0, 1)]
    passes(reconciler, before, 10.0, runs)
    after = replace(before, image="nothing/here:1")
    now = 20.0
    for _ in range(2):
        (step,) = passes(reconciler, after, now, runs).decision.plan.steps
        reconciler.settle(step, EngineRefused("n1", "no such image", conflict=False), now, last=True)
        now += 10
    verdict = passes(reconciler, after, now, runs)
    assert reconciler.history is not None
    assert [item.outcome for item in reconciler.history.revisions["web"]] == [DONE, FAILED]
    assert ("no such image" in verdict.outcomes[0].revision.why, verdict.decision.plan.steps) == (True, ())
