"""Versions of a file that were replaced a moment ago: an editor may still hold them open and write to them."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from duckconf.desired import Document, read_document
from duckconf.errors import BadInput
from duckconf.reach.state.desired_file import Stamp, rested, stamp_of

# Whoever opened a file to write it has begun to within this time.
KEPT_SECONDS = 1.0
# Untouched versions beyond these go earlier: under load there are hundreds in a second.
KEPT = 3


class Aside:
    """The replaced versions of one file. Used by one thread at a time."""

    def __init__(self, path: Path, layout: Sequence[str]) -> None:
        self._path = path
        self._layout = layout
        self._numbers = itertools.count(1)
        self._kept: dict[Path, tuple[float, Stamp | None, int]] = {}
        for left_over in path.parent.glob(f".{path.name}.*"):
            left_over.unlink(missing_ok=True)

    def name(self) -> Path:
        """Where the next replaced version may lie."""
        return self._path.with_name(f".{self._path.name}.{next(self._numbers)}")

    def keep(self, aside: Path, expected: Stamp | None, revision: int) -> None:
        """`expected` is the version that was to be replaced, known as `revision`; what lies aside now may be another."""
        self._kept[aside] = (time.monotonic(), expected, revision)
        untouched = [path for path, (_, stamp, _) in self._kept.items() if stamp_of(path) == stamp]
        for path in untouched[:-KEPT]:
            self._drop(path)

    def edited(self) -> Iterator[Document]:
        """Each version that someone wrote to, once and when its writer has rested. One that cannot be read is left out."""
        for path, (since, expected, revision) in list(self._kept.items()):
            stamp = stamp_of(path)
            if stamp == expected or stamp is None:
                if time.monotonic() - since > KEPT_SECONDS:
                    self._drop(path)
            elif rested(stamp):
                document = None
                with contextlib.suppress(BadInput, UnicodeDecodeError, OSError):
                    document = read_document(path.read_text("utf-8"), layout=self._layout)
                self._drop(path)
                if document is not None:
                    yield document if document.revision else replace(document, revision=revision)

    def clear(self) -> None:
        for path in list(self._kept):
            self._drop(path)

    def _drop(self, path: Path) -> None:
        del self._kept[path]
        path.unlink(missing_ok=True)
