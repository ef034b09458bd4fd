"""What a page costs its browser, by Chromium's own trace: how long each task of its main thread took, and for what.

The trace is kept as a file that chrome://tracing, or Perfetto, opens.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

CATEGORIES = "devtools.timeline,disabled-by-default-devtools.timeline,blink.user_timing"
# Traces have microseconds.
MS = 1000.0
KINDS: Mapping[str, str] = {
    **dict.fromkeys(("FunctionCall", "EvaluateScript", "v8.compile", "ParseHTML"), "script"),
    **dict.fromkeys(("Layout", "UpdateLayoutTree", "PrePaint"), "layout"),
    **dict.fromkeys(("Paint", "Layerize", "Commit"), "paint"),
}
TASK = "RunTask"
# Sets a mark in the trace, by which its thread and its time are known.
MARK = "performance.mark(arguments[0])"


class Cost(NamedTuple):
    """Milliseconds: from the one mark to the other, all tasks of the page's main thread between them, the longest of these, and
    what of it was for each kind of work."""

    lasted: float
    busy: float
    longest: float
    by_kind: Mapping[str, float]


def read(log: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The trace in the driver's performance log."""
    told = (json.loads(entry["message"])["message"] for entry in log)
    return [message["params"] for message in told if message["method"] == "Tracing.dataCollected"]


def cost(events: Iterable[Mapping[str, Any]], begins: str, ends: str) -> Cost:
    """Between two marks, each set once. Raises KeyError for one that is not there."""
    known = list(events)
    marks = {event["name"]: event for event in known if event.get("cat") == "blink.user_timing"}
    begin, end = marks[begins], marks[ends]
    thread = begin["pid"], begin["tid"]
    inside = [
        event
        for event in known
        if event.get("ph") == "X" and (event["pid"], event["tid"]) == thread and begin["ts"] <= event["ts"] <= end["ts"]
    ]
    by_kind: defaultdict[str, float] = defaultdict(float)
    for event in inside:
        if kind := KINDS.get(event["name"]):
            by_kind[kind] += event.get("dur", 0) / MS
    lengths = [event.get("dur", 0) / MS for event in inside if event["name"] == TASK]
    return Cost((end["ts"] - begin["ts"]) / MS, sum(lengths), max(lengths, default=0.0), dict(by_kind))


def keep(events: Iterable[Mapping[str, Any]], path: Path) -> None:
    path.write_text(json.dumps({"traceEvents": list(events)}))
