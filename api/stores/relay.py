"""What each server hears from agents, told to the others: a heartbeat is no write of its own.

Once a second, and at once when something has changed, a server writes one summary: for how long it has not heard each of its
nodes. What a node reports is an entry that is written when it changes, and the events that happened with a server are one of a
ring of entries. Ages count from each server's own monotonic clock; no two clocks are compared.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from api.stores.nodes import Report
from duckconf.errors import DuckconfError
from duckconf.events import Event, event_from_json
from duckconf.facts import Facts
from duckconf.reach.state.entries import Entries
from duckconf.reach.state.table import News

PART = "heard"
NODES = "nodes/"
SERVERS = "servers/"
EVENTS = "events/"
# Seconds between two summaries, and at least between two writes.
EVERY = 1.0
SOONEST = 0.1
# Seconds after which what a node tells of its disk and load is told again, though nothing else has changed.
FACTS_EVERY = 30.0
# Who sees only the newest of several writes of one entry has missed none of as many writes of events.
RING = 64
# Events of one write, and those that wait while nothing can be written.
MOST_AT_ONCE = 200
MOST_WAITING = 10_000

Told = Mapping[str, Any]
Take = Callable[[str, Told], None]
Heard = Callable[[Mapping[str, float]], None]

log = logging.getLogger(__name__)


@dataclass
class Own:
    """A node that this server hears: when it did last, what it told then, and what of that was written when."""

    at: float
    told: Told
    news: Report
    written: Report | None = None
    facts_at: float = 0.0
    sent: str = ""
    """What was written last, perhaps of an earlier heartbeat."""


def reports_in(entries: Entries) -> dict[str, Told]:
    """By node, what it told last, whichever server heard it."""
    return {name.removeprefix(NODES): _read(text) for name, text in entries.texts().items() if name.startswith(NODES)}


class Relay:
    """Of one server, for many threads. `take` is given what a node told another server, `heard` the seconds for which others have
    not heard their nodes, `note` their events."""

    def __init__(
        self,
        entries: Entries,
        server: str,
        timeout: float,
        take: Take,
        heard: Heard,
        note: Callable[[Event], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._entries = entries
        self._server = server
        self._timeout = timeout
        self._take = take
        self._heard = heard
        self._note = note
        self._clock = clock
        self._news = threading.Condition()
        self._due = False
        self._ended = False
        self._own: dict[str, Own] = {}
        # Numbers go on over a restart.
        self._number = time.time_ns()
        self._events: deque[tuple[int, Event]] = deque(maxlen=MOST_WAITING)
        self._slot = 0
        self._last: dict[str, int] = {}
        texts = entries.texts()
        for name in sorted(texts):
            self._begin(name, _read(texts[name]))
        entries.follow(self._follow)

    def hear(self, node: str, told: Told, report: Report) -> None:
        """A heartbeat has come here."""
        now = self._clock()
        with self._news:
            before = self._own.get(node)
            self._own[node] = own = Own(now, told, _comparable(report))
            if before is not None:
                own.written, own.facts_at, own.sent = before.written, before.facts_at, before.sent
            if own.written is None or replace(own.written, facts=Facts()) != replace(own.news, facts=Facts()):
                self._call()

    def tell(self, event: Event) -> None:
        """Something has happened here."""
        with self._news:
            self._number += 1
            self._events.append((self._number, event))
            self._call()

    def run(self) -> None:
        """Write what is due, until `close`."""
        while self._wait():
            try:
                self.write()
            except (DuckconfError, OSError) as error:
                log.warning("what is heard here cannot be told to the other servers now: %s", error)

    def write(self) -> None:
        """Raises NotNow, OSError."""
        begun = self._clock()
        with self._news:
            self._due = False
            self._own = {name: own for name, own in self._own.items() if begun - own.at < self._timeout}
            due = {name: own for name, own in self._own.items() if _is_due(own, begun)}
            ages = {name: round(begun - own.at, 3) for name, own in self._own.items()}
            events = list(islice(self._events, MOST_AT_ONCE))
            for own in due.values():
                own.sent = _text(own.told)
            texts = {f"{NODES}{name}": own.sent for name, own in due.items()}
            written = [(own, own.news) for own in due.values()]
        texts[f"{SERVERS}{self._server}"] = _text({"ages": ages})
        if events:
            told = [{"n": number, **event.to_json()} for number, event in events]
            texts[f"{EVENTS}{self._server}/{self._slot}"] = _text({"events": told})
        self._entries.change(lambda _: texts)
        with self._news:
            for own, news in written:
                own.written, own.facts_at = news, begun
            if events:
                self._slot = (self._slot + 1) % RING
                self._events = deque((one for one in self._events if one[0] > events[-1][0]), MOST_WAITING)
                self._due = self._due or bool(self._events)

    def close(self) -> None:
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _call(self) -> None:
        self._due = True
        self._news.notify_all()

    def _wait(self) -> bool:
        """Until something is to be written; false in the end."""
        with self._news:
            self._news.wait_for(lambda: self._ended, SOONEST)
            self._news.wait_for(lambda: self._due or self._ended, EVERY - SOONEST)
            return not self._ended

    def _begin(self, name: str, told: Told) -> None:
        """What was there before: when it was written is not known."""
        if name.startswith(NODES):
            self._take(name.removeprefix(NODES), told)
        elif name.startswith(EVENTS):
            server = _server_in(name)
            self._last[server] = max((self._last.get(server, 0), *(number for number, _ in _events(told))))

    def _follow(self, news: News) -> None:
        events: dict[str, list[tuple[int, Event]]] = {}
        for name in sorted(news.items, key=_order):
            item = news.items[name]
            if item is None:
                continue
            if name.startswith(NODES):
                self._told(name.removeprefix(NODES), item.text)
            elif name.startswith(SERVERS) and name != f"{SERVERS}{self._server}":
                ages = _read(item.text).get("ages", {})
                self._heard({str(node): float(age) for node, age in dict(ages).items()})
            elif name.startswith(EVENTS) and _server_in(name) != self._server:
                events.setdefault(_server_in(name), []).extend(_events(_read(item.text)))
        for server, found in events.items():
            self._note_events(server, found)

    def _told(self, node: str, text: str) -> None:
        told = _read(text)
        with self._news:
            own = self._own.get(node)
            if own is not None and (own.told == told or own.sent == text):
                # Our own words, also where the node has told something newer here meanwhile.
                return
            if own is not None:
                # Another server hears it now, or did so before us: what we wrote is not what is there.
                own.written = None
        self._take(node, told)

    def _note_events(self, server: str, found: list[tuple[int, Event]]) -> None:
        for number, event in sorted(found, key=lambda one: one[0]):
            if number > self._last.get(server, 0):
                self._last[server] = number
                self._note(event)


def _comparable(report: Report) -> Report:
    """Without what differs each time."""
    return replace(report, refusals=tuple(replace(refusal, until=0.0) for refusal in report.refusals))


def _is_due(own: Own, now: float) -> bool:
    if own.written is None or replace(own.written, facts=own.news.facts) != own.news:
        return True
    return own.written.facts != own.news.facts and now - own.facts_at >= FACTS_EVERY


def _events(told: Told) -> list[tuple[int, Event]]:
    found = []
    for entry in told.get("events", ()):
        try:
            found.append((int(entry["n"]), event_from_json(entry)))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            log.warning("an event of another server was not understood: %s", error)
    return found


def _order(name: str) -> tuple[bool, str]:
    """What nodes report comes before for how long they were not heard."""
    return not name.startswith(NODES), name


def _server_in(name: str) -> str:
    return name.removeprefix(EVENTS).rpartition("/")[0]


def _text(told: Told) -> str:
    return json.dumps(told, ensure_ascii=False)


def _read(text: str) -> Told:
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
