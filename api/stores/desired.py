"""The desired state as a store: one CSV file, changed by many clients and edited by people.

Changes that arrive together are decided one after the other and share one flush, so that the cost of a write stays flat
as the file grows. A change is acknowledged when it is on disk; one that cannot be written changes nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from api.stores.aside import Aside
from api.stores.changes import Changes, Counts, Decide, EditWaits, Listing, See, View, summary
from api.stores.store import Store, decided
from api.stores.together import Together, Waiting
from duckconf.brake import is_by_api, mended, why_it_waits
from duckconf.causes import EDITED
from duckconf.desired import COLUMNS, Document, changed, changes_between, marked, readable
from duckconf.errors import BadInput, Conflict, DuckconfError, NotNow
from duckconf.events import Event
from duckconf.merge import History, merged
from duckconf.model import App
from duckconf.naming import declared_number
from duckconf.reach.state.before_edit import BeforeEdit
from duckconf.reach.state.desired_file import BeingWritten, DesiredFile, stamp_from
from duckconf.reach.state.files import exchange_durably

log = logging.getLogger(__name__)

LOOK_EVERY = 0.25
# Seconds that a write waits for a person who is writing the file.
PATIENCE = 5.0
# After a restart, revisions go on here: edits by hand since the last write were counted in memory only.
SKIP = 1000


class DesiredStore(Store):
    """In a file that people may edit."""

    def __init__(
        self,
        path: Path,
        tell: Callable[[Event], object],
        layout: Sequence[str] = COLUMNS,
        see: See = lambda *_: None,
        *,
        alone: bool = False,
    ) -> None:
        """`tell` is given what people did to the file, `see` every change once it is on disk, in order. `alone`: no loop
        reads the file too, so that it is for the store to tell when it cannot be read.

        A file that is missing or bad is an error of later calls.
        """
        self.path = path
        self.name = path.name
        self._tell = tell
        self._see = see
        self._alone = alone
        self._file = DesiredFile(path, layout)
        self._aside = Aside(path, layout)
        self._before_edit = BeforeEdit(path, layout)
        self._history = History(0)
        self._flushing = threading.Lock()
        self._together = Together(self._flush, self._flushing)
        self._news = threading.Condition()
        self._ended = threading.Event()
        self._document = Document({}, layout, layout=layout, known=False)
        self._revision = 0
        self._trouble: DuckconfError | None = None
        with self._flushing:
            self._rest()
        self._history = History(self._document.revision)
        self._revision = self._document.revision + SKIP

    @property
    def trouble(self) -> str:
        return str(self._trouble) if self._trouble is not None and not isinstance(self._trouble, BeingWritten) else ""

    def find(self, name: str) -> App | None:
        return self._document.app(name)

    def listing(self) -> Listing:
        with self._news:
            document, trouble = self._document, self._trouble
            revision = self._revision
        faults = tuple(str(fault) for fault in document.faults)
        return Listing(revision, document.apps(), (str(trouble), *faults) if trouble else faults)

    @property
    def counts(self) -> Counts:
        with self._flushing:
            return Counts(self._next_revision(self._document), self._document.next_number)

    def confirm(self) -> bool:
        """The file is ours then."""
        with self._flushing:
            self._rest()
            if not isinstance(self._trouble, EditWaits):
                self._settle()
                return False
            ours, theirs = self._document, merged(self._file.read(), self._document, self._history)
            edits = changes_between(ours, theirs)
            self._trouble = None
            self._before_edit.forget()
            self._write(theirs, max(theirs.next_number, ours.next_number), {}, edits)
            self._tell_of_edit(f"an edit of {self.path.name} was confirmed", ours, edits)
            return True

    def wait(self, since: int, seconds: float) -> int:
        with self._news:
            self._news.wait_for(lambda: self._revision != since or self._ended.is_set(), seconds)
            return self._revision

    def watch(self) -> None:
        while not self._ended.wait(LOOK_EVERY):
            try:
                with self._flushing:
                    self._follow()
            except OSError as error:
                log.warning("an edit by hand cannot be merged yet: %s", error)

    def close(self) -> None:
        self._ended.set()
        with self._news:
            self._news.notify_all()
        with self._flushing:
            self._aside.clear()

    def submit(self, decide: Decide) -> None:
        self._together.submit(decide)

    def _flush(self, batch: list[Waiting]) -> None:
        """Decide and write. Called under `_flushing`."""
        self._settle()
        base = self._document
        overlay = decided(batch, View(base.app, base.next_number, self._next_revision(base), base.apps), self._refuse_bad_rows)
        if overlay:
            number = max([self._document.next_number, *(declared_number(name) + 1 for name in overlay)])
            self._write(changed(self._document, overlay), number, overlay, overlay)

    def fault_of(self, name: str) -> str:
        return str(self._document.names_badly(name) or "")

    def _refuse_bad_rows(self, names: Iterable[str]) -> None:
        for name in names if self._document.faults else ():
            if fault := self.fault_of(name):
                raise Conflict(f"{self.path.name}, {fault}", "correct or remove that row first")

    def _settle(self) -> None:
        """Know the file as it is now, waiting for one who is writing it; raises NotNow when it cannot be known."""
        self._rest()
        if isinstance(self._trouble, EditWaits):
            raise Conflict(self._trouble.message)
        if self._trouble is not None:
            raise NotNow(self._trouble.message, self._trouble.remedy or "repair the file; nothing was changed")

    def _rest(self) -> None:
        end = time.monotonic() + PATIENCE
        self._follow()
        while isinstance(self._trouble, BeingWritten) and time.monotonic() < end and not self._ended.wait(0.02):
            self._follow()

    def _follow(self) -> None:
        """Take over what was done to the file by others, and what was done to versions that we had put aside."""
        if self._file.changed() or self._trouble is not None or not self._document.known:
            self._take(self._read())
        for theirs in self._aside.edited():
            if reason := self._why_it_waits(theirs):
                # That version is not the file any more, so that it cannot be confirmed later.
                self._tell(Event("edit-refused", f"{reason}; it was replaced meanwhile: edit it again"))
            else:
                self._take(theirs)

    def _why_it_waits(self, theirs: Document) -> str:
        if is_by_api(theirs, self._document.revision):
            return ""
        known = self._document if self._document.known else self._before_edit.read() or self._document
        return why_it_waits(self.path.name, merged(theirs, self._document, self._history), known.apps().keys())

    def _read(self) -> Document | None:
        trouble: DuckconfError | None = None
        found = None
        try:
            found = self._file.read()
            if found is not self._document and (reason := self._why_it_waits(found)):
                trouble = EditWaits(reason)
        except (BadInput, BeingWritten) as error:
            trouble = error
        if trouble is None or str(trouble) != str(self._trouble):
            self._keep_before_edit(trouble)
            self._note(trouble)
        return None if trouble is not None else found

    def _keep_before_edit(self, trouble: DuckconfError | None) -> None:
        """From when an edit waits until the file can be acted on again, also over a restart."""
        if trouble is None and (self._trouble is not None or not self._document.known):
            self._before_edit.forget()
        elif isinstance(trouble, EditWaits) and self._document.known:
            self._before_edit.keep(self._document)
        elif isinstance(trouble, EditWaits) and (kept := self._before_edit.read()) is not None:
            self._publish(kept, changes_between(self._document, kept))

    def _note(self, trouble: DuckconfError | None) -> None:
        before, self._trouble = self.trouble, trouble
        if self._alone and self.trouble and self.trouble != before:
            self._tell(Event("bad-state", self.trouble))
        if self._alone and before and trouble is None:
            self._tell(Event("state-mended", mended([before])))
        self._publish(self._document, {})

    def _take(self, theirs: Document | None) -> None:
        """`theirs` lies, or lay, on disk and is not by us: merge what we wrote since they began."""
        ours = self._document
        if theirs is None or theirs == ours:
            return
        document = merged(theirs, ours, self._history)
        edits = changes_between(ours, document)
        if ours.rows and (edits or document.faults != ours.faults):
            self._tell_of_edit(f"{self.path.name} was edited by hand", ours, edits)
        if document is theirs and (theirs.revision in (0, ours.revision) or not ours.known):
            self._publish(document, edits)
        else:
            self._write(document, max(document.next_number, ours.next_number), {}, edits)

    def _tell_of_edit(self, what: str, before: Document, edits: Changes) -> None:
        self._tell(Event(EDITED, f"{what}: {summary(before, edits)}", apps=tuple(sorted(edits))))

    def _write(self, document: Document, number: int, written: Changes, changes: Changes) -> None:
        """Put the document on disk as the next revision. What was put there meanwhile is merged by `_follow`.

        `changes` are all that it differs by, `written` those that came from clients and not from an editor.
        """
        base = self._document
        revision = self._next_revision(document)
        after = marked(document, revision, number)
        aside = self._aside.name()
        exchanged, ours = exchange_durably(self.path, after.text().encode(), aside)
        if exchanged:
            self._aside.keep(aside, self._file.stamp, self._revision)
        self._file.seen(after, stamp_from(ours))
        self._history.note(revision, {name: base.app(name) for name in written})
        self._publish(after, changes, revision)

    def _next_revision(self, document: Document) -> int:
        return max(self._revision, document.revision, self._document.revision) + 1

    def _publish(self, document: Document, changes: Changes, revision: int = 0) -> None:
        with self._news:
            self._document = document
            self._revision = revision or self._revision + 1
            self._see(changes, readable(document))
            self._news.notify_all()
