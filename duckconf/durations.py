"""Durations as the Compose Spec writes them: `1m30s`, `500ms`, `1.5h`. Pure."""

from __future__ import annotations

import functools
import re

DURATION = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,9})?(?:us|ms|s|m|h))+|0")
PART = re.compile(r"([0-9.]+)(us|ms|s|m|h)")
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@functools.lru_cache(maxsize=1024)
def seconds_in(text: str) -> float:
    """Raises ValueError with what would be right."""
    if not DURATION.fullmatch(text):
        raise ValueError("should be a duration such as 10s, 1m30s or 500ms")
    return round(sum(float(number) * SECONDS[unit] for number, unit in PART.findall(text)), 6)
