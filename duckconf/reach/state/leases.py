"""The leases of those of whom one leads: kept beside the state, alone or together with other servers.

An entry for each lease has its holder and term, and changes with the holder alone: that is what writes are fenced by. Where
several servers share the leases, another entry counts the renewals; a server that is alone only remembers when the last one came.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Optional

from duckconf.errors import NotNow
from duckconf.leading import LEASE, NAMES, Candidate, Lease, Term, asked, lease_from_json, let_go, require_newest
from duckconf.reach.state.entries import Entries, Reading
from duckconf.reach.state.fence import Look, fenced
from duckconf.reach.state.table import Changes, News

PART = "leases"
FILE_NAME = "leases.json"
RENEWALS = "/renewals"


class Seen(NamedTuple):
    """A lease, and the seconds since it was last seen to change here."""

    lease: Lease
    quiet: float


class Leases:
    """For many threads."""

    def __init__(self, entries: Entries, *, alone: bool, clock: Callable[[], float] = time.monotonic) -> None:
        """`alone`: no other process has these entries."""
        self._entries = entries
        self._alone = alone
        self._clock = clock
        # Whoever holds this asks nothing of the entries, which call `_follow` under a lock of their own.
        self._news = threading.Condition()
        self._texts = dict(entries.texts())
        # A server that has just started gives every holder the whole time.
        self._moved = dict.fromkeys(NAMES, clock())
        self._waiting: set[str] = set()
        self._inside: Counter[tuple[str, Term]] = Counter()
        entries.follow(self._follow)

    def seen(self, name: str) -> Seen:
        with self._news:
            return Seen(_read(name, self._texts.get), self._clock() - self._moved[name])

    def ask(self, name: str, candidate: Candidate, patience: float = 0.0) -> Lease:
        """Take or renew the lease, or wait up to `patience` seconds until it can be taken: the lease as it is then, whosever it
        is. When it is the candidate's, nothing is under way here any more that was begun in another term. Raises
        PreconditionFailed for a renewal of what is not held, NotNow, OSError."""
        end = self._clock() + patience
        with self._news:
            self._waiting.add(candidate.process)
        try:
            while True:
                lease = self._try(name, candidate)
                if lease.process == candidate.process:
                    self._end_others(name, lease)
                    return lease
                if not self._wait(name, lease, candidate.process, end):
                    return lease
        finally:
            with self._news:
                self._waiting.discard(candidate.process)

    def let_go(self, name: str, process: str) -> Lease:
        """This process stops: it waits for the lease no more, and if it is its own, another one may take it at once."""
        with self._news:
            self._waiting.discard(process)
            self._news.notify_all()

        def decide(reading: Reading) -> Changes:
            lease = _read(name, reading.get)
            after = let_go(lease, process)
            return {name: json.dumps(after.to_json())} if after != lease else {}

        self._entries.change(decide)
        return self.seen(name).lease

    @contextmanager
    def writing(self, name: str, term: Term) -> Iterator[None]:
        """What this thread changes inside is changed only while the term is the newest. Raises PreconditionFailed."""

        def fence(look: Look) -> None:
            require_newest(name, _lease(name, look(f"{PART}/{name}")), term)

        with self._news:
            require_newest(name, _read(name, self._texts.get), term)
            self._inside[name, term] += 1
        try:
            with fenced(fence):
                yield
        finally:
            with self._news:
                self._inside[name, term] -= 1
                self._inside = +self._inside
                self._news.notify_all()

    def _try(self, name: str, candidate: Candidate) -> Lease:
        found: list[Lease] = []

        def decide(reading: Reading) -> Changes:
            before = _read(name, reading.get)
            known, quiet = self.seen(name)
            # What is newer than what was told here has not been quiet at all.
            after = asked(name, before, candidate, quiet if known == before else 0.0)
            found.append(after)
            changes = {name: json.dumps(after.to_json())} if after.term != before.term else {}
            return changes if self._alone or after == before else {**changes, f"{name}{RENEWALS}": str(after.renewals)}

        self._entries.change(decide)
        if candidate.term:
            self._note(name)
        return found[-1]

    def _wait(self, name: str, lease: Lease, process: str, end: float) -> bool:
        """Until the lease may be taken; false where there is no more time, or nobody who waits."""

        def is_over() -> bool:
            return process not in self._waiting or _read(name, self._texts.get).process != lease.process

        with self._news:
            while (left := min(end, self._moved[name] + LEASE) - self._clock()) > 0 and not is_over():
                self._news.wait(left)
            return process in self._waiting and self._clock() < end

    def _end_others(self, name: str, lease: Lease) -> None:
        def is_rest() -> bool:
            return any(one == name and term != lease.key for one, term in self._inside)

        with self._news:
            if not self._news.wait_for(lambda: not is_rest(), LEASE):
                raise NotNow(f"what was begun in an earlier term of {name} has not ended yet", "ask again")

    def _follow(self, news: News) -> None:
        with self._news:
            for entry, item in news.items.items():
                if item is not None:
                    self._texts[entry] = item.text
                else:
                    self._texts.pop(entry, None)
        for name in {entry.removesuffix(RENEWALS) for entry in news.items} & {*NAMES}:
            self._note(name)

    def _note(self, name: str) -> None:
        with self._news:
            self._moved[name] = self._clock()
            self._news.notify_all()


def _read(name: str, get: Look) -> Lease:
    count = get(f"{name}{RENEWALS}") or ""
    return _lease(name, get(name), int(count) if count.isdigit() else 0)


def _lease(name: str, text: Optional[str], renewals: int = 0) -> Lease:
    if text is None:
        return Lease()
    try:
        return lease_from_json(json.loads(text), renewals)
    except (ValueError, TypeError, KeyError) as error:
        raise NotNow(f"the lease of {name} cannot be read: {error}", "remove its entry") from None
