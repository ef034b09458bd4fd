"""The live picture of one server: made when something has changed and somebody looks, compared with the one before, and sent to
all who look as one patch that is written once.

Without anybody who looks it does nothing. A picture is made by one thread at a time, and never while a request waits for it.
"""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from api.live.frames import RETRY, Known, frame, known_by
from api.live.streams import Streams
from duckconf.merge_patch import merge_patch
from duckconf.picture import Picture
from duckconf.reach.state.journal import Journal
from duckconf.reach.state.news import News

# Events that a reader who knows nothing is told.
FIRST_EVENTS = 100
# Patches that a reader who comes back may still get in place of the whole picture.
KEPT_PATCHES = 200
# Seconds between the beginnings of two pictures, so that a burst of changes is one patch; a large picture, which takes longer to
# make, leaves as many times its own duration to others.
SHORTEST = 0.04
SHARE = 3.0
MOST_STREAMS = 500


log = logging.getLogger(__name__)


class Source(Protocol):
    """Where the pictures of a mode come from."""

    def look(self) -> Picture:
        """As it is now. Asks no node, and waits for nobody."""

    def due(self) -> float:
        """Seconds after which a picture may be another one although there was no news."""

    def watch(self) -> None:
        """Somebody begins to look."""


class Hub:
    """For many threads. `news` is told of whatever may change the picture, and of events."""

    def __init__(self, source: Source, journal: Journal, news: News, clock: Callable[[], float] = time.time) -> None:
        self._source = source
        self._journal = journal
        self._news = news
        self._clock = clock
        self._streams = Streams()
        self._lock = threading.Lock()
        self._epoch = secrets.token_hex(4)
        self._version = 0
        self._cursor = ""
        self._now: dict[str, Any] = {}
        self._whole = b""
        self._patches: deque[tuple[int, bytes]] = deque(maxlen=KEPT_PATCHES)
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        """Who looks."""
        return len(self._streams)

    def changed(self) -> None:
        """Something may be another than it was."""
        self._news.tell()

    def look(self) -> Picture:
        """Made now."""
        return self._source.look()

    def picture(self) -> dict[str, Any]:
        return self.look().to_json() | {"now": round(self._clock(), 3)}

    def is_full(self) -> bool:
        return len(self) >= MOST_STREAMS

    def join(self, line: socket.socket, known: str) -> None:
        """Write to this connection from now on, beginning with what its reader does not know."""
        self._look_once()
        with self._lock:
            # What the others are not told yet either: it would be told twice to this one.
            for content in self._events():
                self._streams.send(content)
            self._streams.add(line, self._greeting(known_by(known)))
            if self._thread is None:
                self._thread = threading.Thread(target=self._follow, name="pictures", daemon=True)
                self._thread.start()
        self._news.tell()

    def greeting(self, known: str) -> bytes:
        """What a stream begins with."""
        self._look_once()
        with self._lock:
            return self._greeting(known_by(known))

    def _greeting(self, known: Known) -> bytes:
        page = self._journal.after(known.cursor) if _is_place(known.cursor) else self._journal.tail(FIRST_EVENTS)
        events = [event.to_json() for event in page.events[-FIRST_EVENTS:]]
        told = frame("events", events, self._known()) if events else b""
        missed = [content for version, content in self._patches if version > known.version]
        if known.epoch == self._epoch and len(missed) == self._version - known.version:
            return RETRY + frame("now", self._time(), self._known()) + b"".join(missed) + told
        if not self._whole:
            self._whole = frame("picture", self._now, self._known())
        return RETRY + frame("now", self._time(), self._known()) + self._whole + told

    def _time(self) -> dict[str, float]:
        return {"now": round(self._clock(), 3)}

    def _known(self) -> Known:
        return Known(self._epoch, self._version, self._cursor)

    def _look_once(self) -> None:
        """Before the first of them joins, nobody has made a picture for a while."""
        with self._lock:
            self._source.watch()
            if not len(self):
                self._cursor = self._journal.tail(0).cursor
                self._renew()

    def _follow(self) -> None:
        seen = self._news.count
        while True:
            begun = time.thread_time()
            with self._lock:
                if not len(self):
                    self._thread = None
                    return
                self._tell_all()
            # What it cost, and not how long the machine let it wait for a processor.
            took = time.thread_time() - begun
            time.sleep(max(SHORTEST - took, took * (SHARE - 1) if took > SHORTEST / 2 else 0.0, 0.0))
            seen = self._news.wait(seen, self._source.due())

    def _tell_all(self) -> None:
        try:
            for content in (*self._events(), *self._renew()):
                self._streams.send(content)
        except Exception:
            # A picture that cannot be made is one that is late; without this thread there would be none any more.
            log.exception("no picture can be made for now")

    def _events(self) -> list[bytes]:
        page = self._journal.after(self._cursor) if _is_place(self._cursor) else self._journal.tail(FIRST_EVENTS)
        self._cursor = page.cursor
        return [frame("events", [event.to_json() for event in page.events], self._known())] if page.events else []

    def _renew(self) -> list[bytes]:
        """The patch from the last picture to the one of now, if they differ."""
        now = self._source.look().to_json()
        patch = merge_patch(self._now, now)
        if not patch:
            return []
        self._now, self._whole = now, b""
        self._version += 1
        content = frame("patch", patch, self._known())
        self._patches.append((self._version, content))
        return [content]


def _is_place(cursor: str) -> bool:
    inode, dash, offset = cursor.partition("-")
    return bool(dash) and inode.isdigit() and offset.isdigit()
