"""When the components of the control plane asked for something last, by the name that they call themselves.

They hold a long poll open all the time: who has asked for nothing for longer than that is away.
"""

from __future__ import annotations

import time
from collections.abc import Callable

# Seconds: longer than a component's longest poll, and what it waits after a failure.
HEARD_WITHIN = 45.0
PREFIX = "duckconf/"


class Components:
    """For many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heard: dict[str, float] = {}

    def hear(self, agent: str) -> None:
        """A request has come from a program that calls itself so (its User-Agent)."""
        if agent.startswith(PREFIX):
            self._heard[agent.removeprefix(PREFIX)] = self._clock()

    def is_heard(self, name: str) -> bool:
        return self._clock() - self._heard.get(name, float("-inf")) < HEARD_WITHIN
