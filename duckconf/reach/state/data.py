"""Which node has the data of each instance, and what people accepted to lose. The first is on disk before an action, and outlives
the app: who starts it again finds its data.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from duckconf.errors import SetupError
from duckconf.local_data import Held, Move, held_from_json, held_to_json
from duckconf.reach.state.entries import Entries, OwnEntries, Reading
from duckconf.reach.state.file_table import FileTable, indented
from duckconf.reach.state.files import write_durably
from duckconf.reach.state.table import Changes, News

FILE_NAME = "data.json"
MOVES_NAME = "moves.json"
UNREADABLE = (ValueError, TypeError, AttributeError, KeyError)


Update = Callable[[Mapping[str, Held]], Mapping[str, Held]]


class Data(Protocol):
    """The data of each instance, by its name; `moves` is what people accepted to lose."""

    held: Mapping[str, Held]
    moves: Callable[[], Mapping[str, Move]]

    def keep(self, held: Mapping[str, Held]) -> None:
        """These and no others: return when they are kept safely. Raises OSError, and what was kept before holds."""

    def edit(self, update: Update) -> None:
        """As `keep`, what `update` makes of those that there are; it may be asked again."""


class ForgottenData:
    """For those who remember nothing between two starts."""

    def __init__(self) -> None:
        self.held: Mapping[str, Held] = {}
        self.moves: Callable[[], Mapping[str, Move]] = dict

    def keep(self, held: Mapping[str, Held]) -> None:
        self.held = dict(held)

    def edit(self, update: Update) -> None:
        self.keep(update(self.held))


class DataBook:
    """The data of one cluster, with an entry for each instance."""

    def __init__(self, entries: Entries, moves: Callable[[], Mapping[str, Move]] = dict, name: str = FILE_NAME) -> None:
        """Raises SetupError for entries that cannot be read, which it calls by this name: to begin anew would start apps without
        their data."""
        self._entries = entries
        self.moves = moves
        with _understood(name):
            self.held: Mapping[str, Held] = _held(entries.texts())
        entries.follow(self._see)

    @classmethod
    def at(cls, path: Path, moves: Callable[[], Mapping[str, Move]]) -> DataBook:
        """The file `data.json` of one cluster."""
        with _understood(str(path)):
            return cls(OwnEntries(FileTable(path)), moves, str(path))

    def keep(self, held: Mapping[str, Held]) -> None:
        if held != self.held:
            self.edit(lambda _: held)

    def edit(self, update: Update) -> None:
        def decide(reading: Reading) -> Changes:
            before = _held(reading.all())
            after = update(before)
            news = {name: data for name, data in after.items() if data != before.get(name)}
            return {
                **{name: indented(entry) for name, entry in held_to_json(news).items()},
                **dict.fromkeys(before.keys() - after.keys()),
            }

        self._entries.change(decide)

    def _see(self, news: News) -> None:
        kept = {name: data for name, data in self.held.items() if name not in news.items}
        self.held = {**kept, **_held({name: item.text for name, item in news.items.items() if item is not None})}


class MoveFile:
    """The file `moves.json`: the last request for each instance. The API writes it, the loop reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def moves(self) -> Mapping[str, Move]:
        """One that cannot be read counts as empty: then nobody accepted a loss."""
        try:
            content = json.loads(self.path.read_bytes())
            return {str(name): Move(str(source), str(target), int(number)) for name, (source, target, number) in content.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def ask(self, instance: str, source: str, target: str, last: int) -> None:
        """Request number `last` is the last that was carried out. Returns when this one is on disk."""
        known = self.moves()
        number = max([last, *(move.number for name, move in known.items() if name == instance)]) + 1
        self._write({**known, instance: Move(source, target, number)})

    def take_back(self, instance: str) -> None:
        """It stays where its data is. Returns when that is on disk."""
        self._write({name: move for name, move in self.moves().items() if name != instance})

    def _write(self, moves: Mapping[str, Move]) -> None:
        content = {name: [move.source, move.target, move.number] for name, move in moves.items()}
        write_durably(self.path, json.dumps(content, indent=1).encode() + b"\n")


def read_held(path: Path) -> Mapping[str, Held]:
    """What another process keeps there; nothing where it cannot be read."""
    try:
        return _held({name: item.text for name, item in FileTable(path).list().items.items()})
    except UNREADABLE:
        return {}


def _held(texts: Mapping[str, str]) -> dict[str, Held]:
    return held_from_json({name: json.loads(text) for name, text in texts.items()})


@contextmanager
def _understood(name: str) -> Iterator[None]:
    """Raises SetupError."""
    try:
        yield
    except UNREADABLE as error:
        remedy = "move it away: where data is, is then read from the containers that there are"
        raise SetupError(f"{name} cannot be read: {error}", remedy) from error
