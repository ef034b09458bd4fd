"""The past of each app: the specs that it had, and which of them served. On disk before an update is acted on, so that a process
that is killed in the middle goes on where it was.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Protocol

from duckconf.by_revision import revision_from_json, revision_to_json
from duckconf.errors import BadInput
from duckconf.reach.state.entries import Decide, Entries, OwnEntries, Reading
from duckconf.reach.state.file_table import FileTable
from duckconf.reach.state.table import Changes
from duckconf.rollout import History

FILE_NAME = "history.json"
UNREADABLE = (BadInput, ValueError, TypeError, KeyError, AttributeError)
Past = tuple[History, dict[tuple[str, int], float]]
"""The revisions of an app, and since when each of them is noted."""


class Revisions(Protocol):
    """The revisions of each app, the newest last."""

    @property
    def revisions(self) -> Mapping[str, History]: ...

    def keep(self, revisions: Mapping[str, History]) -> None: ...


class RevisionBook:
    """The revisions of one cluster, with an entry for each app, for many threads. `since` has when each revision was first
    noted, in seconds since the epoch."""

    def __init__(self, entries: Entries, name: str = FILE_NAME, trouble: str = "") -> None:
        """What cannot be read is forgotten, with the reason in `trouble`, which calls the book by this name: without a past,
        what runs is the revision before."""
        self._entries = entries
        self._name = name
        self._changing = threading.Lock()
        self._texts: dict[str, str] = {}
        self._written: dict[str, tuple[str, Past]] = {}
        self.trouble = trouble
        self.since: dict[tuple[str, int], float] = {}
        self.revisions: dict[str, History] = {}
        entries.follow(lambda news: self._see({name: item.text if item else None for name, item in news.items.items()}))
        self._see(entries.texts())

    @classmethod
    def at(cls, path: Path) -> RevisionBook:
        """The file `history.json` of one cluster."""
        table = FileTable(path, _rendered)
        try:
            return cls(OwnEntries(table), path.name)
        except (ValueError, TypeError, AttributeError) as error:
            return cls(OwnEntries.anew(table), path.name, f"{path.name} cannot be read and begins anew: {error}")

    def keep(self, revisions: Mapping[str, History]) -> None:
        """These and no others; returns when they are kept safely. Raises OSError, and the old ones hold."""
        self._replace(revisions, self.since, anew=bool(self.trouble))

    def replace(self, revisions: Mapping[str, History], since: Mapping[tuple[str, int], float]) -> None:
        """These and no others, noted `since`, in one write. As `keep`."""
        self._replace(revisions, since, anew=True)

    def edit(self, apps: Collection[str], update: Callable[[str, History], History]) -> None:
        """What `update` makes of the revisions of each of these apps, () to forget one; it may be asked again. As `keep`."""

        def decide(reading: Reading) -> Changes:
            changes: dict[str, Optional[str]] = {}
            for app in apps:
                before, since = self._known(app, reading.get(app))
                if (after := update(app, before)) != before:
                    changes[app] = self._text(app, after, since) if after else None
            return changes

        self._change(decide)

    def _replace(self, revisions: Mapping[str, History], since: Mapping[tuple[str, int], float], *, anew: bool) -> None:
        def decide(reading: Reading) -> Changes:
            # One app's revisions change, and all others' stay as they were written.
            news = {app: past for app, past in revisions.items() if anew or past != self.revisions.get(app)}
            if not news and revisions.keys() == self.revisions.keys() and not self.trouble:
                return {}
            gone = dict.fromkeys(reading.all().keys() - revisions.keys())
            return {**{app: self._text(app, past, since) for app, past in news.items()}, **gone}

        self._change(decide)

    def _change(self, decide: Decide) -> None:
        with self._changing:
            if self.trouble:
                self._entries.set_aside()
            try:
                self._entries.change(decide)
                self.trouble = ""
            finally:
                self._written.clear()

    def told(self, app: str) -> list[dict[str, Any]]:
        """The revisions of an app as JSON, the newest last."""
        return _told(app, self.revisions.get(app, ()), self.since)

    def _text(self, app: str, past: History, known: Mapping[tuple[str, int], float]) -> str:
        now = time.time()
        since = {(app, item.number): known.get((app, item.number), now) for item in past}
        text = _text(past, list(since.values()))
        self._written[app] = text, (past, since)
        return text

    def _known(self, app: str, text: str | None) -> Past:
        """What this text says, which may be newer than what was told. Unreadable, it says nothing."""
        if text is None or text == self._texts.get(app):
            return self.revisions.get(app, ()) if text is not None else (), self.since
        try:
            return _understood(app, json.loads(text))
        except UNREADABLE:
            return (), {}

    def _see(self, changes: Mapping[str, Optional[str]]) -> None:
        for app, text in changes.items():
            past, since = self._read(app, text) if text is not None else ((), {})
            for item in self.revisions.get(app, ()):
                self.since.pop((app, item.number), None)
            self.since.update(since)
            if text is not None and past:
                self.revisions[app], self._texts[app] = past, text
            else:
                self.revisions.pop(app, None)
                self._texts.pop(app, None)

    def _read(self, app: str, text: str) -> Past:
        written = self._written.get(app)
        if written is not None and written[0] == text:
            return written[1]
        try:
            return _understood(app, json.loads(text))
        except UNREADABLE as error:
            self.trouble = f"{self._name}: the history of {app} cannot be read and begins anew: {error}"
            return (), {}


def _text(past: History, since: Sequence[float]) -> str:
    return _rendered([revision_to_json(item) | {"since": noted} for item, noted in zip(past, since)])


def _rendered(entries: Any) -> str:
    """Each revision of an app on a line."""
    return "[\n  " + ",\n  ".join(json.dumps(entry) for entry in entries) + "\n ]"


def _understood(app: str, entries: Any) -> Past:
    """Raises what is in UNREADABLE."""
    since = {(app, int(entry["number"])): float(entry["since"]) for entry in entries}
    return tuple(revision_from_json(entry) for entry in entries), since


def _told(app: str, past: History, since: Mapping[tuple[str, int], float]) -> list[dict[str, Any]]:
    return [revision_to_json(item) | {"since": since.get((app, item.number), 0.0)} for item in past]


def read_told(path: Path, app: str) -> list[dict[str, Any]]:
    """What another process keeps there of an app; nothing where it has kept nothing, or nothing that can be read."""
    try:
        return _told(app, *_understood(app, json.loads(path.read_bytes()).get(app, ())))
    except (*UNREADABLE, OSError):
        return []
