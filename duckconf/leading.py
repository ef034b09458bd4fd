"""Who of several candidates leads, by a lease: held for a few seconds, renewed long before its end, and taken over by another one
when nobody has renewed it for as long as it lasts. Pure.

Each new leader has a new term, a number that grows by one. What a leader writes carries its term and is refused when there is a
newer one: a leader that was frozen knows nothing of its successor, and changes nothing. Ages are measured by one who looks, on
its own monotonic clock; no two clocks are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, NamedTuple

from duckconf.errors import BadInput, Fault, PreconditionFailed

NAMES = ("scheduler", "node-controller")
"""What is led."""
LEASE = 5.0
"""Seconds without a renewal after which another one takes over."""
RENEW = LEASE / 4
"""Seconds between two renewals."""
MARGIN = 0.5
"""Seconds before the end of its lease from which a leader that got no answer does nothing any more."""
HEADER = "Duckconf-Term"
LONGEST_NAME = 253
"""Signs of the name of a host or process."""


class Term(NamedTuple):
    """What a leader's writes carry. The number alone would be given twice after the state was restored from an older copy."""

    number: int
    process: str


class Candidate(NamedTuple):
    """One who asks for a lease: the process of that name on the host `who`. `term` is the one that it holds and renews, 0 where
    it holds none. `begun`: it has just started in place of an earlier process on its host."""

    who: str
    process: str
    term: int = 0
    begun: bool = False


@dataclass(frozen=True)
class Lease:
    """`who` and `process` are the holder, "" where it was let go; `renewals` grows with each one."""

    term: int = 0
    who: str = ""
    process: str = ""
    renewals: int = 0

    @property
    def is_held(self) -> bool:
        return bool(self.process)

    @property
    def key(self) -> Term:
        return Term(self.term, self.process)

    def to_json(self) -> dict[str, Any]:
        """Without the renewals, which are kept apart: what is there only changes with the holder."""
        return {"term": self.term, "who": self.who, "process": self.process}


def lease_from_json(told: Mapping[str, Any], renewals: int = 0) -> Lease:
    """Raises KeyError, TypeError, ValueError."""
    return Lease(int(told["term"]), str(told["who"]), str(told["process"]), renewals)


def asked(name: str, lease: Lease, candidate: Candidate, quiet: float) -> Lease:
    """The lease after the request: another one when the candidate has renewed or taken it. `quiet` are the seconds for which it
    has not changed in the eyes of the one who decides. Raises PreconditionFailed for a renewal by one who does not hold it."""
    if candidate.term:
        if (candidate.process, candidate.term) != (lease.process, lease.term):
            raise PreconditionFailed(why_over(name, lease, candidate.term), "ask for it without a term")
        return replace(lease, renewals=lease.renewals + 1)
    restarted = candidate.begun and candidate.who == lease.who
    if not lease.is_held or quiet >= LEASE or lease.process == candidate.process or restarted:
        return Lease(lease.term + 1, candidate.who, candidate.process)
    return lease


def let_go(lease: Lease, process: str) -> Lease:
    """The lease after this process has stopped: nobody's, if it was its own."""
    return Lease(lease.term) if lease.process == process else lease


def require_newest(name: str, lease: Lease, term: Term) -> None:
    """Raises PreconditionFailed for what is written in a term that is over."""
    if not lease.is_held or lease.key != term:
        raise PreconditionFailed(why_over(name, lease, term.number), "nothing was changed")


def why_over(name: str, lease: Lease, number: int) -> str:
    now = f"{lease.who} leads in term {lease.term}" if lease.is_held else "nobody leads now"
    return f"term {number} of {name} is over: {now}"


def term_text(name: str, term: Term) -> str:
    """As the header has it: `scheduler/7/3fa9c2`."""
    return f"{name}/{term.number}/{term.process}"


def read_term(text: str) -> tuple[str, Term]:
    """Name and term of a header; raises BadInput."""
    name, _, rest = text.partition("/")
    number, _, process = rest.partition("/")
    if name not in NAMES or not process or not (number.isascii() and number.isdigit() and len(number) < 19):
        raise BadInput(Fault(HEADER, f"should be such as {NAMES[0]}/7/3fa9c2, got {text!r}"))
    return name, Term(int(number), process)


def leaders_told(leaders: Mapping[str, Mapping[str, Any]]) -> str:
    """Who leads, for people; `leaders` has by name `who`, `term` and the `age` in seconds of the last renewal."""
    return ", ".join(f"{name}: {_led(lease)}" for name, lease in leaders.items())


def _led(lease: Mapping[str, Any]) -> str:
    if not lease["who"]:
        return "nobody leads"
    words = f"{lease['who']} leads (term {lease['term']})"
    return words if lease["age"] < LEASE else f"{words}, silent for {lease['age']:.0f} s"


class Standing(Enum):
    FOLLOWER = "follower"
    LEADER = "leader"
    UNSURE = "may have lost it"


@dataclass(frozen=True)
class Lead:
    """What a candidate knows of its own lease: its term (0: none), and when it asked for what was granted last, on its clock. The
    server has counted from a later moment."""

    term: int = 0
    asked: float = 0.0

    def standing(self, now: float) -> Standing:
        if not self.term:
            return Standing.FOLLOWER
        return Standing.LEADER if now - self.asked < LEASE - MARGIN else Standing.UNSURE

    def is_over(self, now: float) -> bool:
        """Whether another one may hold it by now, so that it is to be asked for anew."""
        return bool(self.term) and now - self.asked >= LEASE

    def due(self, now: float) -> float:
        """Seconds until it should be renewed."""
        return max(0.0, self.asked + RENEW - now)
