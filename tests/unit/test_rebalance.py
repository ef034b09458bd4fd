"""Which instances move so that the nodes run about as many: it ends, forbids itself what placement forbids, and moves no more
than it has to."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckconf.codec import spec_hash
from duckconf.facts import Facts
from duckconf.instance import Instance, slots_of
from duckconf.model import App
from duckconf.rebalance import Move, moves, why_bound
from duckconf.refusal import Refusal
from duckconf.sites import NOWHERE, Sites
from duckconf.spreading import Given, Room

NODES = ("n1", "n2", "n3", "n4", "n5")
GROUPS = {"all": NODES, "web": ("n1", "n2", "n3")}
FACTS = Facts(cores=4, memory_total=2**30)


def at(app: App, *nodes: str) -> list[Instance]:
    app = replace(app, replicas=len(nodes))
    return [replace(one, node=node) for one, node in zip(slots_of(app), nodes)]


def rooms_of(instances: Sequence[Instance], nodes: Sequence[str] = NODES) -> list[Room]:
    given = {node: Given() for node in nodes}
    for one in instances:
        if one.node in given:
            given[one.node].add(one.app)
    counts = Counter(one.node for one in instances)
    return [Room(node, counts[node], given[node], {}, FACTS) for node in nodes]


def apart(counts: Mapping[str, int]) -> int:
    return max(counts.values()) - min(counts.values())


def after(instances: Sequence[Instance], made: Sequence[Move]) -> dict[str, Instance]:
    placed = {one.name: one for one in instances}
    return placed | {move.name: replace(move.instance, node=move.target) for move in made}


def singles(*counts: int) -> list[Instance]:
    """As many apps of one instance on each node."""
    return [
        one for node, count in zip(NODES, counts) for number in range(count) for one in at(App("x", f"{node}-{number}"), node)
    ]


def told(made: Sequence[Move]) -> list[str]:
    return [f"{move.name} {move.source} {move.target}" for move in made]


def test_an_empty_node_gets_its_part_from_the_fullest() -> None:
    instances = singles(3, 3, 0)
    made = list(moves(instances, rooms_of(instances, NODES[:3])))
    assert told(made) == ["n2-0 n2 n3", "n1-0 n1 n3"]
    assert made[0].reason == "n2 runs 3, n3 runs 0"


@pytest.mark.parametrize("counts", [(0, 0, 0), (1, 0, 0), (2, 1, 2), (4, 4, 4)])
def test_nodes_that_differ_by_one_are_level(counts: tuple[int, ...]) -> None:
    assert list(moves(singles(*counts), rooms_of(singles(*counts), NODES[:3]))) == []


@given(st.lists(st.integers(0, 9), min_size=1, max_size=5))
def test_where_nothing_forbids_it_the_nodes_end_level_after_the_least_number_of_moves(counts: list[int]) -> None:
    instances, nodes = singles(*counts), NODES[: len(counts)]
    made = list(moves(instances, rooms_of(instances, nodes)))
    ends = Counter(dict.fromkeys(nodes, 0))
    ends.update(one.node for one in after(instances, made).values())
    assert apart(ends) <= 1
    low, more = divmod(sum(counts), len(counts))
    too_many = sum(max(0, count - low - bool(more)) for count in counts)
    too_few = sum(max(0, low - count) for count in counts)
    assert len(made) == max(too_many, too_few)
    assert len({move.name for move in made}) == len(made)


apps = st.builds(
    App,
    st.just("x"),
    on=st.sampled_from(["", "", "web", "all:!n1", "nobody"]),
    max_per_node=st.integers(0, 2),
    reserve_cpus=st.sampled_from([0, 0.1, 1.5]),
    reserve_memory=st.sampled_from(["", "300m"]),
    ports=st.sampled_from([(), (), ("80:80",)]),
    volumes=st.sampled_from([(), (), ("data:/d",)]),
)
places = st.lists(st.tuples(apps, st.lists(st.sampled_from(NODES[:4]), min_size=1, max_size=6)), max_size=8)
zones = st.lists(st.sampled_from(["", "a", "b"]), min_size=5, max_size=5)


def spread_of(instances: Sequence[Instance], sites: Sites) -> dict[str, tuple[int, int]]:
    """By app, how crowded it is in zones and on nodes."""
    found: dict[str, tuple[int, int]] = {}
    for name in {one.app.name for one in instances}:
        nodes = [one.node for one in instances if one.app.name == name]
        by_zone, by_node = Counter(map(sites.zone, nodes)), Counter(nodes)
        found[name] = (sum(n * n for n in by_zone.values()), sum(n * n for n in by_node.values()))
    return found


@given(places, zones, st.sampled_from([(), ("n1",), ("n2", "n5")]), st.randoms())
def test_each_move_is_one_that_placement_allows_and_evens_the_counts(
    wanted: list[tuple[App, list[str]]], zoned: list[str], closed: tuple[str, ...], dice: random.Random
) -> None:
    sites = Sites(NODES, dict(zip(NODES, zoned)), GROUPS)
    instances = [one for number, (app, nodes) in enumerate(wanted) for one in at(replace(app, name=f"a{number}"), *nodes)]
    rooms = rooms_of(instances, [node for node in NODES if node not in closed])
    made = list(moves(instances, rooms, sites))
    shuffled = list(instances)
    dice.shuffle(shuffled)
    assert list(moves(shuffled, rooms, sites)) == made
    now = {one.name: one for one in instances}
    for move in made:
        app = move.instance.app
        there = [one.app for one in now.values() if one.node == move.target]
        assert {move.target, move.source}.isdisjoint(closed)
        assert (sites.allows(app, move.target), why_bound(app)) == (True, "")
        assert not app.max_per_node or sum(other.name == app.name for other in there) < app.max_per_node
        assert sum(other.reserve_cpus for other in [*there, app]) <= 4 + 1e-6 or not app.reserve_cpus
        assert sum(300 * 2**20 for other in [*there, app] if other.reserve_memory) <= 2**30 or not app.reserve_memory
        assert not app.ports or not any(other.ports for other in there)
        counts = Counter(one.node for one in now.values())
        assert counts[move.source] - counts[move.target] >= 2
        crowded = spread_of(list(now.values()), sites)[app.name]
        now[move.name] = replace(move.instance, node=move.target)
        assert spread_of(list(now.values()), sites)[app.name] <= crowded
    counts = Counter({room.node: 0 for room in rooms})
    counts.update(one.node for one in now.values() if one.node in counts)
    free = not any(
        app.on or app.max_per_node or app.reserve_cpus or app.reserve_memory or app.ports or app.volumes for app, _ in wanted
    )
    if free and rooms and len(set(zoned)) == 1:
        assert apart(counts) <= 1


def test_of_two_apps_the_one_goes_that_is_spread_better_by_it_and_one_that_is_not_interrupted() -> None:
    instances = [*at(App("x", "db", ports=("80:80",)), "n1"), *at(App("x", "web"), "n1", "n1", "n2"), *at(App("x", "api"), "n1")]
    assert told(list(moves(instances, rooms_of(instances, NODES[:3])))) == ["web n1 n3", "api n1 n2"]
    alone = [*at(App("x", "db", ports=("80:80",)), "n1"), *at(App("x", "web"), "n1")]
    (move,) = moves(alone, rooms_of(alone, NODES[:2]))
    assert (move.name, move.starts_first) == ("web", True)
    (move,) = moves(alone, rooms_of(alone, NODES[:2]), stay={"web"})
    assert (move.name, move.starts_first) == ("db", False)


def test_an_app_that_is_spread_over_zones_stays_so() -> None:
    sites = Sites(NODES, {"n1": "a", "n2": "a", "n3": "b"})
    instances = [*at(App("x", "web"), "n1", "n3", "n3", "n3"), *at(App("x", "own"), "n1")]
    assert told(list(moves(instances, rooms_of(instances, NODES[:3]), sites))) == ["web.2 n3 n2"]


def test_a_node_that_refuses_an_app_is_passed_over() -> None:
    instances = at(App("x", "web"), "n1", "n1", "n1")
    refusal = Refusal("n2", "web", spec_hash(instances[0].app), "port", "has no such path", "", 9.0)
    rooms = [replace(room, refusals={"web": refusal} if room.node == "n2" else {}) for room in rooms_of(instances, NODES[:3])]
    assert told(list(moves(instances, rooms))) == ["web n1 n3"]


@pytest.mark.parametrize(
    ("app", "why"),
    [
        (App("x", "web"), ""),
        (App("x", "web", volumes=("/etc/ssl:/etc/ssl:ro",)), ""),
        (App("x", "web", volumes=("/srv:/srv",)), "its data is on the node"),
        (App("x", "web", volumes=("data:/d:ro",)), "its data is on the node"),
        (App("x", "web", restart="on-failure:3"), "it is a job"),
        (App("x", "web", network_mode="stack:shop"), "its stack runs on one node"),
    ],
)
def test_jobs_and_what_has_data_on_its_node_stay(app: App, why: str) -> None:
    assert why_bound(app) == why
    instances = at(app, "n1", "n1")
    assert bool(list(moves(instances, rooms_of(instances, NODES[:2])))) == (not why)


def test_a_port_that_one_app_leaves_is_free_for_the_next() -> None:
    first, second = App("x", "a", ports=("80:80",)), App("x", "b", ports=("80:80",))
    bound = [*at(App("x", "c", volumes=("c:/c",)), "n1"), *at(App("x", "d", volumes=("d:/d",)), "n1")]
    bound += [*at(App("x", "e", volumes=("e:/e",)), "n2"), *at(App("x", "f", on="n1"), "n2")]
    instances = [*at(first, "n1"), *at(second, "n2"), *bound, *at(App("x", "g", volumes=("g:/g",)), "n2")]
    rooms = rooms_of(instances, NODES[:3])
    assert told(list(moves(instances, rooms))) == ["b n2 n3"]
    assert told(list(moves([*instances, *at(App("x", "h", volumes=("h:/h",)), "n1")], rooms_of([*instances], NODES[:3])))) == [
        "b n2 n3"
    ]


@pytest.mark.parametrize("on", ["", "web", "nobody"])
def test_the_work_grows_with_the_instances_and_not_with_their_square(on: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Counter[str]()
    allows = Sites.allows

    def counting(sites: Sites, app: App, node: str) -> bool:
        asked["times"] += 1
        return allows(sites, app, node)

    monkeypatch.setattr(Sites, "allows", counting)

    def work(count: int) -> int:
        asked.clear()
        nodes = [f"n{number}" for number in range(20)]
        sites = Sites(nodes, {}, {"web": nodes[:10], "nobody": ()})
        instances = [one for number in range(count) for one in at(App("x", f"a{number}", on=on), nodes[number % 10])]
        many = at(App("x", "many"), *(nodes[number % 10] for number in range(count)))
        made = list(moves([*instances, *many], rooms_of([*instances, *many], nodes), sites))
        assert len(made) == (count if not on else count // 2)
        return asked["times"]

    assert work(400) < 2.6 * work(200)


def test_without_nodes_or_instances_nothing_moves() -> None:
    assert list(moves([], [], NOWHERE)) == []
    assert list(moves(singles(3), [])) == []
