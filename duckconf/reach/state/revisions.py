"""The past of each app: the specs that it had, and which of them served. On disk before an update is acted on, so that a process
that is killed in the middle goes on where it was.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from duckconf.by_revision import revision_from_json, revision_to_json
from duckconf.errors import BadInput
from duckconf.reach.state.file_table import FileTable
from duckconf.reach.state.table import Table
from duckconf.rollout import History

FILE_NAME = "history.json"
UNREADABLE = (BadInput, ValueError, TypeError, KeyError, AttributeError)


class Revisions(Protocol):
    """The revisions of each app, the newest last."""

    revisions: Mapping[str, History]

    def keep(self, revisions: Mapping[str, History]) -> None: ...


class RevisionBook:
    """The table of revisions of one cluster, with an entry for each app; one process writes it, from any thread. `since` has when
    each revision was first noted, in seconds since the epoch."""

    def __init__(self, table: Table, name: str = FILE_NAME) -> None:
        """What cannot be read is forgotten, with the reason in `trouble`, which calls the table by this name: without a past,
        what runs is the revision before."""
        self._table = table
        self._name = name
        self._lock = threading.Lock()
        self._entries: frozenset[str] = frozenset()
        self.trouble = ""
        self.since: dict[tuple[str, int], float] = {}
        self.revisions: Mapping[str, History] = {}
        self._read()

    @classmethod
    def at(cls, path: Path) -> RevisionBook:
        """The file `history.json` of one cluster."""
        return cls(FileTable(path, _rendered), path.name)

    def keep(self, revisions: Mapping[str, History]) -> None:
        """These and no others; returns when they are kept safely. Raises OSError, and the old ones hold."""
        with self._lock:
            self._keep(revisions, self.since)

    def change(self, changes: Mapping[str, History | None]) -> None:
        """These instead of what they were, None for an app to forget. As `keep`."""
        with self._lock:
            after = {**self.revisions, **changes}
            self._keep({app: past for app, past in after.items() if past}, self.since)

    def replace(self, revisions: Mapping[str, History], since: Mapping[tuple[str, int], float]) -> None:
        """These and no others, noted `since`, in one write. As `keep`."""
        with self._lock:
            self._keep(revisions, since, anew=True)

    def _keep(self, revisions: Mapping[str, History], known: Mapping[tuple[str, int], float], *, anew: bool = False) -> None:
        if revisions == self.revisions and not anew and not self.trouble:
            self._table.commit({})
            return
        if self.trouble:
            self._table.set_aside()
        now = time.time()
        since = {(app, item.number): known.get((app, item.number), now) for app, past in revisions.items() for item in past}
        # One app's revisions change, and all others' stay as they were written.
        news = {app: past for app, past in revisions.items() if anew or self.trouble or past != self.revisions.get(app)}
        texts = {app: _text(past, [since[app, item.number] for item in past]) for app, past in news.items()}
        self._table.commit({**texts, **dict.fromkeys(self._entries - revisions.keys())})
        self.revisions, self.since, self._entries, self.trouble = dict(revisions), since, frozenset(revisions), ""

    def told(self, app: str) -> list[dict[str, Any]]:
        """The revisions of an app as JSON, the newest last."""
        return _told(app, self.revisions.get(app, ()), self.since)

    def _read(self) -> None:
        try:
            items = self._table.list().items
        except (ValueError, TypeError, AttributeError) as error:
            self.trouble = f"{self._name} cannot be read and begins anew: {error}"
            return
        self._entries = frozenset(items)
        found: dict[str, History] = {}
        for app, item in items.items():
            try:
                revisions, since = _understood(app, json.loads(item.text))
            except UNREADABLE as error:
                self.trouble = f"{self._name}: the history of {app} cannot be read and begins anew: {error}"
                continue
            found[app] = revisions
            self.since |= since
        self.revisions = found


def _text(past: History, since: Sequence[float]) -> str:
    return _rendered([revision_to_json(item) | {"since": noted} for item, noted in zip(past, since)])


def _rendered(entries: Any) -> str:
    """Each revision of an app on a line."""
    return "[\n  " + ",\n  ".join(json.dumps(entry) for entry in entries) + "\n ]"


def _understood(app: str, entries: Any) -> tuple[History, dict[tuple[str, int], float]]:
    """The revisions of an app, and since when each of them is noted. Raises what is in UNREADABLE."""
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
