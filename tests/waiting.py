"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable


def until(what: str, condition: Callable[[], bool], seconds: float = 20) -> None:
    """Return when the condition holds; fail with `what` when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        os.sched_yield()
