"""An instance leaves the fronts before it is stopped, in bounded time, and does not come back while it is being stopped."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from duckconf.actions import Remove, Restart, Start
from duckconf.codec import spec_hash, to_label
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.fleet_seen import Fleet
from duckconf.instance import instances_of
from duckconf.leaving import Fronted, Leaving, Where, front_first
from duckconf.model import App, parse_app
from duckconf.plan import Plan, Step

APP = parse_app({"name": "web", "image": "web:1", "ports": ["80"], "routes": ["shop.example.org"], "stop_grace_period": "4s"})
OLD: Where = ("n1", "duckconf-web")
REMOVE = Step("web", Remove(*OLD), "runs elsewhere")


def copy(app: App = APP, state: str = "running") -> Container:
    return Container("id", OLD[1], "n1", "web", spec_hash(app), app.image, state, 1.0, manifest=to_label(app))


def left(
    *steps: Step,
    fronted: Collection[Where] = (),
    before: Mapping[Where, float] | None = None,
    busy: Collection[str] = (),
    now: float = 100.0,
    seen: Container | None = None,
    app: App = APP,
    told: bool = True,
) -> Leaving:
    fleet = Fleet(("n1",), {"n1": (seen or copy(),)})
    return front_first(Plan(steps), Desired(instances_of([app])), fleet, Fronted(fronted, told), before or {}, busy, now)


def test_a_container_that_a_front_has_is_not_stopped_and_leaves() -> None:
    found = left(REMOVE, fronted=[OLD])
    assert (found.plan.steps, found.since, found.due) == ((), {OLD: 100.0}, 4.0)
    assert found.plan.notes == {"web": "duckconf-web leaves the front first"}


def test_one_that_no_front_has_any_more_is_stopped_and_does_not_enter_again() -> None:
    found = left(REMOVE, before={OLD: 99.0})
    assert (found.plan.steps, found.since, found.late) == ((REMOVE,), {OLD: 99.0}, [])


def test_one_whose_last_requests_do_not_end_is_stopped_when_its_time_to_stop_is_over() -> None:
    assert left(REMOVE, fronted=[OLD], before={OLD: 100.0}, now=103.9).plan.steps == ()
    found = left(REMOVE, fronted=[OLD], before={OLD: 100.0}, now=104.0)
    assert (found.plan.steps, found.late) == ((REMOVE,), [OLD])


def test_its_time_begins_when_the_fronts_are_told_of_changes() -> None:
    """After a restart they are told nothing until it is known what serves: all was stopped under its requests."""
    waits = left(REMOVE, fronted=[OLD], before={OLD: 80.0}, told=False)
    assert (waits.plan.steps, waits.since, waits.late) == ((), {OLD: 100.0}, [])
    assert left(REMOVE, fronted=[OLD], before=waits.since, now=103.9).plan.steps == ()
    # What a front has from the process before is not known either.
    assert left(REMOVE, told=False).plan.steps == ()


def test_while_it_is_being_stopped_it_stays_away_from_the_fronts() -> None:
    assert left(before={OLD: 99.0}, busy=["web"]).since == {OLD: 99.0}
    assert left(before={OLD: 99.0}).since == {}, "it is to run on after all"


def test_one_that_nobody_here_wants_any_more_stays_away_from_the_fronts_too() -> None:
    fleet = Fleet(("n1",), {"n1": (copy(),)})
    found = front_first(Plan((REMOVE,)), Desired({}), fleet, Fronted(), {OLD: 99.0}, [], 100.0)
    assert (found.plan.steps, found.since) == ((REMOVE,), {OLD: 99.0})


def test_a_container_that_gives_its_place_to_another_leaves_too() -> None:
    start = Step("web", Start("n1", OLD[1], replace(APP, image="web:2")), "another spec")
    assert left(start, fronted=[OLD]).plan.steps == ()


def test_what_serves_nothing_is_not_waited_for() -> None:
    restart = Step("web", Restart(*OLD, "web", unhealthy=True), "its check failed")
    assert left(restart, fronted=[OLD]).plan.steps == (restart,)
    assert left(REMOVE, fronted=[OLD], seen=copy(state="exited")).plan.steps == (REMOVE,)


def test_without_a_route_it_is_stopped_at_once_and_not_ready_any_more() -> None:
    found = left(REMOVE, app=replace(APP, routes=()))
    assert (found.plan.steps, found.since) == ((REMOVE,), {OLD: 100.0})
    assert left(REMOVE, app=replace(APP, routes=()), told=False).plan.steps == (REMOVE,)
