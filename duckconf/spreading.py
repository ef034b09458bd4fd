"""Filters and counts that choose a node for an app, and the words for why none fits. Pure."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, groupby
from types import MappingProxyType

from duckconf.codec import spec_hash
from duckconf.facts import UNKNOWN, Facts
from duckconf.fit import misfit, shortage
from duckconf.instance import Instance
from duckconf.model import App
from duckconf.patterns import some_of
from duckconf.ports import Port, conflict, parse_port
from duckconf.refusal import Refusal
from duckconf.sites import NOWHERE, Sites
from duckconf.sizes import size_in_bytes

# Of a node that had no space for an app a short while ago, in the sentence of `no_fit`.
FULL = "with no space left on its disk"


def round_robin(nodes: Sequence[str], turn: int) -> tuple[str, ...]:
    """The nodes to try for request number `turn` (0, 1, …), the one whose turn it is first.

    The others follow in inventory order, so that a node that cannot serve is passed over by the next one.
    """
    if not nodes:
        return ()
    first = turn % len(nodes)
    return (*nodes[first:], *nodes[:first])


@dataclass
class Given:
    """What the instances on a node have been given of it: host ports, and cores and bytes of memory that are reserved."""

    ports: list[Port] = field(default_factory=list)
    cpus: float = 0.0
    memory: int = 0

    def add(self, app: App) -> None:
        self.cpus += app.reserve_cpus
        self.memory += size_in_bytes(app.reserve_memory)
        if app.ports:
            self.ports += host_ports(app)

    def take_back(self, app: App) -> None:
        """The app is no longer there."""
        self.cpus -= app.reserve_cpus
        self.memory -= size_in_bytes(app.reserve_memory)
        for port in host_ports(app) if app.ports else ():
            given = next((other for other in self.ports if other.on_node == port.on_node), None)
            if given is not None:
                self.ports.remove(given)


@dataclass(frozen=True)
class Room:
    """A node that new instances may go to: how many it has, what is given away of it, and which apps it refuses."""

    node: str
    instances: int
    given: Given = field(default_factory=Given)
    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    facts: Facts = UNKNOWN

    def refuses(self, app: App) -> str:
        """The reason, "" when it does not."""
        found = self.refusals.get(app.name)
        return found.reason if found is not None and found.spec == spec_hash(app) else ""


def lacks(app: App, node: str, facts: Facts, given: Given, siblings: int, sites: Sites) -> str:
    """Why one more instance of the app, of which the node has `siblings`, does not fit there, in the sentence of `no_fit`; ""
    when it does."""
    if not sites.allows(app, node):
        return f"not in {app.on}"
    if app.max_per_node and siblings >= app.max_per_node:
        return f"with {app.max_per_node} of it already"
    small = misfit(app, facts) or shortage(app, facts, given.cpus, given.memory)
    if small is not None:
        return small.counted
    return taken_port(host_ports(app), given.ports) if app.ports else ""


def spread_many(
    instances: Sequence[Instance],
    rooms: Sequence[Room],
    misfits: Mapping[str, int],
    turn: int,
    siblings: Mapping[str, Iterable[str]] = MappingProxyType({}),
    sites: Sites = NOWHERE,
    needs: Mapping[str, App] = MappingProxyType({}),
) -> tuple[dict[str, str], dict[str, str]]:
    """A node for each instance, as `spread` would choose one after the other; for those that fit nowhere the reason.

    `misfits` counts the nodes that are left out, by why; `siblings` are the nodes that the app of an instance has already,
    once for each time. `needs` has for an app what it wants of a node with others that go with it. The cost per instance grows
    with the logarithm of the nodes.
    """
    first = turn % len(rooms) if rooms else 0
    heaps: dict[str, list[Entry]] = {}
    for position, room in enumerate(rooms):
        entry = (room.instances, (position - first) % len(rooms), room.node)
        heaps.setdefault(sites.zone(room.node), []).append(entry)
    for heap in heaps.values():
        heapq.heapify(heap)
    unseen = [_head(zone, heap) for zone, heap in heaps.items()]
    heapq.heapify(unseen)
    by_name = {room.node: room for room in rooms}
    given = {room.node: replace(room.given, ports=list(room.given.ports)) for room in rooms}
    placed: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for app, group in groupby(instances, key=lambda instance: instance.app):
        judge = _Judge(app, by_name, given, Counter(siblings.get(app.name, ())), sites, needs.get(app.name, app))
        search = _Search(heaps, unseen, judge)
        for instance in group:
            node = search.next()
            if node:
                placed[instance.name] = node
            else:
                reasons[instance.name] = no_fit({**misfits, **Counter(judge.misfits.values())}, judge.refused)
        search.close()
    return placed, reasons


Entry = tuple[int, int, str]
"""Instances on a node, its turn, its name."""
Head = tuple[int, int, str]
"""Of the best node of a zone the instances and the turn, and the zone's name."""


class _Judge:
    """Which nodes one more instance of an app fits on, as the instances before have left them."""

    def __init__(
        self,
        app: App,
        rooms: Mapping[str, Room],
        given: Mapping[str, Given],
        siblings: Counter[str],
        sites: Sites,
        needs: App,
    ) -> None:
        self._needs = needs
        self._app = app
        self._rooms = rooms
        self._given = given
        self._sites = sites
        self.siblings = siblings
        self.in_zone = Counter(sites.zone(node) for node in siblings.elements())
        self.misfits: dict[str, str] = {}
        self.refused: dict[str, str] = {}

    def fits(self, node: str) -> bool:
        room = self._rooms[node]
        refusal = room.refuses(self._app)
        why = "" if refusal else lacks(self._needs, node, room.facts, self._given[node], self.siblings[node], self._sites)
        if refusal:
            self.refused[node] = refusal
        elif why:
            self.misfits[node] = why
        return not (refusal or why)

    def take(self, node: str, zone: str) -> None:
        self.siblings[node] += 1
        self.in_zone[zone] += 1
        self._given[node].add(self._app)


