"""A container counts as ready neither while its start is under way nor before `monitor`; one that was there before us does."""

from __future__ import annotations

from dataclasses import replace

from controllers.reconciler import Reconciler, Verdict
from duckconf.codec import spec_hash
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.instance import instances_of
from duckconf.model import App
from duckconf.plan import Step
from duckconf.reach.state.placements import FoundPlacements

WEB = App("web:1", "web")
NOW = Container("1", "c", "n1", "web", spec_hash(WEB), "web:1", "running", 0.0, 1)


class Loop:
    """The passes of a loop with one node, which shows what the test has on it."""

    def __init__(self) -> None:
        self.reconciler = Reconciler("demo", FoundPlacements(), 20.0)

    def look(self, now: float, *seen: Container) -> Verdict:
        return self.reconciler.decide(Desired(instances_of([WEB])), ["n1"], {"n1": (now, seen)}, (), now)

    def ready(self, now: float, *seen: Container) -> bool:
        return bool(self.look(now, *seen).decision.ready)

    def step(self, now: float, *seen: Container) -> Step:
        (step,) = self.look(now, *seen).decision.plan.steps
        return step


def test_a_look_that_shows_it_before_its_start_has_ended_does_not_make_it_ready() -> None:
    loop = Loop()
    start = loop.step(0.0)
    mine = replace(NOW, name=start.action.container)
    assert not loop.ready(0.5, mine)
    loop.reconciler.settle(start, None, 1.0, last=True)
    assert not loop.ready(2.0, mine)
    assert loop.ready(6.1, mine)


def test_one_that_was_there_before_us_stays_ready_while_an_old_copy_is_removed() -> None:
    loop, old = Loop(), replace(NOW, id="2", name="old")
    assert loop.ready(0.0, NOW)
    removal = loop.step(1.0, NOW, old)
    assert removal.action.container == "old"
    assert ("n1", "c") in loop.look(2.0, NOW, old).decision.ready
