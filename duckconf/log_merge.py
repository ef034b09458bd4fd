"""Lines of many containers in the order of their times, without waiting long for a container that is silent. Pure.

A line is let through when each other container has said something later, has ended, or was silent for too long: a node
that froze delays the lines of the others by `first` seconds, and only once.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Hashable, Iterable

from duckconf.log_lines import Line


class Merge:
    """`first` is how long a source is waited for until it says something, `later` how long once it has; in seconds."""

    def __init__(self, first: float, later: float) -> None:
        self._first = first
        self._later = later
        self._held: dict[Hashable, deque[Line]] = {}
        self._heads: list[tuple[int, int, Hashable]] = []
        self._numbers = itertools.count()
        self._awaited: dict[Hashable, float] = {}

    def opens(self, source: Hashable, now: float) -> None:
        self._held.setdefault(source, deque())
        self._awaited[source] = now + self._first

    def add(self, source: Hashable, lines: Iterable[Line], now: float) -> None:
        held = self._held.setdefault(source, deque())
        was_empty = not held
        held.extend(lines)
        self._awaited[source] = now + self._later
        if was_empty and held:
            self._lead(source)

    def ends(self, source: Hashable) -> None:
        self._awaited.pop(source, None)

    def due(self, now: float) -> list[tuple[Hashable, Line]]:
        """What may be shown now, in order."""
        found: list[tuple[Hashable, Line]] = []
        while self._heads and self._wait_until() <= now:
            *_, source = heapq.heappop(self._heads)
            held = self._held[source]
            found.append((source, held.popleft()))
            if held:
                self._lead(source)
        return found

    def wait(self, now: float) -> float:
        """For how many seconds a line may still be held; infinite when none is."""
        return max(0.0, self._wait_until() - now) if self._heads else math.inf

    @property
    def is_empty(self) -> bool:
        return not self._heads

    def _lead(self, source: Hashable) -> None:
        heapq.heappush(self._heads, (self._held[source][0].time, next(self._numbers), source))

    def _wait_until(self) -> float:
        """Sources that have a line here are waited for no longer."""
        return max((until for source, until in self._awaited.items() if not self._held.get(source)), default=-math.inf)
