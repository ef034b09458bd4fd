"""What of a container's log is that of its last run. Pure.

The log has the runs before too, and an engine notes the start of a run a moment after its process has begun: its first lines may
be older than that. A restart takes the engine several times as long. Over its socket, podman knows whole seconds only: what two
runs of one second printed is told apart where it is the same.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
EARLY = timedelta(milliseconds=100)


def since(started: str) -> str:
    """The moment as both engines take it, of a start as they tell it in JSON; "" for one that never was."""
    found = STAMP.fullmatch(started.strip().strip('"'))
    if found is None or found[1].startswith("0001-"):
        return ""
    whole = datetime.strptime(found[1] + found[3], "%Y-%m-%dT%H:%M:%S%z").astimezone(timezone.utc)
    fraction = timedelta(microseconds=int((found[2] or "0").ljust(6, "0")[:6]))
    return (whole + fraction - EARLY).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def once(text: str) -> str:
    """In one line, without what repeats all through it, line by line; the first of it may be cut off."""
    lines = text.splitlines()
    for period in range(1, len(lines) // 2 + 1):
        if lines[period:] == lines[:-period]:
            lines = lines[-period:]
            break
    return " ".join(" ".join(lines).split())
