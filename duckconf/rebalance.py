"""Which instances move, so that the nodes run about as many: a decision, one move after the other. Pure.

A move takes an instance from the fullest node to the emptiest that may have it. The two differ by two or more, and the app is
spread no worse afterwards. Each move lessens the sum of the squares of the counts, so that the moves end; where nothing forbids
one, their number is the least that there is.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from duckconf.instance import Instance
from duckconf.local_data import sources_of
from duckconf.model import App
from duckconf.place_kinds import GLOBAL
from duckconf.restart import ALWAYS, policy_of
from duckconf.rollout import starts_first
from duckconf.sites import NOWHERE, Sites
from duckconf.spreading import Room, lacks
from duckconf.together import unit_of

# Nodes that differ by less are level.
UNEVEN = 2


@dataclass(frozen=True)
class Move:
    """An instance, with the node that it has now, goes to `target`. `counts` are the instances of the two nodes before."""

    instance: Instance
    target: str
    counts: tuple[int, int]

    @property
    def name(self) -> str:
        return self.instance.name

    @property
    def source(self) -> str:
        return self.instance.node

    @property
    def starts_first(self) -> bool:
        """Whether the new copy is ready before the old one ends, as in an update of the app."""
        return starts_first(self.instance.app)

    @property
    def reason(self) -> str:
        return f"{self.source} runs {self.counts[0]}, {self.target} runs {self.counts[1]}"


def why_bound(app: App) -> str:
    """Why its instances do not move, "" when they may."""
    if policy_of(app).condition != ALWAYS:
        return "it is a job"
    if app.mode == GLOBAL:
        return "each node has one"
    if unit_of(app):
        return "its stack runs on one node"
    return "its data is on the node" if sources_of(app) else ""


def moves(
    instances: Iterable[Instance], rooms: Sequence[Room], sites: Sites = NOWHERE, stay: Collection[str] = ()
) -> Iterator[Move]:
    """`instances` are all that have a place; those named in `stay` do not move now. `rooms` are the nodes that may get one,
    in the order of the inventory; from other nodes nothing moves."""
    balance = _Balance(instances, rooms, sites, stay)
    while (move := balance.next()) is not None:
        yield move


Kind = tuple[object, ...]


class _Balance:
    """The nodes and what they have, as the moves so far leave them."""

    def __init__(self, instances: Iterable[Instance], rooms: Sequence[Room], sites: Sites, stay: Collection[str]) -> None:
        self._sites = sites
        self._rooms = {room.node: room for room in rooms}
        self._position = {room.node: position for position, room in enumerate(rooms)}
        self._given = {room.node: replace(room.given, ports=list(room.given.ports)) for room in rooms}
        self._counts = {room.node: room.instances for room in rooms}
        self._order = sorted((room.instances, position, room.node) for position, room in enumerate(rooms))
        self._refused = {app for room in rooms for app in room.refusals}
        self._movable: dict[str, dict[Kind, deque[Instance]]] = {room.node: {} for room in rooms}
        self._siblings: dict[str, Counter[str]] = {}
        self._in_zone: dict[str, Counter[str]] = {}
        self._stuck: set[str] = set()
        self._nowhere: dict[tuple[Kind, str, int], int] = {}
        self._moved = False
        for one in sorted(instances, key=lambda instance: (not starts_first(instance.app), instance.app.name, instance.slot)):
            self._count(one.app, one.node, 1)
            if one.node in self._rooms and one.name not in stay and not why_bound(one.app):
                self._movable[one.node].setdefault(self._kind(one.app), deque()).append(one)

    def next(self) -> Move | None:
        """What stood in the way of a move may be gone when another one is made: then it is tried once more."""
        while self._order:
            for count, _, source in reversed(self._order):
                if count - self._order[0][0] < UNEVEN:
                    break
                if source not in self._stuck:
                    move = self._from(source)
                    if move is not None:
                        self._make(move)
                        return move
                    self._stuck.add(source)
            if not self._moved:
                break
            self._moved = False
            self._stuck.clear()
            self._nowhere.clear()
        return None

    def _from(self, source: str) -> Move | None:
        """The best move away: to the emptiest node, of these the one that spreads its app best, and interrupts nothing."""
        found = []
        for kind, instances in self._movable[source].items():
            app = instances[0].app
            target = self._target(app, kind, source)
            if target:
                zones, nodes = self._gain(app, source, target)
                order = (self._counts[target], self._position[target], -zones, -nodes, not starts_first(app), app.name)
                found.append((order, instances[0], target))
        if not found:
            return None
        _, instance, target = min(found, key=lambda item: item[0])
        return Move(instance, target, (self._counts[source], self._counts[target]))

    def _target(self, app: App, kind: Kind, source: str) -> str:
        """The emptiest node for it, "" for none. What was tried from a node is not tried again from one like it."""
        here, like = self._counts[source], (kind, self._sites.zone(source), self._has(app, source))
        if here <= self._nowhere.get(like, 0):
            return ""
        for count, _, node in self._order:
            if here - count < UNEVEN:
                break
            if self._fits(app, source, node):
                return node
        self._nowhere[like] = here
        return ""

    def _kind(self, app: App) -> Kind:
        """Apps of one kind fit on the same nodes."""
        own = app.name if app.replicas > 1 or app.name in self._refused else ""
        return (own, app.on, app.ports, app.max_per_node, app.cpus, app.memory, app.reserve_cpus, app.reserve_memory)

    def _fits(self, app: App, source: str, node: str) -> bool:
        room = self._rooms[node]
        if not self._sites.allows(app, node) or min(self._gain(app, source, node)) < 0 or room.refuses(app):
            return False
        return not lacks(app, node, room.facts, self._given[node], self._has(app, node), self._sites)

    def _gain(self, app: App, source: str, target: str) -> tuple[int, int]:
        """By how much the app is spread better over zones and over nodes; below 0 for worse. Zones come first."""
        if app.replicas == 1:
            return 0, 0
        one, other = self._sites.zone(source), self._sites.zone(target)
        zones = self._in_zone[app.name]
        over_zones = 0 if one == other else zones[one] - zones[other] - 1
        over_nodes = self._has(app, source) - self._has(app, target) - 1
        return over_zones, over_nodes if over_zones <= 0 else max(0, over_nodes)

    def _has(self, app: App, node: str) -> int:
        return self._siblings[app.name][node] if app.replicas > 1 else 0

    def _make(self, move: Move) -> None:
        app, source, target = move.instance.app, move.source, move.target
        self._moved = True
        kind = self._kind(app)
        left = self._movable[source][kind]
        left.popleft()
        if not left:
            del self._movable[source][kind]
        for node, by in ((source, -1), (target, 1)):
            del self._order[bisect_left(self._order, (self._counts[node], self._position[node], node))]
            self._counts[node] += by
            insort(self._order, (self._counts[node], self._position[node], node))
            self._count(app, node, by)
        self._given[source].take_back(app)
        self._given[target].add(app)

    def _count(self, app: App, node: str, by: int) -> None:
        if app.replicas > 1:
            self._siblings.setdefault(app.name, Counter())[node] += by
            self._in_zone.setdefault(app.name, Counter())[self._sites.zone(node)] += by
