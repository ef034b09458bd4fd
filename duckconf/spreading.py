"""Filters and counts that choose a node for an app, and the words for why none fits. Pure."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from types import MappingProxyType

from duckconf.codec import spec_hash
from duckconf.facts import UNKNOWN, Facts
from duckconf.fit import misfit
from duckconf.instance import Instance
from duckconf.model import App
from duckconf.patterns import some_of
from duckconf.ports import Port, conflict, parse_port
from duckconf.refusal import Refusal

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


@dataclass(frozen=True)
class Room:
    """A node that new instances may go to: how many it has, which host ports are given away, and which apps it refuses."""

    node: str
    instances: int
    ports: Collection[Port] = ()
    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    facts: Facts = UNKNOWN

    def refuses(self, app: App) -> str:
        """The reason, "" when it does not."""
        found = self.refusals.get(app.name)
        return found.reason if found is not None and found.spec == spec_hash(app) else ""

    def misfit(self, app: App) -> str:
        lacks = misfit(app, self.facts)
        return lacks.counted if lacks is not None else ""


def spread_many(
    instances: Sequence[Instance],
    rooms: Sequence[Room],
    misfits: Mapping[str, int],
    turn: int,
    siblings: Mapping[str, Iterable[str]] = MappingProxyType({}),
) -> tuple[dict[str, str], dict[str, str]]:
    """A node for each instance, as `spread` would choose one after the other; for those that fit nowhere the reason.

    `misfits` counts the nodes that are left out, by why; `siblings` are the nodes that the app of an instance has already,
    once for each time. The cost per instance grows with the logarithm of the nodes.
    """
    first = turn % len(rooms) if rooms else 0
    heap = [(room.instances, (position - first) % len(rooms), room.node) for position, room in enumerate(rooms)]
    heapq.heapify(heap)
    by_name = {room.node: room for room in rooms}
    taken = {room.node: list(room.ports) for room in rooms}
    placed: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for app, group in groupby(instances, key=lambda instance: instance.app):
        search = _Search(app, heap, by_name, taken, Counter(siblings.get(app.name, ())))
        for instance in group:
            node = search.next()
            if node:
                placed[instance.name] = node
            else:
                reasons[instance.name] = no_fit({**misfits, **Counter(search.misfits.values())}, search.refused)
        heap = search.rest()
    return placed, reasons


Entry = tuple[int, int, str]
"""Instances on a node, its turn, its name."""


class _Search:
    """Nodes for the instances of one app: those with the fewest siblings first, of these the one with the fewest instances.

    A node that was looked at is not looked at again before all others have as many siblings: with n instances, about n
    entries leave the heap.
    """

    def __init__(
        self, app: App, heap: list[Entry], rooms: Mapping[str, Room], taken: dict[str, list[Port]], siblings: Counter[str]
    ) -> None:
        self._app = app
        self._heap = heap
        self._rooms = rooms
        self._taken = taken
        self._siblings = siblings
        self._ports = host_ports(app)
        self._level = 0
        self._later: dict[int, list[Entry]] = {}
        self._unfit: list[Entry] = []
        self.misfits: dict[str, str] = {}
        self.refused: dict[str, str] = {}

    def next(self) -> str:
        """The node for one more instance, "" when none fits."""
        while self._heap or self._later:
            if not self._heap:
                self._level = min(self._later)
                self._heap = self._later.pop(self._level)
                heapq.heapify(self._heap)
            count, order, node = heapq.heappop(self._heap)
            if self._siblings[node] > self._level:
                self._later.setdefault(self._siblings[node], []).append((count, order, node))
            elif self._fits(node):
                self._siblings[node] += 1
                self._taken[node] += self._ports
                self._later.setdefault(self._siblings[node], []).append((count + 1, order, node))
                return node
            else:
                self._unfit.append((count, order, node))
        return ""

    def rest(self) -> list[Entry]:
        """The heap for the next app."""
        for entry in (*chain.from_iterable(self._later.values()), *self._unfit):
            heapq.heappush(self._heap, entry)
        return self._heap

    def _fits(self, node: str) -> bool:
        room = self._rooms[node]
        refusal = room.refuses(self._app)
        why = "" if refusal else room.misfit(self._app) or taken_port(self._ports, self._taken[node])
        if refusal:
            self.refused[node] = refusal
        elif why:
            self.misfits[node] = why
        return not (refusal or why)


def no_fit(misfits: Mapping[str, int], refused: Mapping[str, str] = MappingProxyType({})) -> str:
    """Why no node fits: in numbers, and for nodes that refused the app by name and reason."""
    counted = ", ".join(f"{count} {why}" for why, count in sorted(misfits.items()) if count)
    by_reason: dict[str, list[str]] = {}
    for node, reason in refused.items():
        by_reason.setdefault(reason, []).append(node)
    named = [f"{some_of(sorted(nodes))}: {reason}" for reason, nodes in sorted(by_reason.items())]
    return "no node fits: " + ("; ".join([*([counted] if counted else []), *named]) or "there are none")


def host_ports(app: App) -> tuple[Port, ...]:
    """The ports of the node that an app wants, without those that the engine chooses."""
    return tuple(port for port in map(parse_port, app.ports) if port.host is not None)


def taken_port(wanted: Sequence[Port], taken: Collection[Port]) -> str:
    """The first one that is given away on a node, in the sentence of `no_fit`; "" when all are free."""
    clash = conflict(wanted, taken) if wanted and taken else None
    return f"with port {clash.on_node} taken" if clash is not None else ""
