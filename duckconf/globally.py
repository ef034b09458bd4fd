"""Apps of mode global: one instance on each node that they may run on. Pure; used by the loop, the scheduler and the API.

Slots stay numbers. A node keeps its slot, whatever happens to it, while it should have an instance; a new node gets the lowest
number that is free. Which slot is on which node is part of the placements and remembered nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from types import MappingProxyType

from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.fleet_seen import Fleet, Placement
from duckconf.instance import Instance
from duckconf.model import App
from duckconf.naming import app_of, instance_name, slot_of
from duckconf.sites import Sites

Rank = tuple[int, float]
# Of slots whose instance does not serve on their node: with a container there, and without one.
IDLE: Rank = (1, 0.0)
LAST: Rank = (2, 0.0)


def slots(
    nodes: Sequence[str],
    before: Mapping[int, str],
    taken: Collection[int] = (),
    there: Mapping[int, Mapping[str, Rank]] = MappingProxyType({}),
) -> dict[int, str]:
    """The node of each slot: one slot for each of `nodes`, in the order in which new ones get a number. `before` has the node of
    each slot until now. Its numbers, and those in `taken`, are given to no new node. Where several slots are on one node, it
    keeps the one with the lowest rank, of those that a slot has where its containers are `there`; another goes to a node where
    it has one as well. A slot whose own node should have none any more counts where it serves."""
    wanted, kept = set(nodes), dict[int, str]()
    homes = [(there.get(slot, {}).get(node, LAST), slot, node) for slot, node in before.items()]
    homes += [
        (rank, slot, node)
        for slot, ranks in there.items()
        for node, rank in ranks.items()
        if before.get(slot) not in wanted and rank < IDLE
    ]
    for _, slot, node in sorted(homes):
        if node in wanted and slot not in kept:
            wanted.discard(node)
            kept[slot] = node
    free = _free({*before, *taken})
    for node in (node for node in nodes if node in wanted):
        left = (slot for slot in sorted(before) if slot not in kept and node in there.get(slot, ()))
        kept[next(left, None) or next(free)] = node
    return dict(sorted(kept.items()))


def wanted_nodes(app: App, nodes: Sequence[str], sites: Sites, closed: Collection[str], has: Collection[str]) -> list[str]:
    """The nodes that should have an instance. `closed` ones get no new instance; `has` are those that have one."""
    return [node for node in nodes if sites.allows(app, node) and (node not in closed or node in has)]


def with_slots(desired: Desired, fleet: Fleet, placements: Mapping[str, Placement], busy: Collection[str] = ()) -> Desired:
    """The desired state with the instances of its apps of mode global, each bound to its node. An app that no node may have
    has one instance, so that placement says why. `busy` instances have an action under way where they are placed."""
    if not desired.everywhere:
        return desired
    before = _before(desired.everywhere, fleet, placements, busy)
    instances = dict(desired.instances)
    for name, app in sorted(desired.everywhere.items()):
        known = before[name]
        nodes = wanted_nodes(app, fleet.nodes, fleet.sites, fleet.cordoned, set(known.values()))
        taken = {slot_of(copy) for copy in fleet.copies if app_of(copy) == name}
        there = {slot: _ranks(fleet.copies.get(instance_name(name, slot), ())) for slot in known}
        found = slots([node for node in nodes if node not in fleet.draining], known, taken, there)
        bound = found or {next(_free({*known, *taken})): ""}
        one = (Instance(app, slot, bound=node) for slot, node in bound.items())
        instances |= {instance.name: instance for instance in one}
    return replace(desired, instances=instances, everywhere={})


def _before(
    apps: Collection[str], fleet: Fleet, placements: Mapping[str, Placement], busy: Collection[str]
) -> dict[str, dict[int, str]]:
    """By app, the node of each slot: where it is placed, or else where a container of it is. A container that runs counts more
    than a placement on a node where nothing of it is, as another mode may have left it."""
    found: dict[str, dict[int, str]] = {name: {} for name in apps}
    for name in sorted({*placements, *fleet.copies}):
        if (app := app_of(name)) in found:
            place = placements.get(name)
            known = place.node if place is not None and name in busy else _node_of(place, fleet.copies.get(name, ()), fleet)
            found[app][slot_of(name)] = known
    return found


def _node_of(place: Placement | None, copies: Sequence[Container], fleet: Fleet) -> str:
    best = max(copies, key=lambda copy: (copy.running, copy.generation, copy.name), default=None)
    if place is None or (best is not None and place.node not in fleet.nodes):
        return best.node if best is not None else ""
    there = fleet.views.get(place.node) is None or any(copy.node == place.node for copy in copies)
    return place.node if there or best is None or not best.running else best.node


def _ranks(copies: Sequence[Container]) -> dict[str, Rank]:
    """By node. What serves there comes first, and of several what has done so for longest. A loop without memory may have given
    a node another slot while a start was on its way: what is there is not removed for one that is still being started."""
    found: dict[str, Rank] = {}
    for copy in copies:
        rank = (0, copy.started) if copy.ready else IDLE
        found[copy.node] = min(rank, found.get(copy.node, LAST))
    return found


def _free(taken: Collection[int]) -> Iterator[int]:
    return (number for number in count(1) if number not in taken)
