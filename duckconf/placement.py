"""Where an app goes. Pure: nodes, counts and turns come in, a node and a reason come out."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Union

from duckconf.codec import runs_as, spec_hash
from duckconf.engine_output import Container
from duckconf.facts import UNKNOWN, Facts
from duckconf.fit import misfit
from duckconf.model import App
from duckconf.ports import Port, conflict
from duckconf.refusal import Refusal, Refusals
from duckconf.spreading import FULL, host_ports, no_fit, round_robin, taken_port

# Containers that run or will do so by themselves.
ALIVE = frozenset({"running", "paused", "stopping", "removing", "restarting"})

Views = Mapping[str, Union[tuple[Container, ...], None]]
"""Node name to its containers; None when it did not answer, which is not the same as having none."""


@dataclass(frozen=True)
class Placement:
    """An app belongs on `node` in `container`. The higher generation is the newer decision."""

    node: str
    container: str
    generation: int


@dataclass(frozen=True)
class Fleet:
    """The nodes as placement sees them, in inventory order."""

    nodes: Sequence[str]
    views: Views
    lost: Collection[str] = ()
    cordoned: Collection[str] = ()
    draining: Collection[str] = ()
    """Nodes that are emptied: their apps move away one after the other."""
    refusals: Refusals = field(default_factory=dict)
    """Those that hold now."""
    facts: Mapping[str, Facts] = field(default_factory=dict)
    """What is known of the nodes; what is not known excludes nothing."""
    unreadable: Collection[str] = ()
    """Nodes whose answer cannot be read, or that are not asked as the inventory has it: without a view, and never lost."""

    @functools.cached_property
    def full(self) -> Collection[str]:
        """Nodes that had no space for an app a short while ago."""
        return {refusal.node for refusal in self.refusals.values() if refusal.of_node}

    def misfit(self, node: str, app: App) -> str:
        """What the node lacks for this app, by what is known of it; "" when nothing."""
        lacks = misfit(app, self.facts.get(node, UNKNOWN))
        return lacks.counted if lacks is not None else ""

    def refusal(self, node: str, app: App) -> Refusal | None:
        """Why the node's engine refuses this app as it is specified now."""
        found = self.refusals.get((node, app.name))
        same = found is not None and (found.spec, found.generation) == (spec_hash(app), app.generation)
        return found if same else None

    @functools.cached_property
    def copies(self) -> Mapping[str, Sequence[Container]]:
        """The containers seen of each app, in an order that does not depend on the engine's."""
        found: dict[str, list[Container]] = {}
        for node in self.nodes:
            for container in sorted(self.views.get(node) or (), key=lambda item: item.name):
                if container.app:
                    found.setdefault(container.app, []).append(container)
        return found


@dataclass(frozen=True)
class Assignment:
    """Placements for the apps that have one, and for those that could not get one the reason."""

    placements: Mapping[str, Placement]
    reasons: Mapping[str, str] = field(default_factory=dict)


def spread(
    app: App, fleet: Fleet, counts: Mapping[str, int], taken: Mapping[str, Collection[Port]], turn: int
) -> tuple[str, str]:
    """The node with the fewest apps, ties by turn, and ""; or "" and why no node fits.

    `taken` has the host ports that are given away on each node.
    """
    ports = host_ports(app)
    misfits: Counter[str] = Counter()
    refused: dict[str, str] = {}
    fit: list[str] = []
    for node in fleet.nodes:
        clash = taken_port(ports, taken.get(node, ()))
        refusal = fleet.refusal(node, app)
        lacks = fleet.misfit(node, app)
        if node in fleet.cordoned:
            misfits["cordoned"] += 1
        elif node in fleet.full:
            misfits[FULL] += 1
        elif fleet.views.get(node) is None:
            misfits["unreadable" if node in fleet.unreadable else "unreachable"] += 1
        elif refusal is not None:
            refused[node] = refusal.reason
        elif lacks:
            misfits[lacks] += 1
        elif clash:
            misfits[clash] += 1
        else:
            fit.append(node)
    if not fit:
        return "", no_fit(misfits, refused)
    fewest = min(counts.get(node, 0) for node in fit)
    return next(node for node in round_robin(fleet.nodes, turn) if node in fit and counts.get(node, 0) == fewest), ""


