"""Where instances go: zones, patterns, what a node gets at most, and what is reserved; the loop and the scheduler agree."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.scheduler import schedule
from duckconf import placement
from duckconf.actions import Remove, Start
from duckconf.codec import spec_hash
from duckconf.decision import Memory, decide
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.errors import BadInput
from duckconf.facts import Facts
from duckconf.instance import Instance, instances_of, slots_of
from duckconf.model import App, parse_app
from duckconf.naming import slot_of
from duckconf.placement import Fleet, Load, Placement, assign, spread
from duckconf.sites import Sites
from duckconf.spreading import Given, Room, spread_many
from tests.unit.test_plan import applied

NODES = ("n1", "n2", "n3", "n4", "n5", "n6")
GROUPS = {"all": NODES, "web": ("n1", "n2", "n3"), "db": ("n4",)}
ZONED = Sites(NODES, {"n1": "a", "n2": "a", "n3": "a", "n4": "a", "n5": "b"}, GROUPS)
FACTS = dict.fromkeys(NODES, Facts(cores=4, memory_total=2**30))


def fleet(sites: Sites = ZONED, **more: Any) -> Fleet:
    return Fleet(NODES, dict.fromkeys(NODES, ()), sites=sites, facts=FACTS, **more)


def nodes_of(app: App, sites: Sites = ZONED, siblings: tuple[str, ...] = ()) -> Counter[str]:
    rooms = [Room(node, 0, facts=FACTS[node]) for node in NODES]
    chosen, _ = spread_many(slots_of(app), rooms, {}, 0, {app.name: siblings}, sites)
    return Counter(chosen.values())


def test_an_app_is_spread_over_zones_before_nodes_and_nodes_without_a_zone_are_one() -> None:
    assert nodes_of(App("x", "web", replicas=6)) == Counter({"n5": 2, "n6": 2, "n1": 1, "n2": 1})
    assert nodes_of(App("x", "web", replicas=6), Sites(NODES)) == Counter(NODES)


def test_instances_that_an_app_has_already_count_in_their_zone() -> None:
    assert nodes_of(App("x", "web", replicas=2), siblings=("n1", "n5")) == Counter({"n6": 1, "n2": 1})


apps = st.builds(
    App,
    st.just("x"),
    replicas=st.integers(1, 9),
    on=st.sampled_from(["", "web", "web:!n1", "all:!db", "nobody"]),
    max_per_node=st.integers(0, 2),
    reserve_cpus=st.sampled_from([0, 0.1, 1.5]),
    reserve_memory=st.sampled_from(["", "300m"]),
    ports=st.sampled_from([(), ("80:80",)]),
)


@given(
    st.lists(apps, min_size=1, max_size=6),
    st.lists(st.sampled_from(["", "a", "b", "c"]), min_size=6, max_size=6),
    st.integers(0, 9),
    st.lists(st.sampled_from(NODES), max_size=4),
)
def test_many_at_once_go_where_one_after_the_other_would(
    wanted: list[App], zones: list[str], turn: int, before: list[str]
) -> None:
    sites = Sites(NODES, dict(zip(NODES, zones)), GROUPS)
    named = [replace(app, name=f"a{number}") for number, app in enumerate(wanted)]
    instances = instances_of(named)
    load = Load(sites)
    siblings = {app.name: before for app in named if app.replicas > 1}
    for app in named:
        for node in before if app.replicas > 1 else ():
            load.add(node, replace(app, ports=(), reserve_cpus=0, reserve_memory=""))
    rooms = [Room(node, load.instances[node], facts=FACTS[node]) for node in NODES]
    placed, reasons = spread_many(list(instances.values()), rooms, {}, turn, siblings, sites)
    for name, instance in instances.items():
        where, why = spread(instance, fleet(sites), load, turn)
        assert (placed.get(name, ""), reasons.get(name, "")) == (where, why)
        if where:
            load.add(where, instance.app)


@given(st.lists(apps, min_size=1, max_size=6), st.integers(0, 9))
def test_no_node_gets_what_it_may_not_have(wanted: list[App], turn: int) -> None:
    named = [replace(app, name=f"a{number}") for number, app in enumerate(wanted)]
    instances = instances_of(named)
    rooms = [Room(node, 0, facts=FACTS[node]) for node in NODES]
    placed, _ = spread_many(list(instances.values()), rooms, {}, turn, sites=ZONED)
    there: dict[str, list[App]] = {}
    for name, node in placed.items():
        there.setdefault(node, []).append(instances[name].app)
        assert ZONED.allows(instances[name].app, node)
    for found in there.values():
        counts = Counter(app.name for app in found)
        assert all(not app.max_per_node or counts[app.name] <= app.max_per_node for app in found)
        assert sum(app.reserve_cpus for app in found) <= 4 + 1e-6
        assert 300 * 2**20 * sum(bool(app.reserve_memory) for app in found) <= 2**30
        assert sum(bool(app.ports) for app in found) <= 1


@pytest.mark.parametrize(
    ("app", "why"),
    [
        (App("x", "web", on="web:!n1", replicas=3, max_per_node=1), "4 not in web:!n1, 2 with 1 of it already"),
        (App("x", "web", reserve_cpus=4.5), "6 with fewer than 4.5 cores left"),
        (App("x", "web", reserve_memory="2g"), "6 with less than 2.0G of memory left"),
        (App("x", "web", on="nobody"), "6 not in nobody"),
    ],
)
def test_the_reason_why_no_node_fits_is_in_numbers(app: App, why: str) -> None:
    rooms = [Room(node, 0, facts=FACTS[node]) for node in NODES]
    assert set(spread_many(slots_of(app), rooms, {}, 0, sites=ZONED)[1].values()) == {f"no node fits: {why}"}


def test_what_is_reserved_already_counts_and_what_is_not_known_excludes_nothing() -> None:
    app, taken = App("x", "web", reserve_cpus=2), Given(cpus=2.5)
    rooms = [Room("n1", 0, taken, facts=FACTS["n1"]), Room("n2", 5, Given(cpus=99.0))]
    assert spread_many(slots_of(app), rooms, {}, 0)[0] == {"web": "n2"}
    assert taken.cpus == 2.5


def test_one_instance_at_a_time_moves_to_where_the_pattern_means_and_the_new_one_runs_first() -> None:
    app = App("nginx", "web", replicas=3)
    fresh = decide("demo", Desired(instances_of([app])), fleet(), Memory({}, {}), 0.0)
    seen, places = applied(fresh.plan, fleet()), fresh.placements
    desired = Desired(instances_of([replace(app, on="web")]))
    moved = []
    for _ in range(12):
        decision = decide("demo", desired, seen, Memory(places, {}), 1.0)
        places = decision.placements
        starts = [step for step in decision.plan.steps if isinstance(step.action, Start)]
        for step in decision.plan.steps:
            copies = seen.copies[step.instance]
            assert not isinstance(step.action, Remove) or any(copy.name != step.action.container for copy in copies)
        assert len(starts) <= 1
        moved += starts
        if not decision.plan.steps:
            break
        seen = applied(decision.plan, seen)
    assert sorted(place.node for place in places.values()) == ["n1", "n2", "n3"]
    assert len(moved) == 2
    assert sum(len(view or ()) for view in seen.views.values()) == 3


def test_an_instance_that_cannot_leave_stays_and_says_why() -> None:
    app = App("nginx", "web")
    fresh = decide("demo", Desired(instances_of([app])), fleet(), Memory({}, {}), 0.0)
    seen = applied(fresh.plan, fleet())
    decision = decide("demo", Desired(instances_of([replace(app, on="gone")])), seen, Memory(fresh.placements, {}), 1.0)
    assert (decision.plan.steps, decision.placements) == ((), fresh.placements)
    assert decision.plan.notes == {"web": f"cannot leave {fresh.placements['web'].node}: no node fits: 6 not in gone"}


def test_the_scheduler_moves_an_instance_or_says_why_it_cannot_leave() -> None:
    rows = [{"name": name, "status": "ready", "apps": 0, "cordoned": False, "full": False} for name in NODES]
    here = Instance(App("x", "web", on="db"), 1, "n1", 3)
    assert [binding["node"] for binding in schedule([here], rows, 0, sites=ZONED).bindings] == ["n4"]
    stuck = schedule([replace(here, app=App("x", "web", on="gone"))], rows, 0, sites=ZONED)
    assert stuck == ((), {"web": "cannot leave n1: no node fits: 6 not in gone"})


@pytest.mark.parametrize(
    ("constraints", "pattern"),
    [
        (["node.hostname==n1"], "n1"),
        (["node.hostname != n3", "node.hostname!=n4"], "all:!n3:!n4"),
        (["node.hostname == n1", "node.hostname == n2", "node.hostname != n3"], "n1:&n2:!n3"),
        ([], ""),
    ],
)
def test_a_compose_services_constraints_are_a_pattern(constraints: list[str], pattern: str) -> None:
    app = parse_app({"image": "x", "deploy": {"placement": {"constraints": constraints, "max_replicas_per_node": 2}}})
    assert (app.on, app.max_per_node) == (pattern, 2)


def test_reservations_of_a_compose_service_are_fields() -> None:
    reserved = {"cpus": "0.25", "memory": "64M"}
    app = parse_app({"image": "x", "deploy": {"resources": {"reservations": reserved, "limits": {"cpus": "1"}}}})
    assert (app.reserve_cpus, app.reserve_memory, app.cpus) == (0.25, "64M", 1)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"deploy": {"placement": {"constraints": ["node.labels.disk==ssd"]}}}, "deploy/placement/constraints/0"),
        ({"deploy": {"placement": {"preferences": [{"spread": "node.labels.zone"}]}}}, "deploy/placement/preferences"),
        ({"deploy": {"resources": {"reservations": {"devices": [{}]}}}}, "deploy/resources/reservations/devices"),
        ({"on": "~["}, "on"),
        ({"on": "web:!"}, "on"),
        ({"on": ":"}, "on"),
        ({"on": "@failed"}, "on"),
        ({"on": "a\nb"}, "on"),
        ({"on": 7}, "on"),
        ({"max_per_node": -1}, "max_per_node"),
        ({"max_per_node": True}, "max_per_node"),
        ({"reserve_cpus": 0}, "reserve_cpus"),
        ({"reserve_memory": "much"}, "reserve_memory"),
    ],
)
def test_what_is_no_place_is_refused_with_its_path(body: dict[str, Any], path: str) -> None:
    with pytest.raises(BadInput) as told:
        parse_app({"image": "x", **body})
    assert [fault.path for fault in told.value.faults] == [path]


def test_with_a_zone_for_each_node_an_app_looks_into_few_of_them() -> None:
    """The cost of a placement does not grow with the number of zones."""
    nodes = [f"n{number}" for number in range(100)]
    sites = Asked(nodes, {node: node for node in nodes})
    wanted = [Instance(App("x", f"a{number}", on="all")) for number in range(100)]
    placed, _ = spread_many(wanted, [Room(node, 0) for node in nodes], {}, 0, sites=sites)
    assert sorted(placed.values()) == sorted(nodes)
    assert sites.looks < 300


class Asked(Sites):
    looks = 0

    def allows(self, app: App, node: str) -> bool:
        object.__setattr__(self, "looks", self.looks + 1)
        return True


def test_an_app_with_one_instance_on_each_node_at_most_is_updated_beside_its_old_containers() -> None:
    old = App("web:1", "web", replicas=3, max_per_node=1)
    new = replace(old, image="web:2")
    names, nodes = list(instances_of([old])), ("n1", "n2", "n3")
    places = {name: Placement(node, f"c-{slot_of(name)}", 1, spec=spec_hash(old)) for name, node in zip(names, nodes)}
    views = {
        node: (Container(name, f"c-{slot_of(name)}", node, "web", spec_hash(old), "web:1", "running", 0.0, 1, slot=slot),)
        for slot, (name, node) in enumerate(zip(names, nodes), 1)
    }
    found = assign(
        instances_of([new]), Fleet(nodes, views), places, {name: f"c-{slot_of(name)}" for name in names}, 2, certain=True
    )
    assert {name: (place.node, place.spec) for name, place in found.placements.items()} == {
        name: (node, spec_hash(new)) for name, node in zip(names, nodes)
    }
    assert {place.container for place in found.placements.values()}.isdisjoint({f"c-{slot_of(name)}" for name in names})


def test_an_update_that_cannot_start_at_once_stays_beside_its_old_container_where_the_engine_chooses_the_port() -> None:
    old = App("web:1", "web", ports=("80",))
    new = replace(old, image="web:2")
    runs = Container("1", "c", "n1", "web", spec_hash(old), "web:1", "running", 0.0, 1)
    fleet, places = Fleet(("n1",), {"n1": (runs,)}), {"web": Placement("n1", "c", 1, spec=spec_hash(old))}
    for generation in (2, 3):
        places = dict(assign(instances_of([new]), fleet, places, {"web": "c"}, generation, certain=True).placements)
        assert places == {"web": Placement("n1", "c.2", 2, spec=spec_hash(new))}


def test_apps_with_fixed_ports_that_do_not_run_are_not_compared_with_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def conflict(*_: object) -> None:
        compared.append("")

    monkeypatch.setattr(placement, "conflict", conflict)
    wanted = instances_of(App("x", f"a{number}", ports=(f"{10000 + number}:80",)) for number in range(300))
    kept = {name: Placement("n1", name, 1, spec=one.spec) for name, one in wanted.items()}
    assign(wanted, Fleet(("n1",), {"n1": ()}), kept, {name: name for name in wanted}, 2, certain=True)
    assert compared == []


@pytest.mark.parametrize(
    ("app", "state", "spec", "adopted"),
    [
        (App("web:1", "web"), "running", "old", True),
        (App("web:1", "web"), "exited", "old", False),
        (App("job:1", "web", restart="on-failure"), "running", "", True),
        (App("job:1", "web", restart="on-failure"), "running", "old", False),
        (App("job:1", "web", restart="on-failure"), "exited", "", False),
    ],
)
def test_who_lost_its_memory_starts_nothing_again_that_may_run_on_a_silent_node(
    app: App, state: str, spec: str, adopted: bool
) -> None:
    copy = Container("1", "c", "n1", "web", spec or spec_hash(app), app.image, state, 0.0, 1)
    fleet = Fleet(("n1", "n2"), {"n1": (copy,), "n2": None})
    found = assign(instances_of([app]), fleet, {}, {"web": "c"}, 2, certain=False)
    assert (set(found.placements), set(found.reasons)) == (({"web"}, set()) if adopted else (set(), {"web"}))
    assert "web" in assign(instances_of([app]), fleet, {}, {"web": "c"}, 2, certain=True).placements


def test_who_lost_its_memory_updates_nothing_while_a_node_is_silent() -> None:
    app = App("web:2", "web")
    copy = Container("1", "left", "n1", "web", "of-an-unknown-spec", "web:1", "running", 0.0, 1)
    silent = Fleet(("n1", "n2"), {"n1": (copy,), "n2": None})
    found = assign(instances_of([app]), silent, {}, {"web": "c"}, 2, certain=False).placements
    assert (found["web"].container, found["web"].spec) == ("left", copy.spec)
    again = assign(instances_of([app]), silent, found, {"web": "c"}, 3, certain=False).placements
    assert again == found
    heard = replace(silent, views={**silent.views, "n2": ()})
    assert assign(instances_of([app]), heard, found, {"web": "c"}, 3, certain=True).placements["web"].spec == spec_hash(app)
