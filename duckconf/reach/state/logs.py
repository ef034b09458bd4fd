"""Logging of the long-lived processes: lines for a person, or one JSON object each for a program."""

from __future__ import annotations

import datetime
import json
import logging
from typing import Any

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
        # A person reads the events in a list of their own.
        handler.addFilter(lambda record: not hasattr(record, "event"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _time(record: logging.LogRecord) -> str:
    stamp = datetime.datetime.fromtimestamp(record.created, datetime.timezone.utc)
    return stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")
