"""Logging of the long-lived processes: lines for a person, or one JSON object each for a program."""

from __future__ import annotations

import datetime
import json
import logging
from collections.abc import Iterable
from typing import Any

from duckconf.events import Event
from duckconf.visible import visible

STEPS = ("SENSOR", "SETPOINT", "COMPARATOR", "ACTUATOR")
WIDEST = max(map(len, STEPS))


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        step = getattr(record, "step", "")
        level = "" if record.levelno == logging.INFO else f"{record.levelname} "
        words = f"{step:<{WIDEST}}  " if step else ""
        text = f"{_time(record)} {level}{words}{record.getMessage()}"
        # What a host or a container said is in it, and the file is read with whatever is at hand.
        return visible(f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text)


class _Objects(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {"time": _time(record), "level": record.levelname.lower(), "logger": record.name}
        if step := getattr(record, "step", ""):
            entry["step"] = step
        if event := getattr(record, "event", None):
            entry |= {name: value for name, value in event.to_json().items() if name not in ("time", "message")}
        entry["message"] = record.getMessage()
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def set_up(*, as_json: bool = False) -> None:
    """Log to stderr from now on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Objects() if as_json else _Lines())
    if not as_json:
        handler.addFilter(lambda record: not hasattr(record, "event") or hasattr(record, "spoken"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def tell(log: logging.Logger, events: Iterable[Event], *, spoken: bool = False) -> None:
    """Log events for programs. A person reads them in a list of their own, and here only those that are `spoken`."""
    for event in events:
        log.info("%s", event.message, extra={"event": event, **({"spoken": True} if spoken else {})})


def _time(record: logging.LogRecord) -> str:
    stamp = datetime.datetime.fromtimestamp(record.created, datetime.timezone.utc)
    return stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")
