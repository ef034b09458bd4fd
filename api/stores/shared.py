"""The desired state as several servers keep it together: an entry for each app.

Each server knows all apps and follows what the others write. Of two that change an app at the same time, the second one decides
again on what the first one wrote.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from api.stores.changes import Changes, Counts, Decide, Listing, See, View
from api.stores.store import Store, decided
from api.stores.together import Together, Waiting
from duckconf.codec import to_json
from duckconf.desired import Readable
from duckconf.errors import BadInput, Conflict, Fault
from duckconf.model import App, parse_app
from duckconf.naming import declared_number
from duckconf.reach.state.entries import Entries, Reading
from duckconf.reach.state.fence import fenced
from duckconf.reach.state.table import Changes as Texts
from duckconf.reach.state.table import News

PART = "apps"
# Whoever gives an app a route writes this one too: two apps with one address can then not come at the same time.
ROUTES = ".routes"
# The N of the next `app-N`, and what another store, whose place this one took, had counted its generations to.
COUNTED = ".counted"
NO_APPS = (ROUTES, COUNTED)


class SharedStore(Store):
    """The part `apps` of what the servers keep."""

    name = "the state in etcd"

    def __init__(
        self,
        entries: Entries,
        see: See,
        troubled: Callable[[], str],
        revision: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`see` is given every change, in order, also those of other servers. `troubled` says why the store cannot be written
        now, "" when it can; what is there was read at `revision`. `clock` gives the seconds since the epoch."""
        self._entries = entries
        self._see = see
        self._troubled = troubled
        self._clock = clock
        self._news = threading.Condition()
        self._flushing = threading.Lock()
        self._together = Together(self._flush, self._flushing)
        self._apps: dict[str, App] = {}
        self._texts: dict[str, str] = {}
        self._written: dict[str, tuple[str, App]] = {}
        """What this server wrote last, to be known again when it comes back."""
        self._faults: dict[str, str] = {}
        self._revision = revision
        self._highest = 0
        self._number = 1
        self._ended = False
        entries.follow(self._follow)
        self._take(entries.texts(), revision)

    @property
    def trouble(self) -> str:
        return self._troubled()

    def find(self, name: str) -> App | None:
        return self._apps.get(name)

    def fault_of(self, name: str) -> str:
        return self._faults.get(name, "")

    def listing(self) -> Listing:
        with self._news:
            return Listing(self._revision, dict(self._apps), tuple(self._faults.values()))

    @property
    def counts(self) -> Counts:
        with self._news:
            return Counts(_generation(self._highest, self._clock()), self._number)

    def submit(self, decide: Decide) -> None:
        self._together.submit(decide)

    def wait(self, since: int, seconds: float) -> int:
        with self._news:
            self._news.wait_for(lambda: self._revision != since or self._ended, seconds)
            return self._revision

    def confirm(self) -> bool:
        return False

    def watch(self) -> None:
        """The mirror follows."""

    def close(self) -> None:
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _flush(self, batch: list[Waiting]) -> None:
        now = self._clock()
        # Each of them has a fence of its own.
        with fenced(None):
            self._entries.change(lambda reading: self._decide(batch, reading, now))

    def _decide(self, batch: list[Waiting], reading: Reading, now: float) -> Texts:
        def app(name: str) -> App | None:
            text = reading.get(name)
            return self._understood(name, text) if text is not None else None

        def apps() -> dict[str, App]:
            every = {name: self._understood(name, text) for name, text in reading.all().items() if name not in NO_APPS}
            return {name: app for name, app in every.items() if app is not None}

        counts = Counts(_generation(self._highest, now), self._number)
        overlay = decided(batch, View(app, counts.number, counts.revision, apps), self._refuse_unreadable, reading.look)
        texts: dict[str, str | None] = {name: _text(app) if app is not None else None for name, app in overlay.items()}
        self._written = {name: (text, app) for name, app in overlay.items() if app is not None and (text := texts[name])}
        if any(app is not None and app.routes for app in overlay.values()):
            texts[ROUTES] = str(int(reading.get(ROUTES) or "0") + 1)
        if (number := max((declared_number(name) + 1 for name in overlay), default=0)) > counts.number:
            texts[COUNTED] = json.dumps(_counts(reading.get(COUNTED) or "")._replace(number=number)._asdict())
        return texts

    def _understood(self, name: str, text: str) -> App | None:
        """None for what cannot be read."""
        if text == self._texts.get(name):
            return self._apps.get(name)
        try:
            return _app(name, text)
        except BadInput:
            return None

    def _refuse_unreadable(self, changes: Changes) -> None:
        for name in changes if self._faults else ():
            if fault := self.fault_of(name):
                raise Conflict(fault, "correct that entry first, or remove it with etcdctl")

    def _follow(self, news: News) -> None:
        # The same on all servers, whatever else each of them is told of at the same time.
        revision = max((item.revision for item in news.items.values() if item is not None), default=news.revision)
        self._take({name: item.text if item is not None else None for name, item in news.items.items()}, revision)

    def _take(self, texts: Texts, revision: int) -> None:
        changes: dict[str, App | None] = {}
        with self._news:
            for name, text in texts.items():
                if name == COUNTED and text is not None:
                    self._count_on(_counts(text))
                if name in NO_APPS:
                    continue
                self._faults.pop(name, None)
                changes[name] = None
                if text is not None:
                    try:
                        written = self._written.get(name)
                        changes[name] = written[1] if written is not None and written[0] == text else _app(name, text)
                    except BadInput as bad:
                        self._faults[name] = f"the entry of {name} cannot be read: {bad}"
                self._keep(name, changes[name], text)
            self._revision = revision
            self._see(changes, Readable(frozenset(self._faults)))
            self._news.notify_all()

    def _keep(self, name: str, app: App | None, text: str | None) -> None:
        if app is None or text is None:
            self._apps.pop(name, None)
            self._texts.pop(name, None)
            return
        self._apps[name], self._texts[name] = app, text
        self._count_on(Counts(max((0, *app.generation)) + 1, declared_number(name) + 1))

    def _count_on(self, counts: Counts) -> None:
        self._highest, self._number = max(self._highest, counts.revision - 1), max(self._number, counts.number)


def count_on(entries: Entries, counts: Counts) -> None:
    """Have all servers of these entries count on from there. Raises NotNow."""
    entries.change(lambda _: {COUNTED: json.dumps(counts._asdict())})


def _generation(highest: int, now: float) -> int:
    """Above all that were given, also by another store, or after the snapshot that this one was restored from."""
    return max(highest + 1, int(now))


def _counts(text: str) -> Counts:
    """What somebody wrote by hand counts nothing."""
    try:
        told = json.loads(text)
        return Counts(int(told["revision"]), int(told["number"]))
    except (ValueError, TypeError, KeyError):
        return Counts(0, 0)


def _text(app: App) -> str:
    return json.dumps(to_json(app), ensure_ascii=False)


def _app(name: str, text: str) -> App:
    """Raises BadInput."""
    try:
        return replace(parse_app(json.loads(text), placed=True), name=name)
    except ValueError as error:
        raise BadInput(Fault("", f"is not JSON: {error}")) from None
