"""The entries of a book as one process knows them: read without asking anybody, changed only if nobody else has changed meanwhile
what the change was decided on.

A table that one process writes alone is known as it is. One in etcd is written by several servers, and each follows what the
others do: a mirror.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple, Optional, Protocol, TypeVar

from duckconf.errors import CutOff, DuckconfError, NotNow, PreconditionFailed
from duckconf.reach.state.fence import current
from duckconf.reach.state.table import ABSENT, Changes, Compacted, Item, News, Table

See = Callable[[News], None]
Value = TypeVar("Value")
# Seconds in which a change must come through against others, and after which a quiet watch is asked whether it still stands.
PATIENCE = 5.0
PAUSE = 1.0
# Seconds until a table that did not answer is asked again.
AGAIN = 0.2
# Seconds after which a table that confirms nothing is not asked by each writer.
CUT_OFF = 3.0
MAJORITY = "is a majority of etcd's members up?"

log = logging.getLogger(__name__)


class Reading:
    """What a change is decided on: the entries that it looks at must be the same when it is written."""

    def __init__(
        self, one: Callable[[str], Item | None], every: Callable[[], Mapping[str, Item]], other: Callable[[str], Item | None]
    ) -> None:
        """`other` reads an entry of any part by its whole name."""
        self._one = one
        self._every = every
        self._other = other
        self.others: dict[str, int] = {}
        """The revisions of what was looked at by its whole name."""
        self._seen: dict[str, int] = {}
        self._all: Mapping[str, Item] | None = None

    def get(self, name: str) -> str | None:
        item = self._one(name)
        self._seen.setdefault(name, item.revision if item is not None else ABSENT)
        return item.text if item is not None else None

    def look(self, name: str) -> str | None:
        """An entry of another part, by its whole name; it must be the same when the change is written."""
        item = self._other(name)
        self.others.setdefault(name, item.revision if item is not None else ABSENT)
        return item.text if item is not None else None

    def all(self) -> dict[str, str]:
        """All of them. Of these, only those that are then changed must be the same."""
        self._all = self._every()
        return {name: item.text for name, item in self._all.items()}

    def expected(self, changes: Changes) -> dict[str, int]:
        if self._all is None:
            return self._seen
        known = {name: self._all[name].revision if name in self._all else ABSENT for name in changes}
        return {**known, **self._seen}


Decide = Callable[[Reading], Changes]


class Entries(Protocol):
    """For many threads."""

    def texts(self) -> dict[str, str]:
        """All of them, as they are known now."""

    def change(self, decide: Decide) -> int:
        """Write what `decide` gives; the revision at which it is kept safely and known here. It is called again when another
        process was faster. Raises what it raises, what the fence of this thread raises, NotNow, OSError."""

    def follow(self, see: See) -> None:
        """Have all changes told from now on, also ours, in order, each before `change` returns."""

    def set_aside(self) -> None:
        """As a table's."""


class OwnEntries:
    """Of a table that this process writes alone, beside others: what a fence looks at is in another one. Whoever changes that
    waits until what is written under it is written."""

    def __init__(self, table: Table) -> None:
        """Raises what the table raises when it cannot be read."""
        self._table = table
        self._lock = threading.RLock()
        self._items = dict(table.list().items)
        self._see: list[See] = []

    @classmethod
    def anew(cls, table: Table) -> OwnEntries:
        """Of a table that cannot be read: there are none."""
        entries = cls.__new__(cls)
        entries._table, entries._lock, entries._items, entries._see = table, threading.RLock(), {}, []
        return entries

    def texts(self) -> dict[str, str]:
        with self._lock:
            return {name: item.text for name, item in self._items.items()}

    def change(self, decide: Decide) -> int:
        with self._lock:
            changes = decide(Reading(self._items.get, self._items.copy, lambda _: None))
            revision = self._table.commit(changes)
            for name, text in changes.items():
                if text is None:
                    self._items.pop(name, None)
                else:
                    self._items[name] = Item(text, revision)
            news = News(revision, {name: None if text is None else Item(text, revision) for name, text in changes.items()})
            for see in self._see if changes else ():
                see(news)
            return revision

    def follow(self, see: See) -> None:
        self._see.append(see)

    def set_aside(self) -> None:
        self._table.set_aside()


