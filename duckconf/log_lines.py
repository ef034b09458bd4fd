"""What a container printed, line by line, as the engines tell it with the time of each line. Pure.

Times are whole nanoseconds since the epoch: two lines of one container are often less than a microsecond apart.
"""

from __future__ import annotations

import calendar
import datetime
import re
from dataclasses import dataclass

from duckconf.errors import BadInput, Fault

SECOND = 10**9
# What is longer comes in pieces: a container may print without ever ending a line.
LONGEST_LINE = 1 << 20
STAMP = re.compile(rb"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d)) ?")
AGO = re.compile(r"(?:(?P<days>\d{1,5})d)?(?P<rest>(?:\d{1,9}(?:\.\d{1,9})?(?:ms|s|m|h))*)")
MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)?)?")
ALL = "all"


@dataclass(frozen=True)
class Source:
    """The container that said something; `name` is that of its instance."""

    name: str
    app: str
    slot: int
    node: str
    container: str


@dataclass(frozen=True)
class Line:
    time: int
    text: bytes


class Cutter:
    """Makes lines of what comes in pieces. A line without a time of its own has that of the one before."""

    def __init__(self, after: int = 0) -> None:
        """Lines up to the time `after` were told before."""
        self.last = after
        self.complaints: list[bytes] = []
        """What came before any line with a time: words of the engine itself."""
        self._after = after
        self._rest = b""
        self._begun = False

    def cut(self, data: bytes) -> list[Line]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            lines, self._rest = [*lines, self._rest], b""
        return [line for raw in lines if (line := self._line(raw)) is not None]

    def end(self) -> list[Line]:
        rest, self._rest = self._rest, b""
        line = self._line(rest) if rest else None
        return [line] if line is not None else []

    def _line(self, raw: bytes) -> Line | None:
        found = STAMP.match(raw)
        if found is None and not self._begun:
            self.complaints.append(raw)
            return None
        self._begun = True
        if found is None:
            return Line(self.last, raw)
        time = _nanoseconds(found)
        if time <= self._after:
            return None
        self.last = max(self.last, time)
        return Line(time, raw[found.end() :])


def _nanoseconds(found: re.Match[bytes]) -> int:
    moment = calendar.timegm((*(int(part) for part in found.groups()[:6]), 0, 0, 0))
    sign, hours, minutes = found[8], int(found[9] or 0), int(found[10] or 0)
    offset = (hours * 3600 + minutes * 60) * (-1 if sign == b"-" else 1)
    return (moment - offset) * SECOND + int((found[7] or b"0").ljust(9, b"0"))


def moment(time: int) -> str:
    """RFC 3339 in UTC, to the nanosecond."""
    whole = datetime.datetime.fromtimestamp(time // SECOND, datetime.timezone.utc)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{time % SECOND:09d}Z"


def since(typed: str) -> str:
    """As the engines take it: `10m`, `2d`, or a date with or without a time. Raises BadInput."""
    if not typed or MOMENT.fullmatch(typed):
        return typed
    found = AGO.fullmatch(typed)
    if found is None:
        raise BadInput(
            Fault("--since", f"should be how long ago (10m, 2h30m, 3d) or a time (2026-01-31T10:00:00Z), got {typed!r}")
        )
    return f"{int(found['days']) * 24}h{found['rest']}" if found["days"] else typed


def tail(typed: str) -> str:
    """A number of lines, or `all`. Raises BadInput."""
    if typed == ALL or (typed.isascii() and typed.isdigit() and len(typed) < 10):
        return typed
    raise BadInput(Fault("--tail", f"should be a whole number from 0 on, or {ALL}, got {typed!r}"))
