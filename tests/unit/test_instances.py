"""Instances: how an app's replicas are named, placed, spread, moved and told of."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckconf.actions import Remove, Start
from duckconf.codec import manifest, spec_hash
from duckconf.decision import Memory, decide
from duckconf.desired import Desired, changed, desired_of, empty_document, read_document
from duckconf.errors import BadInput
from duckconf.instance import Instance, instances_of, placed, slots_of
from duckconf.model import App, parse_app
from duckconf.naming import app_of, declared_container, instance_name, slot_of
from duckconf.placement import Fleet
from duckconf.spreading import Room, spread_many
from tests.unit.test_plan import applied

NODES = ("n1", "n2", "n3")
WEB = App("nginx", "web", replicas=5)


def test_an_instance_and_its_container_have_names_that_no_app_and_no_later_placement_has() -> None:
    assert [instance.name for instance in slots_of(App("x", "web", replicas=3))] == ["web", "web.2", "web.3"]
    assert (app_of("web.12"), slot_of("web.12"), slot_of("web")) == ("web", 12, 1)
    assert declared_container("demo", instance_name("web", 2)) == "duckconf-web_2"
    assert declared_container("demo", "web-2") == "duckconf-web-2"


def test_the_number_of_replicas_is_not_part_of_the_spec() -> None:
    assert manifest(WEB) == manifest(App("nginx", "web"))
    assert spec_hash(WEB) == spec_hash(App("nginx", "web", replicas=0))


@pytest.mark.parametrize("replicas", [0, 1, 2, 10_000])
def test_replicas_survive_the_file(replicas: int) -> None:
    app = App("nginx", "web", replicas=replicas)
    read = read_document(changed(empty_document(), {"web": app}).text())
    assert read.apps() == {"web": app}
    assert len(desired_of(read).instances) == replicas


@pytest.mark.parametrize("bad", [-1, 10_001, 1.5, "many", True, [3]])
def test_what_is_no_number_of_replicas_is_refused(bad: object) -> None:
    with pytest.raises(BadInput, match="replicas: should be a whole number from 0 to 10000"):
        parse_app({"image": "nginx", "replicas": bad})


def test_a_decision_starts_each_slot_once_and_spreads_an_app_before_it_balances_the_rest() -> None:
    fleet = Fleet(NODES, dict.fromkeys(NODES, ()))
    desired = Desired(instances_of([WEB, App("x", "one"), App("x", "two", replicas=3)]))
    decision = decide("demo", desired, fleet, Memory({}, {}), 0.0)
    starts = [step.action for step in decision.plan.steps if isinstance(step.action, Start)]
    assert len(starts) == len(decision.plan.steps) == 9
    assert {(start.app.name, start.slot) for start in starts if start.app is WEB} == {("web", slot) for slot in range(1, 6)}
    assert len({start.container for start in starts}) == 9
    by_node = Counter(start.node for start in starts if start.app.name == "two")
    assert set(by_node.values()) == {1}
    assert sorted(Counter(start.node for start in starts if start.app is WEB).values()) == [1, 2, 2]


def test_fewer_replicas_remove_the_highest_slots() -> None:
    fleet = Fleet(NODES, dict.fromkeys(NODES, ()))
    before = decide("demo", Desired(instances_of([WEB])), fleet, Memory({}, {}), 0.0)
    seen = applied(before.plan, fleet)
    after = decide("demo", Desired(instances_of([App("nginx", "web", replicas=2)])), seen, Memory(before.placements, {}), 1.0)
    assert {step.instance for step in after.plan.steps if isinstance(step.action, Remove)} == {"web.3", "web.4", "web.5"}
    assert len(after.plan.steps) == 3


def test_a_slot_that_moves_gets_a_new_generation_and_the_others_keep_theirs() -> None:
    app = placed(App("x", "web", replicas=3), {1: "n1", 2: "n2", 9: "n3"}, 7)
    assert (app.node, app.generation) == (("n1", "n2", ""), (7, 7, 0))
    moved = placed(app, {2: "", 3: "n3"}, 8)
    assert (moved.node, moved.generation) == (("n1", "", "n3"), (7, 7, 8))
    assert slots_of(moved)[1] == Instance(App("x", "web", replicas=3), 2, "", 7)
    assert placed(moved, {1: "", 3: ""}, 9).node == ()


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.lists(st.sampled_from(NODES), max_size=5), st.integers(0, 9))
def test_no_node_has_two_more_of_an_app_than_another(replicas: list[int], before: list[str], turn: int) -> None:
    instances = instances_of(App("x", f"a{number}", replicas=count) for number, count in enumerate(replicas))
    rooms = [Room(node, number) for number, node in enumerate(NODES)]
    chosen, reasons = spread_many(list(instances.values()), rooms, {}, turn, {"a0": before})
    assert not reasons
    for app in {app_of(name) for name in chosen}:
        old = Counter(dict.fromkeys(NODES, 0)) + Counter(before if app == "a0" else ())
        now = Counter(old)
        now.update(chosen[name] for name in chosen if app_of(name) == app)
        grown = {node: now[node] for node in NODES if now[node] > old[node]}
        assert all(now[node] <= min(now[other] for other in NODES) + 1 for node in grown)


def test_ports_that_only_one_instance_of_a_node_can_have_are_counted() -> None:
    app = App("x", "web", ports=("80:80",), replicas=3)
    chosen, reasons = spread_many(slots_of(app), [Room("n1", 0), Room("n2", 5)], {"cordoned": 1}, 0)
    assert chosen == {"web": "n1", "web.2": "n2"}
    assert reasons == {"web.3": "no node fits: 1 cordoned, 2 with port 80/tcp taken"}
