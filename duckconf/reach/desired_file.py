"""Reads `desired_state.csv` for whoever acts on it. It never writes.

A file that is being written in place by an editor looks like one with fewer rows, which would stop apps; so a file is
believed only when it was put there whole (a new file under the name) or has rested for a moment.
"""

from __future__ import annotations

import time
from pathlib import Path

from duckconf.desired import Document, read_document
from duckconf.errors import BadInput, Fault

RESTED = 0.5
FILE_NAME = "desired_state.csv"


class DesiredFile:
    """The file of one cluster, read again only when it changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int, int] | None = None
        self._document: Document | None = None
        self._reason = ""

    def changed(self) -> bool:
        """Whether the file is another one than `read` last saw."""
        return self._look() != self._stamp

    def read(self) -> Document:
        """The document as it is now; raises BadInput when it is missing, unreadable or still being written."""
        stamp = self._look()
        if stamp is None:
            self._stamp = None
            raise BadInput(Fault(self.path.name, "is missing; all apps are left as they are"))
        if stamp != self._stamp:
            same_file = self._stamp is not None and stamp[0] == self._stamp[0]
            if same_file and time.time_ns() - stamp[1] < RESTED * 1e9:
                raise BadInput(Fault(self.path.name, "is being written; waiting for it to rest"))
            self._stamp = stamp
            try:
                self._document = read_document(self.path.read_text("utf-8"), self._document)
                self._reason = ""
            except (BadInput, UnicodeDecodeError, OSError) as error:
                self._reason = str(error)
        if self._reason or self._document is None:
            raise BadInput(Fault(self.path.name, f"{self._reason}; all apps are left as they are"))
        return self._document

    def _look(self) -> tuple[int, int, int] | None:
        try:
            stat = self.path.stat()
        except OSError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size
