"""Mode global: one instance on each node that an app may run on, and none anywhere else, whatever happens to the nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.declared import _shown
from duckconf.actions import Remove, Start
from duckconf.codec import spec_hash
from duckconf.compose import merged
from duckconf.decision import Decision, Memory, decide
from duckconf.desired import Desired, changed, desired_of, empty_document, read_document
from duckconf.engine_output import Container
from duckconf.errors import BadInput
from duckconf.globally import IDLE, slots
from duckconf.instance import instances_of, placed, slots_of
from duckconf.model import App, parse_app
from duckconf.placement import Fleet, Placement
from duckconf.report import Report
from duckconf.secrets import resolved
from duckconf.sites import Sites
from tests.unit.test_plan import applied

NODES = ("n1", "n2", "n3")
EXPORTER = App("nginx", "exporter", mode="global")


def fleet(nodes: tuple[str, ...] = NODES, **more: Any) -> Fleet:
    return Fleet(nodes, dict.fromkeys(nodes, ()), sites=Sites(nodes, groups={"web": ("n1", "n2", "n4")}), **more)


def look(app: App, seen: Fleet, places: Any = None, **memory: Any) -> Decision:
    desired = Desired(everywhere={app.name: app})
    return decide("demo", desired, seen, Memory(places or {}, {}, **memory), 0.0)


def settled(app: App, seen: Fleet, places: Any = None) -> tuple[Fleet, Any]:
    """The world after all that there was to do, and the placements."""
    places = places or {}
    for _ in range(9):
        decision = look(app, seen, places)
        places = decision.placements
        if not decision.plan.steps:
            return seen, places
        seen = applied(decision.plan, seen)
    raise AssertionError("it does not come to rest")


def by_node(places: Any) -> dict[str, str]:
    return {place.node: name for name, place in places.items()}


names = st.sampled_from(["a", "b", "c", "d", "e", "f"])


@given(st.lists(names, unique=True), st.dictionaries(st.integers(1, 9), names), st.sets(st.integers(1, 9)), st.randoms())
def test_each_node_has_one_slot_keeps_it_and_the_order_of_what_is_known_does_not_matter(
    nodes: list[str], before: dict[int, str], taken: set[int], dice: Any
) -> None:
    found = slots(nodes, before, taken)
    assert sorted(found.values()) == sorted(nodes)
    assert slots(nodes, found, taken) == found
    for node in nodes:
        mine = [slot for slot in before if before[slot] == node]
        assert not mine or found[min(mine)] == node
    assert not {slot for slot, node in found.items() if before.get(slot) != node} & {*before, *taken}
    items = list(before.items())
    dice.shuffle(items)
    assert slots(nodes, dict(items), taken) == found


def test_new_nodes_get_the_lowest_numbers_that_are_free() -> None:
    assert slots(["n1", "n2", "n3", "n4"], {2: "n2", 4: "gone", 5: "n4"}, [1]) == {2: "n2", 3: "n1", 5: "n4", 6: "n3"}
    assert slots([], {1: "n1"}) == {}


def test_a_container_that_is_there_keeps_its_slot_also_when_it_has_exited() -> None:
    assert slots(["n2", "n3"], {1: "n1"}, [1], {1: {"n3": IDLE}}) == {1: "n3", 2: "n2"}
    assert slots(["n3"], {1: "n3", 3: "n3"}, [3], {3: {"n3": IDLE}}) == {3: "n3"}


def test_a_node_where_nothing_of_its_slot_is_keeps_what_serves_there_when_that_loses_its_own_node() -> None:
    before, serves = {1: "n3", 2: "n5"}, {2: {"n3": (0, 7.0), "n5": (0, 9.0)}}
    assert slots(["n3"], before, (), serves) == {2: "n3"}
    assert slots(["n3", "n5"], before, (), serves) == before
    assert slots(["n3"], before, (), {2: {"n3": IDLE}}) == {1: "n3"}
    assert slots(["n3"], before, (), {1: {"n3": (0, 8.0)}, 2: {"n3": (0, 9.0)}}) == {1: "n3"}
    moved = Container("1", "c.4", "n3", "exporter", spec_hash(EXPORTER), "web", "exited", 0.0, 4)
    leaves = replace(moved, id="0", name="c", node="n1", state="running", generation=1)
    seen = Fleet(NODES, {"n1": (leaves,), "n2": (), "n3": (moved,)}, cordoned=("n1",), draining=("n1",))
    steps = [(step.instance, step.action.node) for step in look(EXPORTER, seen).plan.steps]
    assert steps == [("exporter", "n3"), ("exporter.2", "n2")]


def test_there_is_one_on_each_node_and_on_one_that_joins() -> None:
    seen, places = settled(EXPORTER, fleet())
    assert by_node(places) == {"n1": "exporter", "n2": "exporter.2", "n3": "exporter.3"}
    joined = Fleet(("n0", *NODES), {"n0": (), **seen.views})
    decision = look(EXPORTER, joined, places)
    assert [(step.instance, step.action.node) for step in decision.plan.steps] == [("exporter.4", "n0")]


def test_a_node_that_is_emptied_or_has_left_or_is_not_meant_any_more_has_none() -> None:
    seen, places = settled(EXPORTER, fleet())
    emptied = look(EXPORTER, replace(seen, cordoned=("n2",), draining=("n2",)), places)
    assert [(type(step.action), step.instance) for step in emptied.plan.steps] == [(Remove, "exporter.2")]
    left = look(EXPORTER, replace(seen, nodes=("n1", "n3")), places)
    assert by_node(left.placements) == {"n1": "exporter", "n3": "exporter.3"}
    elsewhere = look(replace(EXPORTER, on="web"), seen, places)
    assert [(type(step.action), step.instance) for step in elsewhere.plan.steps] == [(Remove, "exporter.3")]


def test_a_cordoned_node_keeps_what_it_has_and_gets_none() -> None:
    seen, places = settled(EXPORTER, fleet(cordoned=("n2",)))
    assert by_node(places) == {"n1": "exporter", "n3": "exporter.2"}
    assert look(EXPORTER, replace(seen, cordoned=("n1", "n2")), places).plan.steps == ()


def test_a_node_that_is_lost_keeps_its_slot_and_nothing_is_started_elsewhere() -> None:
    seen, places = settled(EXPORTER, fleet())
    lost = replace(seen, views={**seen.views, "n2": None}, lost=("n2",))
    decision = look(EXPORTER, lost, places)
    assert (decision.plan.steps, decision.placements) == ((), places)
    assert decision.plan.notes == {"exporter.2": "n2 is lost; this instance runs there and nowhere else"}
    assert look(EXPORTER, seen, decision.placements).plan.steps == ()


def test_a_node_that_has_no_room_shows_one_that_waits_and_why() -> None:
    other = App("x", "other", ports=("80:80",), on="n2")
    everywhere = replace(EXPORTER, ports=("80:80",))
    desired = Desired(instances_of([other]), everywhere={"exporter": everywhere})
    held = {"other": Placement("n2", "duckconf-other", 1)}
    decision = decide("demo", desired, fleet(), Memory(held, {}), 0.0)
    assert decision.plan.notes == {"exporter.2": "n2 does not fit: with port 80/tcp taken"}
    assert sorted(by_node(decision.placements).items()) == [("n1", "exporter"), ("n2", "other"), ("n3", "exporter.3")]


def test_an_app_that_no_node_may_have_waits_and_says_why() -> None:
    decision = look(replace(EXPORTER, on="nobody"), fleet())
    assert (decision.plan.steps, decision.plan.notes) == ((), {"exporter": "no node fits: 3 not in nobody"})
    seen, places = settled(EXPORTER, fleet())
    emptied = look(EXPORTER, replace(seen, cordoned=NODES, draining=NODES), places)
    assert {type(step.action) for step in emptied.plan.steps} == {Remove}
    assert len(emptied.plan.steps) == 3


def test_a_loop_without_memory_finds_the_slots_in_what_runs_and_gives_none_while_a_node_is_silent() -> None:
    seen, _ = settled(EXPORTER, fleet(), {"exporter.5": Placement("n2", "duckconf-exporter_5", 1)})
    again = look(EXPORTER, seen, certain=False)
    assert (again.plan.steps, by_node(again.placements)["n2"]) == ((), "exporter.5")
    silent = look(EXPORTER, replace(seen, views={**seen.views, "n2": None}), certain=False)
    assert silent.plan.steps == ()


def test_what_another_mode_placed_meanwhile_counts_more_than_an_old_placement() -> None:
    seen, places = settled(EXPORTER, fleet())
    stale = {**places, "exporter": places["exporter.2"], "exporter.2": places["exporter"]}
    assert look(EXPORTER, seen, stale).plan.steps == ()


def test_a_slot_that_serves_on_another_node_than_where_it_is_placed_is_placed_there_also_while_its_spec_is_old() -> None:
    (old,) = settled(EXPORTER, fleet(("n4",)))[0].views["n4"] or ()
    seen = Fleet(("n2", "n4"), {"n2": (), "n4": (old,)}, sites=fleet().sites)
    decision = look(replace(EXPORTER, image="nginx:2"), seen, {"exporter": Placement("n2", "duckconf-exporter", 9)})
    assert by_node(decision.placements) == {"n4": "exporter", "n2": "exporter.2"}
    assert len(decision.plan.steps) == 2


def test_a_change_of_the_mode_keeps_what_fits() -> None:
    web = App("nginx", "web", replicas=4)
    seen = fleet()
    fresh = decide("demo", Desired(instances_of([web])), seen, Memory({}, {}), 0.0)
    seen = applied(fresh.plan, seen)
    wide, places = settled(replace(web, replicas=1, mode="global"), seen, fresh.placements)
    assert sorted(len(view or ()) for view in wide.views.values()) == [1, 1, 1]
    before = {copy.name for view in seen.views.values() for copy in view or ()}
    assert {copy.name for view in wide.views.values() for copy in view or ()} < before
    back = decide("demo", Desired(instances_of([replace(web, replicas=3)])), wide, Memory(places, {}), 0.0)
    assert not any(isinstance(step.action, Start) for step in back.plan.steps)


def test_a_rolling_update_goes_over_its_instances_one_node_after_the_other() -> None:
    seen, places = settled(EXPORTER, fleet())
    new = replace(EXPORTER, env={"A": "b"})
    history = look(EXPORTER, seen, places, history={}).history
    order = []
    for _ in range(12):
        decision = decide("demo", Desired(everywhere={"exporter": new}), seen, Memory(places, {}, history=history), 100.0)
        places, history = decision.placements, decision.history
        starts = [step.action.node for step in decision.plan.steps if isinstance(step.action, Start)]
        assert len(starts) <= 1
        order += starts
        seen = applied(decision.plan, seen)
    assert order == list(NODES)
    assert {place.spec for place in places.values()} == {slots_of(placed(new, {1: "n1"}, 1))[0].spec}


@pytest.mark.parametrize("field", ["replicas", "max_per_node"])
def test_what_only_replicated_apps_have_is_refused_by_name(field: str) -> None:
    with pytest.raises(BadInput, match=f"^{field}: cannot be given with mode global"):
        parse_app({"image": "x", "mode": "global", field: 2})
    assert parse_app({"image": "x", "mode": "replicated", field: 2}).mode == "replicated"


def test_mode_stands_in_deploy_and_is_one_of_two() -> None:
    assert parse_app({"image": "x", "deploy": {"mode": "global"}}).mode == "global"
    with pytest.raises(BadInput, match="deploy/mode: should be replicated"):
        parse_app({"image": "x", "deploy": {"mode": "global-job"}})
    with pytest.raises(BadInput, match="deploy/replicas: cannot be given with mode global"):
        parse_app({"image": "x", "deploy": {"mode": "global", "replicas": 3}})


def test_an_app_that_becomes_global_loses_its_number_of_replicas_and_one_that_is_cannot_get_one() -> None:
    before = {"image": "x", "replicas": 3, "max_per_node": 1, "env": {"A": "b"}}
    assert parse_app(merged(before, {"mode": "global"})) == App("x", mode="global", env={"A": "b"})
    with pytest.raises(BadInput, match="replicas: cannot be given with mode global"):
        parse_app(merged({"image": "x", "mode": "global"}, {"replicas": 3}))
    assert parse_app(merged({"image": "x", "mode": "global"}, {"mode": None, "replicas": 3})).replicas == 3


def test_the_file_keeps_the_mode_and_a_bad_row_costs_only_its_own_app() -> None:
    text = changed(empty_document(), {"exporter": EXPORTER}).text()
    desired = desired_of(read_document(text))
    assert (dict(desired.everywhere), dict(desired.instances)) == ({"exporter": EXPORTER}, {})
    bad = read_document("name,image,mode,replicas\nweb,nginx,global,3\ndb,nginx,,\n# end\n")
    assert (set(desired_of(bad).unreadable), list(desired_of(bad).instances)) == ({"web"}, ["db"])


def test_its_secrets_are_resolved_and_without_them_it_is_left_as_it_is() -> None:
    app = replace(EXPORTER, secrets=("db",))
    desired, words = resolved(Desired(everywhere={"exporter": app}), {"db": "0123456789abcdef"})
    assert (desired.everywhere["exporter"].secret_revisions, words) == ({"db": "0123456789abcdef"}, ())
    without, words = resolved(Desired(everywhere={"exporter": app}), {})
    assert not without.everywhere
    assert set(without.unreadable) == {"exporter"}
    assert words


def test_the_state_has_the_node_of_each_slot_and_a_slot_that_goes_leaves_a_gap() -> None:
    app = placed(EXPORTER, {1: "n1", 3: "n3"}, 7)
    assert (app.node, app.generation) == (("n1", "", "n3"), (7, 0, 7))
    assert [(one.slot, one.node) for one in slots_of(app)] == [(1, "n1"), (3, "n3")]
    assert placed(app, {3: ""}, 8).node == ("n1",)
    assert placed(placed(app, {1: ""}, 8), {3: ""}, 9) == EXPORTER


def test_the_api_shows_one_that_waits_until_the_loop_has_told_of_any() -> None:
    shown = _shown(EXPORTER, Report())
    assert [(one["slot"], one["status"]) for one in shown["instances"]] == [(1, "pending")]


def test_a_node_that_has_two_slots_keeps_the_one_that_serves_there() -> None:
    # A loop that had lost its memory gave n2 another slot while the start of its own was on its way.
    seen, places = settled(EXPORTER, fleet(), {"exporter.5": Placement("n2", "duckconf-exporter_5", 1)})
    forgetful = {name: place for name, place in places.items() if name != "exporter.5"}
    forgetful["exporter.4"] = Placement("n2", "duckconf-exporter_4", 9)
    decision = look(EXPORTER, seen, forgetful)
    assert (decision.plan.steps, by_node(decision.placements)["n2"]) == ((), "exporter.5")


def test_of_two_slots_that_serve_on_a_node_the_one_that_runs_for_longer_stays() -> None:
    seen, places = settled(EXPORTER, fleet(), {"exporter.5": Placement("n2", "duckconf-exporter_5", 1)})
    (longer,) = seen.views["n2"] or ()
    newer = replace(longer, name="duckconf-exporter_4", slot=4, started=longer.started + 1)
    both = replace(seen, views={**seen.views, "n2": (longer, newer)})
    decision = look(EXPORTER, both, {**places, "exporter.4": Placement("n2", newer.name, 9)})
    assert [(step.instance, step.action) for step in decision.plan.steps] == [("exporter.4", Remove("n2", newer.name))]


def test_an_instance_that_is_being_started_keeps_its_node_although_a_copy_of_it_runs_elsewhere() -> None:
    seen, places = settled(EXPORTER, fleet(("n1", "n2")))
    joined = Fleet((*NODES,), {**seen.views, "n3": ()}, sites=seen.sites)
    moved = {**places, "exporter": Placement("n3", "duckconf-exporter", 9)}
    decision = look(EXPORTER, joined, moved, busy=("exporter",))
    assert {name: place.node for name, place in decision.placements.items()} == {
        "exporter": "n3",
        "exporter.2": "n2",
        "exporter.3": "n1",
    }


def test_a_cordoned_node_keeps_the_copy_that_it_has_although_its_number_was_placed_on_a_node_that_left() -> None:
    seen, places = settled(EXPORTER, fleet(("n1", "n2")))
    moved = {**places, "exporter.2": Placement("gone", "duckconf-exporter_2", 9)}
    decision = look(EXPORTER, replace(seen, cordoned=("n2",)), moved)
    assert decision.plan.steps == ()
    assert by_node(decision.placements) == {"n1": "exporter", "n2": "exporter.2"}


def test_a_slot_that_loses_its_node_to_another_one_serves_on_where_a_copy_of_it_runs() -> None:
    # n1 was silent while a start there was on its way, so that its slot was given to n2, where an older copy of slot 1 ran.
    places = {1: "n2", 2: "n2", 3: "n3"}
    served = {1: {"n2": (0, 1.0)}, 2: {"n1": (0, 2.0), "n2": (0, 2.0)}, 3: {"n3": (0, 1.0)}}
    assert slots(NODES, places, (), served) == {1: "n2", 2: "n1", 3: "n3"}
