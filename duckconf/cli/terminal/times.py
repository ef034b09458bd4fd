"""Times as people and programs read them."""

from __future__ import annotations

import datetime
import time


def stamp(seconds: float) -> str:
    """RFC 3339 in UTC, for programs."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def clock(seconds: float) -> str:
    """Local time, for people."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
