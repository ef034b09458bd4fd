"""The past of each app: the specs that it had, and which of them served. On disk before an update is acted on, so that a process
that is killed in the middle goes on where it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from duckconf.codec import spec_hash, to_json
from duckconf.errors import BadInput
from duckconf.model import parse_app
from duckconf.reach.state.files import write_durably
from duckconf.rollout import History, Revision

FILE_NAME = "history.json"


class Revisions(Protocol):
    """The revisions of each app, the newest last."""

    revisions: Mapping[str, History]

    def keep(self, revisions: Mapping[str, History]) -> None: ...


class RevisionBook:
    """The file `history.json` of one cluster; one process writes it. `since` has when each revision was first noted, in
    seconds since the epoch."""

    def __init__(self, path: Path) -> None:
        """What cannot be read is forgotten, with the reason in `trouble`: without a past, what runs is the revision before."""
        self._path = path
        self.trouble = ""
        self.since: dict[tuple[str, int], float] = {}
        self.revisions: Mapping[str, History] = {}
        if path.exists():
            self._read()

    def keep(self, revisions: Mapping[str, History]) -> None:
        """Return when they are on disk. Raises OSError, and the old ones hold."""
        if revisions == self.revisions and self._path.exists() and not self.trouble:
            return
        if self.trouble and self._path.exists():
            self._path.replace(self._path.with_name(f"{self._path.name}.bad"))
        now = time.time()
        since = {(app, item.number): self.since.get((app, item.number), now) for app, past in revisions.items() for item in past}
        content = {
            app: [entry(item) | {"since": since[app, item.number]} for item in past] for app, past in sorted(revisions.items())
        }
        write_durably(self._path, json.dumps(content, indent=1).encode() + b"\n")
        self.revisions, self.since, self.trouble = dict(revisions), since, ""

    def told(self, app: str) -> list[dict[str, Any]]:
        """The revisions of an app as JSON, the newest last."""
        past = self.revisions.get(app, ())
        return [entry(item) | {"since": self.since.get((app, item.number), 0.0)} for item in past]

    def _read(self) -> None:
        try:
            content = dict(json.loads(self._path.read_bytes()))
        except (ValueError, TypeError) as error:
            self.trouble = f"{self._path.name} cannot be read and begins anew: {error}"
            return
        for app, past in content.items():
            try:
                revisions = tuple(map(revision_of, past))
                since = {(app, int(item["number"])): float(item["since"]) for item in past}
            except (BadInput, ValueError, TypeError, KeyError, AttributeError) as error:
                self.trouble = f"{self._path.name}: the history of {app} cannot be read and begins anew: {error}"
                continue
            self.revisions = {**self.revisions, app: revisions}
            self.since |= since


def read_told(path: Path, app: str) -> list[dict[str, Any]]:
    """What another process keeps there of an app; nothing where it has kept nothing."""
    return RevisionBook(path).told(app)


def entry(revision: Revision) -> dict[str, Any]:
    """`declared` is the hash of what was declared, without what was found out of it."""
    return {
        "number": revision.number,
        "spec": revision.spec,
        "declared": spec_hash(replace(revision.app, secret_revisions={})),
        "outcome": revision.outcome,
        "why": revision.why,
        "app": to_json(revision.app),
    }


def revision_of(item: Mapping[str, Any]) -> Revision:
    """From what `entry` gave. Raises BadInput, ValueError, TypeError, KeyError or AttributeError."""
    app = parse_app(item["app"], placed=True)
    return Revision(int(item["number"]), app, str(item["outcome"]), str(item["why"]), str(item["spec"]))
