"""How long to wait before an app is started again. Pure: the clock is an argument.

The first crash is healed at once; from then on each start in a row waits twice as long as the one before, from one
second to five minutes, until the app has been healthy for ten minutes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional

FIRST = 1.0
LONGEST = 300.0
HEALTHY_AFTER = 600.0
AGAIN_AT_MOST = 3


@dataclass(frozen=True)
class Tries:
    """The starts of one app with one spec. Times are seconds of the caller's clock; `words` are the engine's last no."""

    spec: str
    strikes: int = 0
    starts: int = 0
    not_before: float = 0.0
    since: float = 0.0
    words: str = ""
    again: int = 0
    """Starts of one and the same container in a row after which it did not live."""
    waits: Optional[float] = None
    """Since when it has not been ready as the spec `awaited`, None while it is. That may be another spec than the one that was
    tried: a person who changes a spec to and fro does not end the pauses of either."""
    awaited: str = ""
    node: str = ""
    """Where it was started last, "" where that was not noted."""
    moves: int = 0
    """The starts on another node than the one before: it moved, and was not restarted."""

    @property
    def restarts(self) -> int:
        return max(0, self.starts - self.moves - 1)


def delay(strikes: int, first: float = FIRST) -> float:
    """Seconds to wait after this many starts, or other tries, in a row."""
    return min(first * 2 ** (min(strikes, 32) - 1), LONGEST) if strikes > 0 else 0.0


def after_start(tries: Tries, now: float, pause: float = 0.0, node: str = "") -> Tries:
    """It started on the node. Whether it lives is seen later; should it die at once, the next start waits, for `pause` seconds at
    least."""
    due = now + max(pause, delay(tries.strikes))
    moves = tries.moves + (tries.starts > 0 and tries.node not in ("", node))
    started = replace(tries, node=node, moves=moves, strikes=tries.strikes + 1, starts=tries.starts + 1)
    return replace(started, not_before=due, since=now, words="")


def after_refusal(tries: Tries, now: float, words: str) -> Tries:
    """The engine said no, in these words."""
    strikes = tries.strikes + 1
    return replace(tries, strikes=strikes, not_before=now + delay(strikes), since=now, words=words)


def after_look(tries: Tries, now: float, lives_after: float = HEALTHY_AFTER) -> Tries:
    """It was seen running; after long enough, the past is forgotten."""
    lives = tries.strikes > 0 and now - tries.since >= lives_after
    return replace(tries, strikes=0, not_before=0.0, again=0) if lives else tries


def after_try(tries: Tries, *, same_container: bool) -> Tries:
    """It was tried to start a new container, or the one that it has once more."""
    return replace(tries, again=tries.again + 1 if same_container else 0)


def is_worn(tries: Tries) -> bool:
    """Whether its container should be made anew: something in it, such as a stale PID file, may keep it from starting."""
    return tries.again >= AGAIN_AT_MOST


def wait(tries: Tries | None, spec: str, now: float) -> float:
    """Seconds until the next start is allowed, 0 for now. Another spec is another app: it is tried at once."""
    return max(0.0, tries.not_before - now) if tries is not None and tries.spec == spec else 0.0