class _Search:
    """Nodes for the instances of one app: first the zone with the fewest of them. Zones of which one has the best node by
    what is known so far are looked into; the others are not."""

    def __init__(self, heaps: Mapping[str, list[Entry]], unseen: list[Head], judge: _Judge) -> None:
        """`unseen` are all zones by their best node, as a heap; those that the app takes out of it come back at the end."""
        self._heaps = heaps
        self._judge = judge
        self._unseen = unseen
        self._open: dict[str, _Zone] = {}
        # No node of the zone is better than this.
        self._bounds: list[tuple[int, int, int, int, str]] = []

    def next(self) -> str:
        """The node for one more instance, "" when none fits."""
        while self._look_at_best():
            bound = self._bounds[0]
            name = bound[-1]
            zone, already = self._open[name], self._judge.in_zone[name]
            best = zone.best()
            if best is None:
                heapq.heappop(self._bounds)
            elif (already, *best, name) > bound:
                heapq.heapreplace(self._bounds, (already, *best, name))
            else:
                node = zone.take()
                self._judge.take(node, name)
                heapq.heapreplace(self._bounds, (already + 1, 0, 0, 0, name))
                return node
        return ""

    def _look_at_best(self) -> bool:
        """Have the best bound of all at the front; false when no zone is left."""
        while self._unseen and (not self._bounds or (0, 0, *self._unseen[0]) < self._bounds[0]):
            count, turn, name = heapq.heappop(self._unseen)
            self._open[name] = _Zone(self._heaps[name], self._judge)
            heapq.heappush(self._bounds, (self._judge.in_zone[name], 0, count, turn, name))
        return bool(self._bounds)

    def close(self) -> None:
        """Leave the heaps for the next app."""
        for name, zone in self._open.items():
            zone.close()
            heapq.heappush(self._unseen, _head(name, self._heaps[name]))


def _head(zone: str, heap: Sequence[Entry]) -> Head:
    return (*heap[0][:2], zone)


class _Zone:
    """The nodes of one zone: those with the fewest siblings first, of these the one with the fewest instances.

    A node that was looked at is not looked at again before all others have as many siblings: with n instances, about n
    entries leave the heap.
    """

    def __init__(self, heap: list[Entry], judge: _Judge) -> None:
        self._all = heap
        self._heap = heap
        self._judge = judge
        self._level = 0
        self._later: dict[int, list[Entry]] = {}
        self._unfit: list[Entry] = []
        self._known = False

    def best(self) -> tuple[int, int, int] | None:
        """Siblings, instances and turn of the best node."""
        while self._heap or self._later:
            if not self._heap:
                self._level = min(self._later)
                self._heap = self._later.pop(self._level)
                heapq.heapify(self._heap)
            count, order, node = self._heap[0]
            if self._known or self._is_best(node):
                self._known = True
                return self._level, count, order
        return None

    def _is_best(self, node: str) -> bool:
        siblings = self._judge.siblings[node]
        if siblings > self._level:
            self._later.setdefault(siblings, []).append(heapq.heappop(self._heap))
            return False
        if not self._judge.fits(node):
            self._unfit.append(heapq.heappop(self._heap))
            return False
        return True

    def take(self) -> str:
        """The node that `best` means has one instance more from now on."""
        count, order, node = heapq.heappop(self._heap)
        self._later.setdefault(self._level + 1, []).append((count + 1, order, node))
        self._known = False
        return node

    def close(self) -> None:
        left = self._heap if self._heap is not self._all else []
        for entry in (*left, *chain.from_iterable(self._later.values()), *self._unfit):
            heapq.heappush(self._all, entry)


def no_fit(misfits: Mapping[str, int], refused: Mapping[str, str] = MappingProxyType({})) -> str:
    """Why no node fits: in numbers, and for nodes that refused the app by name and reason."""
    counted = ", ".join(f"{count} {why}" for why, count in sorted(misfits.items()) if count)
    by_reason: dict[str, list[str]] = {}
    for node, reason in refused.items():
        by_reason.setdefault(reason, []).append(node)
    named = [f"{some_of(sorted(nodes))}: {reason}" for reason, nodes in sorted(by_reason.items())]
    return "no node fits: " + ("; ".join([*([counted] if counted else []), *named]) or "there are none")


def bound_unfit(node: str, misfits: Iterable[str], refused: Mapping[str, str]) -> str:
    """Why the only node that an instance may run on does not fit, by the counts that `no_fit` takes."""
    reason = refused.get(node)
    return f"{node} does not fit: {f'it refuses it: {reason}' if reason else ', '.join(sorted(misfits))}"


def host_ports(app: App) -> tuple[Port, ...]:
    """The ports of the node that an app wants, without those that the engine chooses."""
    return tuple(port for port in map(parse_port, app.ports) if port.host is not None)


def taken_port(wanted: Sequence[Port], taken: Collection[Port]) -> str:
    """The first one that is given away on a node, in the sentence of `no_fit`; "" when all are free."""
    clash = conflict(wanted, taken) if wanted and taken else None
    return f"with port {clash.on_node} taken" if clash is not None else ""
