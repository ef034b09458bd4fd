"""How often the loop may try the same thing: what is refused or does not live is tried again with pauses."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Union

from duckconf.actions import Remove
from duckconf.errors import DuckconfError, NodeFailure, NodeRefused, NotFound
from duckconf.plan import Step

# The same action, tried this often, should have taken longer than this (seconds).
AT_ONCE = 6
A_WHILE = 4.5
A_MINUTE = 60.0
# Tries of one instance in a minute.
MOST = 8


@dataclass
class Pace:
    """Of one process of the loop. `require` raises when the first does not hold, with the second."""

    require: Callable[[bool, str], None]
    refused: set[tuple[str, str]] = field(default_factory=set)
    """Nodes and apps of which the last start there was refused, by whichever process."""
    _counted: dict[str, tuple[str, deque[float]]] = field(default_factory=dict)
    _refused: dict[tuple[str, str, str], deque[float]] = field(default_factory=dict)
    _issued: dict[str, deque[float]] = field(default_factory=dict)

    def forget(self, is_withdrawn: Callable[[str], bool]) -> None:
        self._counted = {name: times for name, times in self._counted.items() if not is_withdrawn(name)}

    def ended(self, step: Step, spec: str, failure: Union[DuckconfError, None], now: float) -> None:
        if failure is None:
            self.refused.discard((step.action.node, step.app))
        if isinstance(failure, NodeRefused):
            self.refused.add((step.action.node, step.app))
            self._refused.setdefault((step.action.node, step.instance, spec), deque(maxlen=20)).append(now)
        if not isinstance(step.action, Remove) and not isinstance(failure, (NodeFailure, NotFound)):
            known, times = self._counted.get(step.instance, ("", deque()))
            times = times if known == spec else deque()
            times.append(now)
            self._counted[step.instance] = (spec, times)

    def issued(self, step: Step, spec: str, siblings: int, now: float) -> None:
        """`siblings` is how many instances the app has: what one of them could start on a node is tried there again."""
        action = step.action
        if not isinstance(action, Remove):
            recent = _recent(self._refused.get((action.node, step.instance, spec), deque()), now)
            self.require(recent <= MOST * max(1, siblings), f"{action}, which was refused there {recent} times in a minute")
            known, times = self._counted.get(step.instance, ("", deque()))
            recent = _recent(times, now)
            self.require(known != spec or recent <= MOST, f"{action} for the {recent}th time in a minute")
        times = self._issued.setdefault(f"{action} {getattr(action, 'container', '')}", deque(maxlen=AT_ONCE))
        times.append(now)
        self.require(len(times) < AT_ONCE or now - times[0] > A_WHILE, f"{action} {AT_ONCE} times in {now - times[0]:.1f} s")


def _recent(times: deque[float], now: float) -> int:
    return sum(now - time < A_MINUTE for time in times)
