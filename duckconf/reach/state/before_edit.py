"""The desired state as it was before an edit that waits for confirmation: a file beside the edited one."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from duckconf.brake import BEFORE_EDIT
from duckconf.desired import COLUMNS, Document, marked, read_document
from duckconf.errors import BadInput
from duckconf.reach.state.files import write_durably


class BeforeEdit:
    """The last state that was acted on, kept while an edit waits: a process that starts meanwhile goes on with it, and a
    person finds the rows there."""

    def __init__(self, path: Path, layout: Sequence[str] = COLUMNS) -> None:
        """`path` is that of the edited file."""
        self._path = path.with_name(f"{path.name}{BEFORE_EDIT}")
        self._layout = layout

    def keep(self, document: Document) -> None:
        """Where it cannot be written, only a restart before the edit is resolved is worse off."""
        with contextlib.suppress(OSError):
            write_durably(self._path, marked(document, document.revision, document.next_number).text().encode())

    def read(self) -> Document | None:
        """None when there is none, or only a part of one."""
        try:
            return read_document(self._path.read_text("utf-8"), layout=self._layout)
        except (OSError, UnicodeDecodeError, BadInput):
            return None

    def forget(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
