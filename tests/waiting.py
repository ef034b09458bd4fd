"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable

# In seconds. Other tests run on the same processors: who waits leaves them to those who have something to do.
SHORTEST_PAUSE = 0.02
LONGEST_PAUSE = 1.0
LOOKS_TO_REST = 6


def until(what: str, condition: Callable[[], bool], seconds: float = 20, seen: Callable[[], str] = str) -> None:
    """Return when the condition holds; fail with `what`, and with what was `seen` last, when it does not in time.

    It rests for some times as long as the last look took, so that looking does not slow down what is waited for: an engine that
    is looked at all the time by three tests has a processor for itself.
    """
    end = time.monotonic() + seconds
    while True:
        begun = time.monotonic()
        if condition():
            return
        now = time.monotonic()
        assert now < end, f"not within {seconds} s: {what} {seen()}"
        time.sleep(min(max(LOOKS_TO_REST * (now - begun), SHORTEST_PAUSE), LONGEST_PAUSE))
