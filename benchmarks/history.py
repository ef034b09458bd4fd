"""What clients have seen of counters that they raise by one, and whether that can have happened in one order: per counter, each
operation at some moment between its begin and its end. Pure.

The numbers tell the order: a write of `n` comes after all reads of `n - 1` and before all reads of `n`. So nothing has to be
tried: it is enough that no operation ended before one that comes earlier in that order began.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

# The end of a write whose answer is not known: it may have been done at any later time, or never.
UNKNOWN = math.inf


class Operation(NamedTuple):
    """A read of `number`, or a write that made it of the one before; times in seconds of one clock."""

    name: str
    number: int
    writes: bool
    begun: float
    ended: float


def contradictions(history: Iterable[Operation], first: int) -> list[str]:
    """In words; none where all is well. Each counter was at `first` before the history begins."""
    by_name: dict[str, list[Operation]] = defaultdict(list)
    for operation in history:
        by_name[operation.name].append(operation)
    return [words for name, operations in sorted(by_name.items()) for words in _of_one(name, operations, first)]


def _of_one(name: str, operations: list[Operation], first: int) -> list[str]:
    known = [one for one in operations if one.ended != UNKNOWN]
    last = max((one.number for one in known), default=first)
    done: list[Operation] = []
    for count in range(first + 1, last + 1):
        sure = [one for one in known if one.writes and one.number == count]
        maybe = [one for one in operations if one.writes and one.number == count and one.ended == UNKNOWN]
        if len(sure) > 1:
            return [f"{name}: {len(sure)} writes of {count} were acknowledged"]
        if not sure and not maybe:
            return [f"{name}: {count} was seen, and nobody wrote it"]
        done.append(sure[0] if sure else min(maybe, key=lambda one: one.begun))
    return _out_of_order(name, [*done, *(one for one in known if not one.writes)])


def _out_of_order(name: str, operations: list[Operation]) -> list[str]:
    latest: Operation | None = None
    for one in sorted(operations, key=lambda one: (one.number, not one.writes, one.begun)):
        if latest is not None and one.ended < latest.begun:
            return [f"{name}: {_told(one)} ended {latest.begun - one.ended:.2f} s before {_told(latest)} began"]
        if latest is None or one.begun > latest.begun:
            latest = one
    return []


def _told(operation: Operation) -> str:
    return f"the {'write' if operation.writes else 'read'} of {operation.number}"
