"""When the keeper of a front asks its Caddy something, and what. Pure: the keeper asks, and knows more for the next question."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import Enum
from typing import NamedTuple, Optional

from duckconf.front import Serving

# Seconds between two looks at upstreams whose last requests are waited for.
LOOK_EVERY = 0.2


class Ask(Enum):
    """LEARN what Caddy has and which one it is; REPEAT what it was told, as somebody may have told it otherwise; LOAD what is
    wanted now; LOOK whether last requests have ended; CERTIFY: look whether certificates are there."""

    LEARN = 1
    REPEAT = 2
    LOAD = 3
    LOOK = 4
    CERTIFY = 5


# Of these one in a turn.
LAST = frozenset((Ask.LOAD, Ask.LOOK, Ask.CERTIFY))
Applied = tuple[Sequence[Serving], Collection[str]]
"""What a Caddy runs, and the certificates that it had when it was told so."""


class Known(NamedTuple):
    """What a keeper knows of its Caddy. `wanted` is None before it has been told anything, `applied` what Caddy was told last.
    `learned` says whether Caddy has been asked since the last failure, `doubt` whether somebody may have told it otherwise.
    `lacks` says whether certificates are waited for."""

    wanted: Optional[Applied]
    applied: Optional[Applied]
    learned: bool
    doubt: bool
    parked: Collection[str]
    lacks: bool

    @property
    def is_behind(self) -> bool:
        return self.wanted != self.applied


def next_ask(known: Known, done: Collection[Ask]) -> Ask | None:
    """The next question of a turn in which those that are `done` have been asked; None ends it."""
    if known.wanted is None or LAST.intersection(done):
        return None
    if not known.learned and Ask.LEARN not in done:
        return Ask.LEARN
    if known.doubt and known.applied is not None and Ask.REPEAT not in done:
        return Ask.REPEAT
    if known.is_behind:
        return Ask.LOAD
    if known.parked:
        return Ask.LOOK
    return Ask.CERTIFY if known.lacks else None


def next_turn(known: Known) -> float | None:
    """Seconds until there is something to ask without a change, None for nothing but certificates."""
    return LOOK_EVERY if known.wanted is not None and (known.parked or known.is_behind) else None


def parked(before: Collection[str], had: Collection[str], wanted: Collection[str]) -> set[str]:
    """The addresses whose last requests are waited for, when Caddy `had` some and is to have those that are `wanted`."""
    return {*before, *had} - {*wanted}
