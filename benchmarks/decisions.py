"""What the pure decisions cost in a large cluster: placements per second, and a pass of the loop in the middle of an update."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.measure import Row, timed
from duckconf.codec import spec_hash, to_label
from duckconf.decision import Memory, decide
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.instance import instances_of
from duckconf.model import App
from duckconf.placement import Fleet, Placement
from duckconf.rollout import DONE, Revision, spec_only
from duckconf.sites import Sites
from duckconf.spreading import Room, spread_many

NODES = [f"n{number}" for number in range(1000)]
INSTANCES = 10_000
# Slots of an update, and how much more a pass may cost with ten times as many.
FEW, MANY, GROWTH = 100, 1000, 15.0


def placements(rounds: int) -> list[Row]:
    """With no zones and with one for each node, of apps with one instance and with a hundred."""
    zones: tuple[tuple[str, dict[str, str]], ...] = (("no zones", {}), ("a zone per node", {node: node for node in NODES}))
    return [_placements(INSTANCES // each, each, words, found, rounds) for words, found in zones for each in (1, 100)]


def _placements(apps: int, each: int, words: str, zones: Mapping[str, str], rounds: int) -> Row:
    wanted = list(instances_of(App("nginx", f"a{app}", replicas=each) for app in range(apps)).values())

    def place() -> None:
        placed, _ = spread_many(wanted, [Room(node, 0) for node in NODES], {}, 0, sites=Sites(NODES, zones))
        assert len(placed) == len(wanted)

    rates = [len(wanted) / timed(place) for _ in range(rounds)]
    measure = f"placements, {len(NODES)} nodes, {INSTANCES} instances of {apps} apps, {words}"
    return Row(measure, rates, (), 5000, "/s", at_least=True)


def rollout_passes(rounds: int) -> list[Row]:
    few, many = half_updated(FEW), half_updated(MANY)
    times = [(timed(lambda: decide("bench", *few, 1e6)), timed(lambda: decide("bench", *many, 1e6))) for _ in range(rounds)]
    measure = f"a pass in the middle of an update, {MANY} slots against {FEW}"
    return [Row(measure, [many for _, many in times], [few for few, _ in times], GROWTH)]


def half_updated(slots: int) -> tuple[Desired, Fleet, Memory]:
    """An app half of whose slots have the new revision, with as many nodes as slots."""
    old, new = (App(f"nginx:{tag}", "web", replicas=slots) for tag in (1, 2))
    instances, nodes = instances_of([new]), [f"n{number}" for number in range(slots)]
    views: dict[str, tuple[Container, ...]] = {}
    places: dict[str, Placement] = {}
    for number, (node, instance) in enumerate(zip(nodes, instances.values())):
        app = new if number < slots // 2 else old
        spec, name = spec_hash(app), f"duckconf-{instance.name}"
        views[node] = (Container(name, name, node, "web", spec, app.image, "running", 0.0, 1, to_label(app), instance.slot),)
        places[instance.name] = Placement(node, name, 1, spec=spec)
    history = {"web": (Revision(1, spec_only(old), DONE), Revision(2, spec_only(new)))}
    return Desired(instances), Fleet(tuple(nodes), views), Memory(places, {}, history=history)
