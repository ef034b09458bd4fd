"""Decides which unreachable nodes are lost. Pure: the nodes that answered and the time are arguments.

The apps of a lost node are rescheduled. That would be wrong if the network of the control plane failed, and not the nodes.
Therefore no node is marked as lost while all nodes are unreachable at the same time. In clusters of five or more nodes, more
than half of them are enough. During that time no timeout runs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

BRAKE_FROM = 5


@dataclass(frozen=True)
class Health:
    """`heard` is when each node last answered, in seconds of the caller's clock; `lost` have exceeded the timeout."""

    heard: Mapping[str, float] = field(default_factory=dict)
    lost: frozenset[str] = frozenset()
    braked: bool = False

    def silent_for(self, node: str, now: float) -> float:
        return now - self.heard.get(node, now)


def judge(health: Health, nodes: Collection[str], answered: Mapping[str, float], now: float, timeout: float) -> Health:
    """The verdict after a look at all `nodes`. `answered` is when each node that did answer was asked.

    A node that never answered gets a full `timeout` (seconds) from now on, as after a restart of ours.
    """
    heard = {node: health.heard.get(node, answered.get(node, now)) for node in nodes}
    for node in heard.keys() & answered.keys():
        # A late answer to an old question does not take back the time that a common silence was forgiven for, and one
        # from a lost node brings it back for a full timeout.
        heard[node] = now if node in health.lost else max(heard[node], answered[node])
    lost = frozenset(node for node in health.lost if node in heard and node not in answered)
    silent = [node for node in nodes if node not in answered and node not in lost]
    everyone = len(silent) + len(lost) == len(nodes)
    braked = bool(silent) and (everyone or (len(nodes) >= BRAKE_FROM and 2 * len(silent) > len(nodes)))
    if braked or health.braked:
        # Not one second of a common silence counts against a single node.
        heard.update(dict.fromkeys(silent, now))
        return Health(heard, lost, braked)
    return Health(heard, lost | {node for node in silent if now - heard[node] >= timeout}, braked)


def next_verdict(health: Health, answered: Collection[str], now: float, timeout: float) -> float | None:
    """Seconds until a node that is silent now may be marked as lost, None when no node is silent."""
    waits = [timeout - health.silent_for(node, now) for node in health.heard if node not in answered and node not in health.lost]
    return max(0.0, min(waits)) if waits and not health.braked else None