class Known(NamedTuple):
    """A part of what a mirror knows, and who is told of its changes."""

    items: dict[str, Item]
    see: list[See]


class Mirror:
    """A table that several processes write, as it is known here. Its entries have the names PART/NAME."""

    def __init__(self, table: Callable[[str], Table], clock: Callable[[], float] = time.monotonic) -> None:
        """`table` opens it for the writer of a part, "" for one who only reads. Raises what that raises."""
        self._open = table
        self._table = table("")
        self.clock = clock
        self._news = threading.Condition(threading.RLock())
        self.parts: dict[str, Known] = {}
        self._ended = False
        self.at_end: list[Callable[[], None]] = []
        """Called by `close`."""
        self.went_back: Callable[[], object] = lambda: None
        """Called when the table is older than it was: an earlier one, or another one, is in its place. What is known here is not
        taken back by that; it is for a process that begins anew to say what should be."""
        self._asked = clock()
        listing = self._table.list()
        self._revision = listing.revision
        self._take(listing.items)

    @property
    def revision(self) -> int:
        return self._revision

    @property
    def age(self) -> float:
        """Seconds since it was known to be as new as the table."""
        return self.clock() - self._asked

    def part(self, name: str, *, probing: bool = False) -> SharedEntries:
        """Its entries. Changes that arrive together are told in the order in which the parts were first asked for. One that is
        `probing` is written also while the table takes nothing, and finds out when it does again."""
        return SharedEntries(self, name, self._open(name), probing=probing)

    def why_cut_off(self) -> str:
        """Why nothing can be written now, "" where all is well."""
        return f"nothing was confirmed for {self.age:.0f} s: {MAJORITY}" if self.age > CUT_OFF else ""

    def known(self, part: str) -> Known:
        with self._news:
            return self.parts.setdefault(part, Known({}, []))

    def read(self, part: str, name: str) -> Item | None:
        with self._news:
            return self.known(part).items.get(name)

    def read_whole(self, full: str) -> Item | None:
        part, _, name = full.partition("/")
        return self.read(part, name)

    def copy(self, part: str) -> dict[str, Item]:
        with self._news:
            return dict(self.known(part).items)

    def reach(self, revision: int, seconds: float = PATIENCE) -> bool:
        """Whether what was written up to the revision is known here, waiting for it."""
        with self._news:
            self._news.wait_for(lambda: self._revision >= revision or self._ended, seconds)
            return self._revision >= revision

    def fresh(self, begun: float, revision: int) -> None:
        """Note that a write which began then (of our clock) is known here, and so is all that was written before it."""
        with self._news:
            if self._revision >= revision:
                self._asked = max(self._asked, begun)

    def run(self) -> None:
        """Follow the table, until `close`."""
        while not self._ended:
            try:
                for news in self._table.follow(self._revision, PAUSE):
                    self._told(news.revision, news.items)
                    if self._ended:
                        return
            except Compacted:
                self._again()
            except (DuckconfError, OSError) as error:
                log.warning("what others change is not known now: %s", error)
                self._rest()

    def close(self) -> None:
        for end in self.at_end:
            end()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _rest(self) -> None:
        with self._news:
            self._news.wait_for(lambda: self._ended, AGAIN)

    def _again(self) -> None:
        """What has changed is not known any more: what is there now is compared with what was."""
        try:
            listing = self._table.list()
        except (DuckconfError, OSError) as error:
            log.warning("the table cannot be listed: %s", error)
            self._rest()
            return
        if listing.revision < self._revision:
            log.error("revision %d was known here, and the table is at %d", self._revision, listing.revision)
            self.close()
            self.went_back()
            return
        with self._news:
            before = {f"{part}/{name}": item for part, known in self.parts.items() for name, item in known.items.items()}
        changed: dict[str, Item | None] = {name: item for name, item in listing.items.items() if before.get(name) != item}
        self._told(listing.revision, {**changed, **dict.fromkeys(before.keys() - listing.items.keys())})

    def _told(self, revision: int, items: Mapping[str, Item | None]) -> None:
        """By one thread at a time. Who is told may ask for entries, but not wait for changes, which are told here."""
        changes = self._take(items)
        for part, (_, told) in list(self.parts.items()):
            for see in told if part in changes else ():
                try:
                    see(News(revision, changes[part]))
                except Exception:
                    # An entry that somebody wrote by hand; without this thread nothing of what others do would be known any more.
                    log.exception("a change of %s was not understood", part)
        with self._news:
            self._revision = revision
            self._news.notify_all()

    def _take(self, items: Mapping[str, Item | None]) -> dict[str, dict[str, Optional[Item]]]:
        """The changes by part."""
        changes: dict[str, dict[str, Optional[Item]]] = {}
        with self._news:
            for full, item in items.items():
                part, _, name = full.partition("/")
                known = self.known(part).items
                if item is None:
                    known.pop(name, None)
                else:
                    known[name] = item
                changes.setdefault(part, {})[name] = item
        return changes