def assign(
    apps: Mapping[str, App],
    fleet: Fleet,
    placements: Mapping[str, Placement],
    base_name: Mapping[str, str],
    next_generation: int,
    *,
    certain: bool,
    busy: Collection[str] = (),
) -> Assignment:
    """A placement for every app: the one it has while that node is not lost, a copy that already runs, or a new one.
    From a node that is draining one app at a time moves: the next one when the new copy runs.

    `base_name` is the container name of each app's first placement. Without `certain` (our memory was lost), an app
    that is not seen may run on a node that is not heard yet, and waits.
    """
    kept = {name: placements[name] for name in apps if name in placements}
    counts = Counter(placement.node for placement in kept.values())
    taken: dict[str, list[Port]] = {}
    for name, placement in kept.items():
        taken.setdefault(placement.node, []).extend(host_ports(apps[name]))
    reasons: dict[str, str] = {}
    generation = next_generation
    moving = any(_on_its_way(name, place, fleet) for name, place in kept.items())
    for name in sorted(apps):
        app, current = apps[name], kept.get(name)
        if name in busy:
            continue
        chosen = _adopted(app, current, fleet, generation)
        at_home = current is not None and current.node in fleet.nodes and current.node not in fleet.lost
        leaves = at_home and not moving and _may_leave(kept[name], fleet)
        stays = at_home and not leaves
        refused = stays and _turned_away(kept[name], app, fleet)
        if chosen is None and stays and not (refused or _crowded_out(app, kept, apps, fleet)):
            chosen = _in_place(app, kept[name], fleet)
            if chosen is None:
                continue
        if chosen is None:
            waiting = [node for node in fleet.nodes if fleet.views.get(node) is None and node not in fleet.lost]
            if current is None and not certain and waiting:
                reasons[name] = f"not placed: it may run on {', '.join(waiting)}, which did not answer yet"
                continue
            node, reason = spread(app, fleet, counts, taken, generation)
            if not node:
                if refused and not any(copy.node == kept[name].node for copy in fleet.copies.get(name, ())):
                    # Nothing of it is anywhere: it waits without a place until a node takes it.
                    counts[kept.pop(name).node] -= 1
                    reasons[name] = reason
                elif not stays:
                    reasons[name] = f"cannot leave {kept[name].node}: {reason}" if leaves else reason
                continue
            moving = moving or leaves
            container = base_name[name] if current is None else f"{base_name[name]}.{generation}"
            # A stale copy on that node, which may hold the app's port, is replaced.
            there = [copy.name for copy in fleet.copies.get(name, ()) if copy.node == node]
            chosen = Placement(node, there[0] if there else container, generation)
        if current is not None:
            counts[current.node] -= 1
        kept[name] = chosen
        counts[chosen.node] += 1
        taken.setdefault(chosen.node, []).extend(host_ports(app))
        generation = max(generation, chosen.generation) + 1
    return Assignment(kept, reasons)


def _adopted(app: App, current: Placement | None, fleet: Fleet, generation: int) -> Placement | None:
    """A copy that runs is better than one that must be started: it becomes the placement, unless the placed one runs
    too or may run on a node that is only silent for now."""
    if (
        current is not None
        and current.node in fleet.nodes
        and fleet.views.get(current.node) is None
        and current.node not in fleet.lost
    ):
        return None
    # What runs on a draining node is remembered there before it is moved: a placement that is not known is none.
    copies = [copy for copy in fleet.copies.get(app.name, ()) if current is None or copy.node not in fleet.draining]
    if current is not None and any(
        copy.node == current.node and copy.name == current.container and copy.running for copy in copies
    ):
        return None
    right = {copy.name for copy in copies if copy.running and runs_as(app, copy.spec, copy.manifest)}
    ranked = sorted(copies, key=lambda copy: (copy.name in right, copy.running, copy.generation, copy.name))
    if not ranked or (current is not None and ranked[-1].name not in right):
        return None
    best = ranked[-1]
    return Placement(best.node, best.name, max(generation, best.generation))


def _may_leave(place: Placement, fleet: Fleet) -> bool:
    """A silent node's apps count as running there, also while it drains."""
    return place.node in fleet.draining and fleet.views.get(place.node) is not None


def _on_its_way(name: str, place: Placement, fleet: Fleet) -> bool:
    """Whether the app has left a draining node and does not run at its new place yet."""
    return (
        place.node not in fleet.draining
        and any(copy.node in fleet.draining for copy in fleet.copies.get(name, ()))
        and not _runs(name, place, fleet)
    )


def _in_place(app: App, current: Placement, fleet: Fleet) -> Placement | None:
    """Over the copy that the node has under another name, when there is none under the placed one: it may hold the
    port that the app wants, and would go only once the placed one runs."""
    there = [copy.name for copy in fleet.copies.get(app.name, ()) if copy.node == current.node]
    if not app.ports or not there or current.container in there:
        return None
    return Placement(current.node, there[0], current.generation)


def _crowded_out(app: App, kept: Mapping[str, Placement], apps: Mapping[str, App], fleet: Fleet) -> bool:
    """Whether the app does not run because another one that runs on its node has a port that it wants."""
    wanted, node = host_ports(app), kept[app.name].node
    return (
        bool(wanted)
        and not _runs(app.name, kept[app.name], fleet)
        and any(
            place.node == node and other != app.name and _runs(other, place, fleet) and conflict(wanted, host_ports(apps[other]))
            for other, place in kept.items()
        )
    )


def _turned_away(place: Placement, app: App, fleet: Fleet) -> bool:
    """Whether the app's node refuses it. What runs there stays, and one that has a copy there has found its space."""
    if fleet.views.get(place.node) is None:
        return False
    there = [copy for copy in fleet.copies.get(app.name, ()) if copy.node == place.node]
    refuses = fleet.refusal(place.node, app) is not None and not any(copy.state in ALIVE for copy in there)
    return refuses or (place.node in fleet.full and not there)


def _runs(name: str, place: Placement, fleet: Fleet) -> bool:
    return any((copy.node, copy.name, copy.running) == (place.node, place.container, True) for copy in fleet.copies.get(name, ()))


def as_found(copies: Sequence[Container], generation: int) -> Placement:
    """The placement of an app of which nothing is known but its copies: the one that runs, and of these the newest."""
    best = max(copies, key=lambda copy: (copy.running, copy.generation, copy.name))
    return Placement(best.node, best.name, max(generation, best.generation))
