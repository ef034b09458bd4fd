"""Which node has the data of each instance, and what people accepted to lose. The first is on disk before an action, and outlives
the app: who starts it again finds its data.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from duckconf.errors import SetupError
from duckconf.local_data import Held, Move, held_from_json, held_to_json
from duckconf.reach.state.file_table import FileTable, indented
from duckconf.reach.state.files import write_durably
from duckconf.reach.state.table import Table

FILE_NAME = "data.json"
MOVES_NAME = "moves.json"


class Data(Protocol):
    """The data of each instance, by its name; `moves` is what people accepted to lose."""

    held: Mapping[str, Held]
    moves: Callable[[], Mapping[str, Move]]

    def keep(self, held: Mapping[str, Held]) -> None: ...


class ForgottenData:
    """For those who remember nothing between two starts."""

    def __init__(self) -> None:
        self.held: Mapping[str, Held] = {}
        self.moves: Callable[[], Mapping[str, Move]] = dict

    def keep(self, held: Mapping[str, Held]) -> None:
        self.held = dict(held)


class DataBook:
    """The table of data of one cluster, with an entry for each instance; one process writes it."""

    def __init__(self, table: Table, moves: Callable[[], Mapping[str, Move]], name: str = FILE_NAME) -> None:
        """Raises SetupError for a table that cannot be read, which it calls by this name: to begin anew would start apps without
        their data."""
        self._table = table
        self.moves = moves
        try:
            self.held: Mapping[str, Held] = _held(table)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            remedy = "move it away: where data is, is then read from the containers that there are"
            raise SetupError(f"{name} cannot be read: {error}", remedy) from error

    @classmethod
    def at(cls, path: Path, moves: Callable[[], Mapping[str, Move]]) -> DataBook:
        """The file `data.json` of one cluster."""
        return cls(FileTable(path), moves, str(path))

    def keep(self, held: Mapping[str, Held]) -> None:
        """Return when it is kept safely. Raises OSError, and what was kept before holds."""
        if held != self.held:
            news = {name: data for name, data in held.items() if data != self.held.get(name)}
            texts = {name: indented(entry) for name, entry in held_to_json(news).items()}
            self._table.commit({**texts, **dict.fromkeys(self.held.keys() - held.keys())})
            self.held = dict(held)


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
        return _held(FileTable(path))
    except (ValueError, TypeError, AttributeError, KeyError):
        return {}


def _held(table: Table) -> dict[str, Held]:
    return held_from_json({name: json.loads(item.text) for name, item in table.list().items.items()})
