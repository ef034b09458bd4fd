"""The past of each app: the specs that it had, and which of them served. On disk before an update is acted on, so that a process
that is killed in the middle goes on where it was.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from duckconf.by_revision import revision_from_json, revision_to_json
from duckconf.errors import BadInput
from duckconf.reach.state.files import write_durably
from duckconf.rollout import History

FILE_NAME = "history.json"


class Revisions(Protocol):
    """The revisions of each app, the newest last."""

    revisions: Mapping[str, History]

    def keep(self, revisions: Mapping[str, History]) -> None: ...


class RevisionBook:
    """The file `history.json` of one cluster; one process writes it, from any thread. `since` has when each revision was first
    noted, in seconds since the epoch."""

    def __init__(self, path: Path) -> None:
        """What cannot be read is forgotten, with the reason in `trouble`: without a past, what runs is the revision before."""
        self._path = path
        self._lock = threading.Lock()
        self._texts: dict[str, str] = {}
        self.trouble = ""
        self.since: dict[tuple[str, int], float] = {}
        self.revisions: Mapping[str, History] = {}
        if path.exists():
            self._read()

    def keep(self, revisions: Mapping[str, History]) -> None:
        """These and no others; returns when they are on disk. Raises OSError, and the old ones hold."""
        with self._lock:
            self._keep(revisions)

    def change(self, changes: Mapping[str, History | None]) -> None:
        """These instead of what they were, None for an app to forget. As `keep`."""
        with self._lock:
            after = {**self.revisions, **changes}
            self._keep({app: past for app, past in after.items() if past})

    def replace(self, revisions: Mapping[str, History], since: Mapping[tuple[str, int], float]) -> None:
        """These and no others, noted `since`, in one write. As `keep`."""
        with self._lock:
            before = self.since, self._texts
            self.since, self._texts = dict(since), {}
            try:
                self._keep(revisions)
            except OSError:
                self.since, self._texts = before
                raise

    def _keep(self, revisions: Mapping[str, History]) -> None:
        if revisions == self.revisions and self._path.exists() and not self.trouble:
            return
        if self.trouble and self._path.exists():
            self._path.replace(self._path.with_name(f"{self._path.name}.bad"))
        now = time.time()
        since = {(app, item.number): self.since.get((app, item.number), now) for app, past in revisions.items() for item in past}
        texts = {
            # One app's revisions change, and all others' are written as they were.
            app: self._texts[app] if app in self._texts and past == self.revisions.get(app) else _text(app, past, since)
            for app, past in sorted(revisions.items())
        }
        write_durably(self._path, ("{\n" + ",\n".join(texts.values()) + "\n}\n").encode())
        self.revisions, self.since, self._texts, self.trouble = dict(revisions), since, texts, ""

    def told(self, app: str) -> list[dict[str, Any]]:
        """The revisions of an app as JSON, the newest last."""
        past = self.revisions.get(app, ())
        return [revision_to_json(item) | {"since": self.since.get((app, item.number), 0.0)} for item in past]

    def _read(self) -> None:
        try:
            content = dict(json.loads(self._path.read_bytes()))
        except (ValueError, TypeError) as error:
            self.trouble = f"{self._path.name} cannot be read and begins anew: {error}"
            return
        found: dict[str, History] = {}
        for app, past in content.items():
            try:
                revisions = tuple(revision_from_json(item) for item in past)
                since = {(app, int(item["number"])): float(item["since"]) for item in past}
            except (BadInput, ValueError, TypeError, KeyError, AttributeError) as error:
                self.trouble = f"{self._path.name}: the history of {app} cannot be read and begins anew: {error}"
                continue
            found[app] = revisions
            self.since |= since
        self.revisions = found


def _text(app: str, past: History, since: Mapping[tuple[str, int], float]) -> str:
    entries = [json.dumps(revision_to_json(item) | {"since": since[app, item.number]}) for item in past]
    return f" {json.dumps(app)}: [\n  " + ",\n  ".join(entries) + "\n ]"


def read_told(path: Path, app: str) -> list[dict[str, Any]]:
    """What another process keeps there of an app; nothing where it has kept nothing."""
    return RevisionBook(path).told(app)
