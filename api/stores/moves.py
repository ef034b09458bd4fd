"""Which instances the scheduler should move in agents mode although their node answers. Data and a stack keep one where it is.

Those on a node that their app's pattern does not mean, or where the others of their stack are not, move one at a time. Those
whose node refuses the revision that they should run move while their old container serves there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from api.stores.given import is_over
from api.stores.nodes import READY, NodeBook
from duckconf.instance import Instance
from duckconf.local_data import shown
from duckconf.place_kinds import GLOBAL
from duckconf.together import home_of, unit_of

if TYPE_CHECKING:
    from api.stores.placed import PlacedIndex


def due(index: PlacedIndex, nodes: NodeBook) -> list[Instance]:
    return [*_misplaced(index, nodes), *(one for one in _updated(index) if _is_refused(one, index, nodes))]


def _misplaced(index: PlacedIndex, nodes: NodeBook) -> list[Instance]:
    """The next one; none while the one before does not run at its new place, or where its node is not ready."""
    known = [index.instance(name) for name in sorted(index.misplaced)]
    every = index.every_instance()
    found = [*(one for one in known if one is not None and index.data.of(one) is None), *_strays(every, index, nodes)]
    if not found or any(_is_on_its_way(one, index) for one in every if one.app.on or unit_of(one.app)):
        return []
    return [one for one in found if one.node in nodes.nodes and nodes.status(one.node) == READY][:1]


def _strays(every: Iterable[Instance], index: PlacedIndex, nodes: NodeBook) -> list[Instance]:
    """Instances of a stack that are on another node than the one where all of it belong."""
    units: dict[str, list[Instance]] = {}
    for one in every:
        if one.node and unit_of(one.app) and not is_over(one):
            held = index.data.of(one)
            told = replace(one, bound=held.node, data=shown(held.sources)) if held is not None else one
            units.setdefault(unit_of(one.app), []).append(told)
    known = {name for name, node in nodes.nodes.items() if not node.cordoned and nodes.status(name) == READY} if units else set()
    return [
        one
        for unit in units.values()
        if (home := home_of(unit, {one.name: one.node for one in unit if one.node in known})) in known
        for one in sorted(unit, key=lambda one: one.name)
        if one.node != home and not one.data
    ]


def _is_on_its_way(instance: Instance, index: PlacedIndex) -> bool:
    copies = index.nodes_of(instance.name) - {instance.node}
    right = all(index.sites.allows(instance.app, node) for node in copies) and not (copies and unit_of(instance.app))
    if not instance.node or right:
        return False
    seen = index.seen(instance)
    return index.sites.allows(instance.app, instance.node) and (seen is None or not seen.running)


def _updated(index: PlacedIndex) -> list[Instance]:
    return [one for app in tuple(index.restless) for one in index.instances(app) if one.name not in index.misplaced]


def _is_refused(instance: Instance, index: PlacedIndex, nodes: NodeBook) -> bool:
    """Whether its node refuses what it should run. One that serves nowhere is unscheduled by the node-controller."""
    if instance.node not in nodes.nodes or not nodes.nodes[instance.node].refusals or nodes.status(instance.node) != READY:
        return False
    if instance.app.mode == GLOBAL or unit_of(instance.app) or index.data.of(instance) is not None:
        return False
    seen = index.seen(instance)
    old = seen is not None and seen.running and seen.spec != instance.spec
    return old and nodes.refusal(instance.node, instance.app) is not None
