"""Which of several servers a client asks, and when one that failed is tried again. Pure: clock and chance are arguments.

Each client has an order of its own. It asks the first server in it that has not failed. So many clients spread evenly over the
servers, those of a server that is gone spread over all others, and each returns when its own is back. `reach/api/servers.py`
keeps a standing for the threads of a process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from duckconf.backoff import delay

T = TypeVar("T")

# Seconds without a sign of a server that should answer, after which it is asked whether it is there.
QUIET = 0.5
# Seconds after which a server that failed is tried again, at first and at most.
FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
# Seconds over which those spread who lose the same server in the same moment.
SPREAD = 1.0


@dataclass(frozen=True)
class Standing:
    """What a client knows of its servers. `order` is its own. `strikes` counts the failures of a server since its last answer;
    `not_before` has those that are passed over for now, and until when."""

    order: tuple[str, ...]
    strikes: Mapping[str, int] = field(default_factory=dict)
    not_before: Mapping[str, float] = field(default_factory=dict)


def split(text: str) -> tuple[str, ...]:
    """The addresses of a setting, which has commas between them, each once."""
    parts = (part.strip().rstrip("/") for part in text.split(","))
    return tuple(dict.fromkeys(part for part in parts if part)) or (text,)


def own_order(addresses: Sequence[str], name: str) -> tuple[str, ...]:
    """The order of the client called `name`: another one for each, however the addresses are sorted, and the same each time. One
    without a name takes them as they come."""
    return tuple(sorted(addresses, key=lambda address: _place(name, address)) if name else addresses)


def choose(standing: Standing, passed: Collection[str] = ()) -> str:
    """The server to ask now that is not among the `passed`, of which there must be one."""
    left = [address for address in standing.order if address not in passed]
    well = [address for address in left if address not in standing.not_before]
    return well[0] if well else min(left, key=lambda address: standing.not_before[address])


def after_failure(standing: Standing, address: str, now: float, chance: float) -> Standing:
    """It refused, was silent or could do nothing. Many calls that meet the same failure count once. `chance` is from 0 to 1."""
    if standing.not_before.get(address, now) > now:
        return standing
    strikes = standing.strikes.get(address, 0) + 1
    wait = min(delay(strikes, FIRST_WAIT), LONGEST_WAIT) * (1 + chance) / 2
    not_before = {**standing.not_before, address: now + wait}
    return replace(standing, strikes={**standing.strikes, address: strikes}, not_before=not_before)


def after_sign(standing: Standing, address: str) -> Standing:
    """It is there again, which does not yet say that it can do what is asked of it: its failures are not forgotten."""
    return replace(standing, not_before=_without(standing.not_before, address)) if address in standing.not_before else standing


def after_answer(standing: Standing, address: str) -> Standing:
    """It did what it was asked."""
    known = after_sign(standing, address)
    return replace(known, strikes=_without(known.strikes, address)) if address in known.strikes else known


def to_try_again(standing: Standing, now: float) -> list[str]:
    """The servers that failed and that the client would rather ask than the one that it asks now: their wait is over."""
    before = standing.order[: standing.order.index(choose(standing))]
    return [address for address in before if standing.not_before.get(address, now) < now]


def to_ask(waiting: Mapping[str, float], heard: Mapping[str, float], now: float) -> list[str]:
    """The servers that owe an answer and have given no sign for QUIET seconds. `waiting` has since when the oldest call to each
    has been under way, `heard` when each gave its last sign."""
    return [address for address, begun in waiting.items() if now - max(begun, heard.get(address, begun)) >= QUIET]


def spread(chance: float) -> float:
    """Seconds to wait before another server is asked, for a client that lost its own at the same moment as many others."""
    return SPREAD * chance


def _place(name: str, address: str) -> bytes:
    return hashlib.sha256(f"{name}\n{address}".encode()).digest()


def _without(mapping: Mapping[str, T], key: str) -> dict[str, T]:
    return {name: value for name, value in mapping.items() if name != key}
