"""Where an app goes. Pure: the nodes and the turn come in, an order of nodes comes out."""

from __future__ import annotations

from collections.abc import Sequence


def round_robin(nodes: Sequence[str], turn: int) -> tuple[str, ...]:
    """The nodes to try for request number `turn` (0, 1, …), the one whose turn it is first.

    The others follow in inventory order, so that a node that cannot serve is passed over by the next one.
    """
    if not nodes:
        return ()
    first = turn % len(nodes)
    return (*nodes[first:], *nodes[:first])
