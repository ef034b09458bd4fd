"""Reads `desired_state.csv` for the control loop, the API server and the tasks. It never changes that file.

An editor that saves a file in place shows an incomplete file for a moment, which would stop apps. Therefore a file is read
only after it has not changed for half a second. A file with a newer revision is read at once, because the API replaces the
file as a whole; so is the first one that a reader sees, when the API wrote it as it is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from duckconf.brake import is_by_api, why_it_waits
from duckconf.desired import COLUMNS, Document, read_document
from duckconf.errors import BadInput, DuckconfError, Fault
from duckconf.reach.state.before_edit import BeforeEdit

RESTED = 0.5
FILE_NAME = "desired_state.csv"


class BeingWritten(DuckconfError):
    """Someone is writing the file in place; it can be read when it has rested."""


class Stamp(NamedTuple):
    """What tells one version of a file from another without reading it."""

    inode: int
    written: int
    size: int


def stamp_of(path: Path) -> Stamp | None:
    """None when there is no file."""
    try:
        return stamp_from(path.stat())
    except OSError:
        return None


def stamp_from(stat: os.stat_result) -> Stamp:
    return Stamp(stat.st_ino, stat.st_mtime_ns, stat.st_size)


def rested(stamp: Stamp) -> bool:
    """Whether the last write to it is long enough ago. A clock that was set back makes nobody wait for ever."""
    return not 0 <= time.time_ns() - stamp.written < RESTED * 1e9


class DesiredFile:
    """The file of one cluster, read again only when it changed."""

    def __init__(self, path: Path, layout: Sequence[str] = COLUMNS) -> None:
        self.path = path
        self._layout = layout
        self._stamp: Stamp | None = None
        self._document: Document | None = None
        self._reason = ""

    @property
    def stamp(self) -> Stamp | None:
        """The version that `read` last saw."""
        return self._stamp

    def changed(self) -> bool:
        """Whether the file is another one than `read` last saw."""
        return stamp_of(self.path) != self._stamp

    def seen(self, document: Document, stamp: Stamp | None) -> None:
        """Take over what the caller itself put there."""
        self._document, self._stamp, self._reason = document, stamp, ""

    def read(self) -> Document:
        """The document as it is now; raises BadInput when it is missing or unreadable, BeingWritten."""
        stamp = stamp_of(self.path)
        if stamp is None:
            self._stamp = None
            raise BadInput(Fault(self.path.name, "is missing; all apps are left unchanged"))
        if stamp != self._stamp:
            self._take(stamp)
        if self._reason or self._document is None:
            raise BadInput(Fault(self.path.name, f"{self._reason}; all apps are left unchanged"))
        return self._document

    def _take(self, stamp: Stamp) -> None:
        document, reason = self._document, ""
        try:
            document = read_document(self.path.read_text("utf-8"), self._document, self._layout)
        except (BadInput, UnicodeDecodeError, OSError) as error:
            reason = str(error)
        if not (_is_whole(document if not reason else None, self._document) or rested(stamp)):
            raise BeingWritten(f"{self.path.name} is being written", "it is read when the write is complete")
        self._stamp, self._document, self._reason = stamp, document, reason


def _is_whole(document: Document | None, before: Document | None) -> bool:
    """Whether no one can be in the middle of writing it: the API replaces the file at once."""
    if document is None:
        return False
    return is_by_api(document, 0) if before is None else document.revision > before.revision


class DesiredReader:
    """The desired state for one who acts on it: versions never go back behind the newest that was seen, and an edit by
    hand that withdraws most apps is not one to act on until it is confirmed."""

    def __init__(self, path: Path, placed: Callable[[], Collection[str]] = tuple, *, keeps: bool = True) -> None:
        """`placed` gives the apps that were declared before anything was read, as far as they are known. `keeps`: the state
        before an edit that waits is kept on disk."""
        self._file = DesiredFile(path)
        self._before_edit = BeforeEdit(path)
        self._placed = placed
        self._keeps = keeps
        self._newest: Document | None = None
        self._waiting: Document | None = None

    def read(self) -> tuple[Document, str]:
        """The document to act on and "", or an earlier one and why; raises BadInput when there is none to act on."""
        try:
            document = self._file.read()
        except BeingWritten as writing:
            if self._newest is None:
                raise BadInput(Fault("", str(writing))) from writing
            return self._newest, ""
        if self._newest is not None and 0 < document.revision < self._newest.revision:
            return self._newest, (
                f"{self._file.path.name} is revision {document.revision}, and {self._newest.revision} was seen: going on with "
                "that one until the API has merged them; without an API, delete the lines `# revision` and `# end`"
            )
        newest = self._newest.revision if self._newest is not None else 0
        if document is not self._newest and not is_by_api(document, newest) and (reason := self._why_it_waits(document)):
            return self._go_on(document, reason), reason
        if self._keeps and document is not self._newest:
            self._before_edit.forget()
        self._newest, self._waiting = document, None
        return document, ""

    def _go_on(self, waiting: Document, reason: str) -> Document:
        """With the state before the edit; raises BadInput when it is not known."""
        if self._newest is None:
            self._newest = self._before_edit.read()
            if self._newest is None:
                raise BadInput(Fault("", reason))
        elif self._keeps and waiting is not self._waiting:
            self._before_edit.keep(self._newest)
        self._waiting = waiting
        return self._newest

    def _why_it_waits(self, document: Document) -> str:
        known = self._newest or self._before_edit.read()
        if known is not None:
            return why_it_waits(self._file.path.name, document, known.apps().keys())
        return why_it_waits(self._file.path.name, document, () if document.sealed is not None else self._placed())


def read_at_rest(path: Path, placed: Callable[[], Collection[str]] = tuple) -> tuple[Document, str]:
    """As `DesiredReader.read`, for one who looks once: a file that was written just now is waited for."""
    reader, end = DesiredReader(path, placed, keeps=False), time.monotonic() + 4 * RESTED
    while True:
        try:
            return reader.read()
        except BadInput:
            stamp = stamp_of(path)
            if stamp is None or rested(stamp) or time.monotonic() > end:
                return reader.read()
            time.sleep(0.02)
