"""A node that is emptied: its apps move one after the other, each up elsewhere before its old copy ends."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from duckconf.actions import Remove, Start
from duckconf.codec import spec_hash
from duckconf.decision import Decision, Memory, decide
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.instance import instances_of
from duckconf.model import App
from duckconf.placement import Fleet, Placement

NODES = ("n1", "n2")
APPS = {name: App("nginx", name) for name in ("a", "b", "c")}
HOME = {name: Placement("n1", f"duckconf-{name}", number, spec=spec_hash(APPS[name])) for number, name in enumerate(APPS, 1)}


def copy(name: str, place: Placement, state: str = "running") -> Container:
    app = APPS[name]
    return Container(f"{place.node}/{name}", place.container, place.node, name, spec_hash(app), app.image, state, 0.0, 1)


def look(containers: Collection[Container], placements: dict[str, Placement], draining: Collection[str] = ("n1",)) -> Decision:
    views = {node: tuple(item for item in containers if item.node == node) for node in NODES}
    fleet = Fleet(NODES, views, (), draining, draining)
    return decide("demo", Desired(instances_of(APPS.values())), fleet, Memory(placements, {}), 0.0)


def test_its_apps_move_one_at_a_time_and_start_before_they_stop() -> None:
    placements, running = dict(HOME), {copy(name, place) for name, place in HOME.items()}
    order = []
    for _ in range(12):
        decision = look(running, placements)
        placements = dict(decision.placements)
        if not decision.plan.steps:
            break
        for step in decision.plan.steps:
            if isinstance(step.action, Start):
                running.add(copy(step.app, Placement(step.action.node, step.action.container, 1)))
            else:
                assert isinstance(step.action, Remove)
                running = {item for item in running if (item.node, item.name) != (step.action.node, step.action.container)}
            order.append((type(step.action).__name__, step.app, step.action.node))
            assert {item.app for item in running if item.running} == set(APPS)
        assert sum(kind == "Start" for kind, *_ in order) - sum(kind == "Remove" for kind, *_ in order) <= 1
    assert {item.node for item in running} == {"n2"}
    assert [entry for entry in order if entry[0] == "Start"] == [("Start", name, "n2") for name in APPS]


def test_while_one_is_on_its_way_the_others_stay() -> None:
    placements = {**HOME, "a": Placement("n2", "duckconf-a.9", 9, spec=spec_hash(APPS["a"]))}
    decision = look({copy(name, place) for name, place in HOME.items()}, placements)
    assert dict(decision.placements) == placements
    assert [(type(step.action), step.action.node) for step in decision.plan.steps] == [(Start, "n2")]


def test_an_app_that_fits_nowhere_stays_and_says_why() -> None:
    decision = look({copy(name, place) for name, place in HOME.items()}, dict(HOME), draining=NODES)
    assert dict(decision.placements) == HOME
    assert decision.plan.steps == ()
    assert decision.plan.notes["a"] == "cannot leave n1: no node fits: 2 cordoned"


def test_a_silent_node_keeps_its_apps_until_it_is_lost() -> None:
    fleet = Fleet(NODES, {"n1": None, "n2": ()}, (), ("n1",), ("n1",))
    assert dict(decide("demo", Desired(instances_of(APPS.values())), fleet, Memory(HOME, {}), 0.0).placements) == HOME
    lost = replace(fleet, lost=("n1",))
    assert {
        place.node
        for place in decide("demo", Desired(instances_of(APPS.values())), lost, Memory(HOME, {}), 0.0).placements.values()
    } == {"n2"}


def test_called_off_what_has_not_started_elsewhere_goes_on_where_it_runs() -> None:
    placements = {**HOME, "a": Placement("n2", "duckconf-a.9", 9, spec=spec_hash(APPS["a"]))}
    decision = look({copy(name, place) for name, place in HOME.items()}, placements, draining=())
    assert {place.node for place in decision.placements.values()} == {"n1"}
    assert decision.plan.steps == ()


def test_an_app_that_should_leave_goes_where_a_right_copy_of_it_runs_already() -> None:
    there = copy("a", Placement("n3", "duckconf-a.old", 1))
    views = {"n1": tuple(copy(name, place) for name, place in HOME.items()), "n2": (), "n3": (there,)}
    fleet = Fleet(("n1", "n2", "n3"), views, (), ("n1",), ("n1",))
    decision = decide("demo", Desired(instances_of(APPS.values())), fleet, Memory(HOME, {}), 0.0)
    assert (decision.placements["a"].node, decision.placements["a"].container) == ("n3", "duckconf-a.old")
    assert not any(isinstance(step.action, Start) and step.app == "a" for step in decision.plan.steps)