class SharedEntries:
    """A part of a mirror; others change it too."""

    def __init__(self, mirror: Mirror, part: str, table: Table, *, probing: bool = False) -> None:
        self._mirror = mirror
        self._probing = probing
        self._part = part
        self._table = table
        mirror.known(part)

    def texts(self) -> dict[str, str]:
        return {name: item.text for name, item in self._mirror.copy(self._part).items()}

    def change(self, decide: Decide) -> int:
        begun = self._mirror.clock()
        self._require_confirmed()
        end = time.monotonic() + PATIENCE
        while True:
            since = self._mirror.revision
            changes = decide(reading := self._reading())
            if not changes:
                return since
            expected = {**self._full(reading.expected(changes)), **reading.others}
            try:
                revision = self._table.commit(self._full(changes), expected)
            except PreconditionFailed:
                left = end - time.monotonic()
                if left <= 0 or not self._mirror.reach(since + 1, left):
                    raise NotNow("what others have changed is not known here yet", "try it again in a moment") from None
                continue
            if not self._mirror.reach(revision):
                log.warning("revision %d of %s is kept, and is not known here yet", revision, self._part)
            self._mirror.fresh(begun, revision)
            return revision

    def _reading(self) -> Reading:
        """Raises what the fence of this thread raises."""
        mirror, part = self._mirror, self._part
        reading = Reading(lambda name: mirror.read(part, name), lambda: mirror.copy(part), mirror.read_whole)
        if (fence := current()) is not None:
            fence(reading.look)
        return reading

    def _require_confirmed(self) -> None:
        """At once: whoever waits in a queue for that would wait for all before him. Raises CutOff."""
        if not self._probing and (why := self._mirror.why_cut_off()):
            raise CutOff(why, "it goes on by itself when they are back")

    def _full(self, entries: Mapping[str, Value]) -> dict[str, Value]:
        return {f"{self._part}/{name}": value for name, value in entries.items()}

    def follow(self, see: See) -> None:
        self._mirror.known(self._part).see.append(see)

    def news(self) -> News:
        """All that is there, as if it had come just now."""
        return News(self._mirror.revision, self._mirror.copy(self._part))

    def catch_up(self) -> None:
        """Know all that was written before this call, in any part. Raises what the fence of this thread raises then, NotNow."""
        begun = self._mirror.clock()
        self._require_confirmed()
        revision = self._table.commit({})
        if not self._mirror.reach(revision):
            raise NotNow("what others have changed is not known here yet", "try it again in a moment")
        self._mirror.fresh(begun, revision)
        self._reading()

    def set_aside(self) -> None:
        self._table.set_aside()
