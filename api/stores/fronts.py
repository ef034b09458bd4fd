"""What the fronts of a cluster in agents mode may send requests to, and what each says that it still has.

In memory alone: after a restart of the server each front tells it again, and until then counts as having everything.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from api.stores.nodes import READY, UNREACHABLE, NodeBook
from api.stores.placed import FRONT, PlacedIndex
from duckconf.front import Copy
from duckconf.front_seen import Beginning, FrontSeen, Served, seen_in
from duckconf.leaving import Where
from duckconf.overview import UNREACHABLE as SILENT
from duckconf.overview import AppView


class FrontBook:
    """For many threads. `edges` are the nodes that run a front."""

    def __init__(
        self, index: PlacedIndex, nodes: NodeBook, edges: Sequence[str] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.edges = edges
        self._index = index
        self._nodes = nodes
        self._clock = clock
        self._lock = threading.Lock()
        self._beginning = Beginning()
        self._first_heard: float | None = None
        self._known: Mapping[Where, Served] = {}
        self._seen = FrontSeen()
        self._mark: tuple[int, int, int] = (-1, -1, -1)
        self._has: dict[str, frozenset[Where]] = {}

    def seen(self) -> FrontSeen:
        """Each heartbeat asks: looked through again when something has changed, and once a second for nodes that fall silent."""
        with self._lock:
            mark = self._index.revision(FRONT), self._nodes.revision, int(self._clock())
            if mark != self._mark:
                seen = seen_in(list(self._views()), self._known)
                self._known = {**{where: one for where, one in self._known.items() if where in seen.there}, **seen.ready}
                self._seen, self._mark = seen, mark
            return self._seen

    def known(self) -> Sequence[Copy]:
        """All that has served and is there, also what leaves."""
        return [one.copy for one in self._known.values()]

    def is_complete(self, seen: FrontSeen) -> bool:
        """Whether everything was heard that may serve. Once it was, it stays so."""
        with self._lock:
            return self._beginning.is_over(seen, self._clock())

    def has_told(self, edge: str) -> bool:
        return edge in self._has

    def tell(self, edge: str, has: frozenset[Where]) -> None:
        """What the front says that it may send requests to, or waits for."""
        self._has[edge] = has

    def for_node(self, node: str) -> Mapping[str, object]:
        """The containers of the node that a front may send requests to, and whether the fronts are told of changes."""
        fronted = self.fronted(node)
        return {"front": fronted, "fronts_told": not fronted or self.is_complete(self.seen())}

    def fronted(self, node: str) -> list[str]:
        """The containers of a node that a front may send requests to. One whose node does not answer is not waited for."""
        edges = [edge for edge in self.edges if self._nodes.status(edge) == READY]
        if not edges or not self._index.routed:
            return []
        seen = self.seen()
        found = {(copy.node, copy.container) for copy in seen.served()}
        for edge in edges:
            # Before its front has told, also what nobody knows to be ready: whoever checks may have begun anew.
            found |= self._has.get(edge, self._known.keys() | set(seen.there))
        return sorted(container for where, container in found if where == node)

    def _views(self) -> Iterator[AppView]:
        """Of a node that was not heard since the server began, one that may be anything. It has its timeout from when the first
        node was heard: on the way into this mode the server begins long before the agents do."""
        now, heard = self._clock(), any(node.known for node in self._nodes.nodes.values())
        self._first_heard = self._first_heard if self._first_heard is not None or not heard else now
        may_come = self._first_heard is None or now < self._first_heard + self._nodes.timeout
        for name, node in self._nodes.nodes.items():
            status = self._nodes.status(name)
            if not node.known and may_come:
                yield AppView("", name, "", "", "yes", SILENT)
            for seen in node.containers if status != UNREACHABLE else ():
                if seen.app in self._index.routed:
                    state = seen.state if status == READY else SILENT
                    yield AppView(
                        seen.app, name, seen.container, seen.image, "yes", state, started=seen.started, ports=seen.ports,
                        slot=seen.slot, health=seen.health, ready=seen.ready and status == READY, leaving=seen.leaving,
                    )  # fmt: skip
