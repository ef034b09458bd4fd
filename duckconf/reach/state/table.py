"""What a book keeps: texts of JSON by name, behind one small interface that files and transactions serve equally well.

A table is the largest thing that both change in one step: a file is replaced as a whole, a transaction takes many keys. One
interface for all files at once would promise a step over two of them, which no file system has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple, Optional, Protocol

from duckconf.errors import DuckconfError, PreconditionFailed

ANY: Mapping[str, int] = MappingProxyType({})
"""No expectation of what is there."""
ABSENT = 0
"""The revision of an entry that there is not."""


class Item(NamedTuple):
    """An entry as text, and the revision of the write that made it what it is."""

    text: str
    revision: int


class Listing(NamedTuple):
    """All entries as they were at one revision."""

    revision: int
    items: Mapping[str, Item]


class News(NamedTuple):
    """What became of entries (None: it is gone), up to a revision. Without any, nothing has changed for a while."""

    revision: int
    items: Mapping[str, Optional[Item]]


Changes = Mapping[str, Optional[str]]
"""New texts by name, None for an entry to remove."""


class Compacted(DuckconfError):
    """What has changed since the revision that was named is not known any more: list it all again."""


class Table(Protocol):
    """For many threads. Revisions only grow, and never repeat."""

    def get(self, name: str) -> Item | None: ...

    def list(self, prefix: str = "") -> Listing: ...

    def commit(self, changes: Changes, expected: Mapping[str, int] = ANY) -> int:
        """Make all these changes, or none: the revision at which they are kept safely. `expected` has revisions that entries must
        be at, ABSENT for one that must not be there. Raises PreconditionFailed, NotNow, OSError."""

    def follow(self, since: int, pause: float) -> Iterator[News]:
        """What was changed after the revision `since`, in order and without end; without changes, empty news after every `pause`
        seconds or earlier. Raises Compacted."""

    def set_aside(self) -> None:
        """Keep what is there for a person to look at: the next commit replaces what cannot be read. Raises OSError."""


def check(expected: Mapping[str, int], found: Mapping[str, int]) -> None:
    """Raises PreconditionFailed when an entry is at another revision (`found`: ABSENT where it has none) than is expected."""
    for name, revision in expected.items():
        if (now := found.get(name, ABSENT)) != revision:
            where = f"it is at {now}" if now else "it is not there"
            wanted = f"at revision {revision}" if revision else "absent"
            raise PreconditionFailed(f"{name} is not {wanted}: {where}", "read it again")
