"""A table in one JSON file that a person can read and edit: replaced as a whole, with each entry on lines of its own."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from duckconf.reach.state.files import write_durably
from duckconf.reach.state.table import ANY, Changes, Compacted, Item, Listing, News, check

# Of the newest changes, for those who follow.
MOST_KNOWN = 10_000


def indented(value: Any) -> str:
    """An entry as it stands in the file, one step in."""
    return json.dumps(value, indent=1).replace("\n", "\n ")


class FileTable:
    """One process writes it. It is read once: what people edit is taken at the next start."""

    def __init__(self, path: Path, render: Callable[[Any], str] = indented) -> None:
        """`render` gives the text of an entry that was read; a file that cannot be read is an error of `get` and `list`."""
        self.path = path
        self._news = threading.Condition()
        # Grows over restarts: revisions that were handed out before are never given again.
        self._first = self._revision = time.time_ns()
        self._known: deque[tuple[int, str, Item | None]] = deque(maxlen=MOST_KNOWN)
        self._items: dict[str, Item] = {}
        self._lines: dict[str, str] = {}
        self._damage: Exception | None = None
        try:
            self._take(json.loads(path.read_bytes()), render)
        except FileNotFoundError:
            pass
        except (ValueError, TypeError, AttributeError) as error:
            self._damage = error

    def _take(self, content: Any, render: Callable[[Any], str]) -> None:
        self._items = {str(name): Item(render(value), self._first) for name, value in dict(content).items()}
        self._lines = {name: _line(name, item.text) for name, item in self._items.items()}

    def get(self, name: str) -> Item | None:
        """Raises ValueError, TypeError or AttributeError for a file that cannot be read, as `list` does."""
        with self._news:
            self._require_whole()
            return self._items.get(name)

    def list(self, prefix: str = "") -> Listing:
        with self._news:
            self._require_whole()
            return Listing(self._revision, {name: item for name, item in self._items.items() if name.startswith(prefix)})

    def _require_whole(self) -> None:
        if self._damage is not None:
            raise self._damage

    def commit(self, changes: Changes, expected: Mapping[str, int] = ANY) -> int:
        """A file that is missing is written also when nothing has changed."""
        with self._news:
            check(expected, {name: self._items[name].revision for name in expected if name in self._items})
            made = {name: text for name, text in changes.items() if text is not None or name in self._items}
            if not made and self.path.exists():
                return self._revision
            revision = self._revision + 1
            lines = {name: line for name, line in self._lines.items() if name not in made}
            lines |= {name: _line(name, text) for name, text in made.items() if text is not None}
            write_durably(self.path, _whole(lines))
            self._lines, self._damage, self._revision = lines, None, revision
            for name, text in made.items():
                self._set(name, None if text is None else Item(text, revision))
            self._news.notify_all()
            return revision

    def _set(self, name: str, item: Item | None) -> None:
        if item is None:
            del self._items[name]
        else:
            self._items[name] = item
        if len(self._known) == MOST_KNOWN:
            # What is pushed out is not known any more, and so are all changes of its write.
            self._first = max(self._first, self._known[0][0])
        self._known.append((self._revision, name, item))

    def follow(self, since: int, pause: float) -> Iterator[News]:
        while True:
            with self._news:
                if not self._first <= since <= self._revision:
                    self._forgotten(since)
                known = since
                self._news.wait_for(lambda: self._revision != known, pause)  # noqa: B023 (called before the next round)
                if since < self._first:
                    self._forgotten(since)
                found = {name: item for revision, name, item in self._known if revision > since}
                since = self._revision
            yield News(since, found)

    def _forgotten(self, since: int) -> NoReturn:
        raise Compacted(f"{self.path.name}: what has changed since revision {since} is not known any more", "list it again")

    def set_aside(self) -> None:
        if self.path.exists():
            self.path.replace(self.path.with_name(f"{self.path.name}.bad"))


def _line(name: str, text: str) -> str:
    return f" {json.dumps(name)}: {text}"


def _whole(lines: Mapping[str, str]) -> bytes:
    return ("{\n" + ",\n".join(lines[name] for name in sorted(lines)) + "\n}\n" if lines else "{}\n").encode()
