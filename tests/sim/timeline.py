"""The fake clock: what is to happen, in order. Nothing else makes time pass."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Timeline:
    """Events at their times; those of one moment in the order they were planned in."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._planned: list[tuple[float, int, Callable[[], object]]] = []
        self._number = 0

    def after(self, seconds: float, event: Callable[[], object]) -> None:
        self._number += 1
        heapq.heappush(self._planned, (self.now + seconds, self._number, event))

    def run(self, seconds: float, until: Callable[[], bool]) -> None:
        """Let this much time pass, or less when `until` becomes true."""
        end = self.now + seconds
        while not until():
            if not self._planned or self._planned[0][0] > end:
                self.now = end
                return
            self.now, _, event = heapq.heappop(self._planned)
            event()
