"""Filters and counts that choose a node for an app, and the words for why none fits. Pure."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from duckconf.codec import spec_hash
from duckconf.facts import UNKNOWN, Facts
from duckconf.fit import misfit
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
    """A node that new apps may go to: how many it has, which host ports are given away, and which apps it refuses."""

    node: str
    apps: int
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
    apps: Sequence[App], rooms: Sequence[Room], misfits: Mapping[str, int], turn: int
) -> tuple[dict[str, str], dict[str, str]]:
    """A node for each app, as `spread` would choose one after the other; for those that fit nowhere the reason.

    `misfits` counts the nodes that are left out, by why. The cost per app grows with the logarithm of the nodes.
    """
    taken = {room.node: list(room.ports) for room in rooms}
    by_name = {room.node: room for room in rooms}
    first = turn % len(rooms) if rooms else 0
    heap = [(room.apps, (position - first) % len(rooms), room.node) for position, room in enumerate(rooms)]
    heapq.heapify(heap)
    placed: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for app in apps:
        ports = host_ports(app)
        passed_over = []
        clashes: Counter[str] = Counter()
        refused: dict[str, str] = {}
        while heap:
            top = heap[0][2]
            refusal, lacks = by_name[top].refuses(app), by_name[top].misfit(app)
            if refusal:
                refused[top] = refusal
            elif lacks:
                clashes[lacks] += 1
            elif clash := taken_port(ports, taken[top]):
                clashes[clash] += 1
            else:
                break
            passed_over.append(heapq.heappop(heap))
        if heap:
            count, order, node = heap[0]
            heapq.heapreplace(heap, (count + 1, order, node))
            taken[node] += ports
            placed[app.name] = node
        else:
            reasons[app.name] = no_fit({**misfits, **clashes}, refused)
        for item in passed_over:
            heapq.heappush(heap, item)
    return placed, reasons


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
