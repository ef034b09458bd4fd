"""The events of a cluster: one JSON object per line, appended by every process that has something to tell.

An append is one write, so that lines of several processes never mix. The file is bounded: a full one becomes
`events.jsonl.1` in place of the one before. Losing an event in a power cut is allowed; losing an app is not.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from duckconf.causes import BEGINS, EDITED, Causes, is_of_request
from duckconf.errors import BadInput, Fault
from duckconf.events import Event, event_from_json
from duckconf.reach.state import logs
from duckconf.reach.state.news import NOT_TOLD, News

FILE_NAME = "events.jsonl"
LARGEST = 2 * 1024 * 1024
# Digits of an inode or an offset: what is longer is none, and too much for the kernel.
LONGEST_PLACE = 19
# Of the events before our own first one.
MOST_NOTED = 20_000

log = logging.getLogger("events")


class Page(NamedTuple):
    """Events in order, and the place in the journal behind the last of them."""

    cursor: str
    events: tuple[Event, ...]


class Journal:
    """The journal of one cluster; `source` names the process that writes here. `news` is told of what is written here; where
    others write too, whoever made it has it told of that."""

    def __init__(self, path: Path, source: str = "", largest: int = LARGEST, news: News | None = None) -> None:
        self.path = path
        self.news = news or News(NOT_TOLD)
        self.request: Callable[[], str] = str
        """The id of the request that is being answered, "" for none."""
        self.relay: Callable[[Event], object] = lambda _: None
        """Given what is written down here, for those who keep a journal of their own."""
        self._source = source
        self._largest = largest
        self._adding = threading.Lock()
        self._causes = Causes()
        self._noted_to = ""

    def add(self, event: Event) -> str:
        """Write it down with the time of now, our name when it bears none, and the id of the request that it goes back to, which
        is returned. A full disk loses the event and nothing else."""
        number = event.id or self._id_of(event)
        told = replace(event, id=number, source=event.source or self._source, time=round(time.time(), 3))
        logs.tell(log, [told])
        self.take(told)
        self.relay(told)
        return number

    def take(self, told: Event) -> None:
        """Write it down as it is: what another journal has."""
        line = json.dumps(told.to_json(), ensure_ascii=False)
        with contextlib.suppress(OSError):
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, line.encode() + b"\n")
                if os.fstat(descriptor).st_size > self._largest:
                    self._turn_over(descriptor)
            finally:
                os.close(descriptor)
        self.news.tell()

    def _id_of(self, event: Event) -> str:
        if event.kind == EDITED:
            return secrets.token_hex(4)
        asked = self.request() if is_of_request(event) else ""
        if asked or not event.app:
            return asked
        if event.kind in BEGINS:
            return secrets.token_hex(4)
        with self._adding, contextlib.suppress(BadInput):
            # Others write here too: what a request did, the API has told.
            page = self.after(self._noted_to) if self._noted_to else self.tail(MOST_NOTED)
            for earlier in page.events:
                self._causes.note(earlier)
            self._noted_to = page.cursor
            return self._causes.of(event)
        return ""

    def tail(self, limit: int) -> Page:
        """The newest `limit` events."""
        older, newer = _read(self._older, 0), _read(self.path, 0)
        lines = [*older.lines, *newer.lines]
        return Page(newer.cursor, _events(lines[-limit:] if limit else []))

    def after(self, cursor: str) -> Page:
        """What came after `cursor`; raises BadInput for one that this journal did not give."""
        inode, offset = _place(cursor)
        newer = _read(self.path, offset, only_from=inode)
        rest = _read(self._older, offset).lines if newer.inode != inode and _inode(self._older) == inode else ()
        return Page(newer.cursor if newer.inode else cursor, _events([*rest, *newer.lines]))

    def wait(self, cursor: str, seconds: float) -> Page:
        """As `after`, but held until there is something or `seconds` have passed."""
        end, seen = time.monotonic() + seconds, self.news.count
        while not (page := self.after(cursor)).events and (left := end - time.monotonic()) > 0:
            seen = self.news.wait(seen, left)
        return page

    @property
    def _older(self) -> Path:
        return self.path.with_name(f"{self.path.name}.1")

    def _turn_over(self, descriptor: int) -> None:
        """One process turns it over; another that was about to finds a new file under the name."""
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _inode(self.path) == os.fstat(descriptor).st_ino:
            os.replace(self.path, self._older)


def _place(cursor: str) -> tuple[int, int]:
    inode, _, offset = cursor.partition("-")
    if not all(part.isascii() and part.isdigit() and len(part) < LONGEST_PLACE for part in (inode, offset)):
        raise BadInput(Fault("since", f"should be the cursor of an earlier answer, got {cursor!r}"))
    return int(inode), int(offset)


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


class _Part(NamedTuple):
    inode: int
    end: int
    lines: tuple[bytes, ...]

    @property
    def cursor(self) -> str:
        return f"{self.inode}-{self.end}"


def _read(path: Path, offset: int, only_from: int | None = None) -> _Part:
    """Whole lines of one file; the offset counts from its start when the file is another one than `only_from`."""
    try:
        with path.open("rb") as stream:
            inode = os.fstat(stream.fileno()).st_ino
            begin = offset if only_from in (None, inode) else 0
            stream.seek(begin)
            content = stream.read()
    except FileNotFoundError:
        return _Part(0, 0, ())
    whole = content[: content.rfind(b"\n") + 1]
    return _Part(inode, begin + len(whole), tuple(whole.splitlines()))


def _events(lines: Iterable[bytes]) -> tuple[Event, ...]:
    found = []
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            found.append(event_from_json(json.loads(line)))
    return tuple(found)
