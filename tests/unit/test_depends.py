"""What an instance waits for before it is started."""

from __future__ import annotations

from dataclasses import replace

import pytest

from duckconf.codec import spec_hash, to_label
from duckconf.decision import Memory, decide
from duckconf.depends import waiting
from duckconf.desired import Desired
from duckconf.ended import Over
from duckconf.engine_output import Container
from duckconf.errors import BadInput
from duckconf.fleet_seen import Fleet, Placement
from duckconf.forecast import forecast
from duckconf.instance import instances_of
from duckconf.model import App, parse_app
from duckconf.restart import End

DB = App("db", "db")
PLACES = {"db": Placement("n1", "c-db", 1), "job": Placement("n1", "c-job", 1)}


def copy(app: App, state: str = "running") -> Container:
    return Container("", f"c-{app.name}", "n1", app.name, spec_hash(app), app.image, state, 0.0, manifest=to_label(app))


def waits(condition: str, *copies: Container, ready: bool = False, over: int | None = None, updating: bool = False) -> str:
    """What `web` waits for, "" for nothing."""
    desired = Desired(instances_of([App("web", "web", depends_on={"db": condition}), DB]))
    ended = {} if over is None else {"db": Over(PLACES["db"], End("0" * 16, over), "", False, "")}
    fleet = Fleet(("n1",), {"n1": copies})
    found = waiting(desired, fleet, PLACES, ended, {("n1", "c-db")} if ready else set(), {"db"} if updating else ())
    assert set(found) <= {"web"}
    return found.get("web", "")


def test_a_service_that_must_be_started_is_waited_for_until_it_runs() -> None:
    assert waits("service_started") == "waits for db to run"
    assert waits("service_started", copy(DB, "exited")) == "waits for db to run"
    assert waits("service_started", copy(DB)) == ""
    assert waits("service_started", over=1) == ""


def test_one_that_must_be_healthy_is_waited_for_until_it_is_ready() -> None:
    assert waits("service_healthy", copy(DB)) == "waits for db to be healthy"
    assert waits("service_healthy", copy(DB), ready=True) == ""


def test_one_that_must_be_done_is_waited_for_until_it_ended_well() -> None:
    assert waits("service_completed_successfully", copy(DB), ready=True) == "waits for db to be done"
    assert waits("service_completed_successfully", over=3) == "waits for db to be done"
    assert waits("service_completed_successfully", over=0) == ""


def test_an_update_of_what_it_depends_on_comes_first() -> None:
    assert waits("service_started", copy(App("older", "db"))) == "waits for db to run"
    assert waits("service_healthy", copy(DB), ready=True, updating=True) == "waits for db to be healthy"


def test_what_is_not_known_here_is_not_waited_for() -> None:
    desired = Desired(instances_of([App("web", "web", depends_on={"elsewhere": "service_healthy"})]))
    assert waiting(desired, Fleet(("n1",), {"n1": ()}), {}, {}, set()) == {}


def test_the_forms_of_the_spec_are_taken() -> None:
    assert parse_app({"image": "x", "depends_on": ["db"]}).depends_on == {"db": "service_started"}
    long = {"db": {"condition": "service_healthy", "restart": True}}
    assert parse_app({"image": "x", "depends_on": long}).depends_on == {"db": "service_healthy"}
    with pytest.raises(BadInput, match="depends_on/db: should be service_started, service_healthy or"):
        parse_app({"image": "x", "depends_on": {"db": "soon"}})


def test_a_decision_starts_one_after_the_other_and_forecasts_the_order() -> None:
    apps = [
        App("web", "web", depends_on={"db": "service_healthy", "job": "service_completed_successfully"}),
        App("job", "job", restart="no", depends_on={"db": "service_started"}),
        DB,
    ]
    desired, fleet = Desired(instances_of(apps)), Fleet(("n1",), {"n1": ()})
    first = decide("demo", desired, fleet, Memory({}, {}), 0.0)
    assert [step.instance for step in first.plan.steps] == ["db"]
    assert first.plan.notes["web"] == "waits for db to be healthy, job to be done"
    runs = replace(copy(DB), name=first.placements["db"].container, health="healthy")
    second = decide("demo", desired, Fleet(("n1",), {"n1": (runs,)}), Memory(first.placements, {}), 0.0)
    assert [step.instance for step in second.plan.steps] == ["job"]
    ended = replace(copy(apps[1], "exited"), name=first.placements["job"].container, exit_code=0)
    third = decide("demo", desired, Fleet(("n1",), {"n1": (runs, ended)}), Memory(second.placements, {}), 0.0)
    assert [step.instance for step in third.plan.steps] == ["web"]
    expected = forecast("demo", desired, fleet, Memory({}, {}), 0.0, {"web", "job", "db"})
    assert [[one.step.instance for one in some] for some in expected.rounds] == [["db"], ["job"]]
    assert (expected.notes["web"], expected.unplaced) == ("waits for job to be done", {})
