"""The desired state as text: a CSV file that a person may edit and a program may change without losing a line.

`read_document` gives every row its own verdict, so that one bad row costs only its own app. Rows that cannot be
understood, comments and blank lines are kept as they are when the document is written again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

from duckconf.compose import ALIASES
from duckconf.errors import BadInput, Fault
from duckconf.instance import Instance, instances_of
from duckconf.model import DECLARED, DEFAULTS, FIELDS, NAME, PLACEMENT, App, parse_app
from duckconf.naming import app_of, declared_number
from duckconf.place_kinds import GLOBAL
from duckconf.seal import EMPTY_END, END, MARK, end_line, mark_line, why_incomplete

COLUMNS = ("name", "image", *(field for field in FIELDS if field not in ("name", "image")))
# In a state that holds the placements too.
PLACED_COLUMNS = (*COLUMNS[:2], *PLACEMENT, *COLUMNS[2:])
# The columns of a new file, and of one without a header. Others are added when an app needs them.
FIRST = frozenset({"name", "image", *PLACEMENT, "command", "env", "ports", "volumes", "cpus", "memory", "labels", "replicas"})
HEADER_KEY = "\0header"
MARK_KEY = "\0mark"
END_KEY = "\0end"


@dataclass(frozen=True)
class Row:
    """One record of the file: its text, and the app that it declares or the reason why it declares none.

    `name` is set where it could be read, also in a bad row; a comment has neither app nor fault.
    """

    text: str
    app: App | None = None
    name: str = ""
    fault: str = ""


@dataclass(frozen=True)
class RowFault:
    """A bad row: its line in the file (from 1), the app that it names ("" when unreadable) and what is wrong."""

    line: int
    name: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


@dataclass(frozen=True)
class Document:
    """The whole file. `rows` has declared apps under their names and all other records under keys of their own.

    `revision` is 0 in a file that no API wrote; `sealed` is the number of apps that it had as the API wrote it, None where
    the file does not say. `next_number` is the N of the next `app-N`, which never repeats.
    `layout` has all columns that a file of its kind can have.
    """

    rows: Mapping[str, Row]
    columns: Sequence[str] = COLUMNS
    faults: Sequence[RowFault] = ()
    revision: int = 0
    next_number: int = 1
    layout: Sequence[str] = COLUMNS
    sealed: int | None = None
    known: bool = True
    """False where no file could be read yet: what should run is not known."""

    def app(self, name: str) -> App | None:
        row = self.rows.get(name)
        return row.app if row else None

    def apps(self) -> dict[str, App]:
        return {name: row.app for name, row in self.rows.items() if row.app is not None}

    def names_badly(self, name: str) -> RowFault | None:
        """The bad row that names this app, if there is one."""
        return next((fault for fault in self.faults if fault.name == name), None)

    def text(self) -> str:
        return "".join(row.text for row in self.rows.values())


@dataclass(frozen=True)
class Desired:
    """What should run, by instance. Apps named in `unreadable` are left as they are, and so is everything that is not named
    here when the state is not `complete`. Instances in `kept` should run elsewhere: what there is of them here stays for now."""

    instances: Mapping[str, Instance] = field(default_factory=lambda: MappingProxyType({}))
    unreadable: frozenset[str] = frozenset()
    complete: bool = True
    kept: frozenset[str] = frozenset()
    empty: frozenset[str] = frozenset()
    """Apps that are declared with no instance."""
    everywhere: Mapping[str, App] = field(default_factory=lambda: MappingProxyType({}))
    """Apps of mode global whose instances do not stand in `instances` yet: they follow from the nodes (`globally`)."""

    def is_unreadable(self, instance: str) -> bool:
        return app_of(instance) in self.unreadable

    def is_unclear(self, instance: str) -> bool:
        """Whether it cannot be known that the instance, which is not named here, should not run."""
        return not self.complete or self.is_unreadable(instance) or instance in self.kept


class Readable(NamedTuple):
    """How much of a state can be read: apps named in `unreadable` are left as they are, and so is everything that is not named
    when it is not `complete`."""

    unreadable: frozenset[str] = frozenset()
    complete: bool = True


UNKNOWN = Desired(complete=False)
"""When the file is missing or cannot be read as a whole: nothing is started, nothing is stopped."""


def desired_of(document: Document) -> Desired:
    """The apps that the loop may act on: a name that stands in a bad row, or twice, is left alone."""
    unreadable, complete = readable(document)
    apps = [app for name, app in document.apps().items() if name not in unreadable]
    empty = frozenset(app.name for app in apps if not app.replicas)
    everywhere = {app.name: app for app in apps if app.mode == GLOBAL}
    return Desired(instances_of(apps), unreadable, complete, empty=empty, everywhere=everywhere)


def readable(document: Document) -> Readable:
    unreadable = frozenset(fault.name for fault in document.faults if fault.name)
    return Readable(unreadable, document.known and all(fault.name for fault in document.faults))


def empty_document(layout: Sequence[str] = COLUMNS) -> Document:
    columns = first_columns(layout)
    return Document({HEADER_KEY: Row(_line(columns)), END_KEY: Row(EMPTY_END)}, columns, layout=layout)


def first_columns(layout: Sequence[str]) -> tuple[str, ...]:
    return tuple(column for column in layout if column in FIRST)


def read_document(text: str, before: Document | None = None, layout: Sequence[str] = COLUMNS) -> Document:
    """Understand a whole file; raises BadInput when it cannot be meant as a whole.

    Rows that stand in the document of `before` as they are here are not read again: a large file is cheap to follow.
    """
    if not text.strip():
        raise BadInput(
            Fault("", f"is empty; a desired state without apps is the lines `{','.join(first_columns(layout))}` and `# end`")
        )
    rows: dict[str, Row] = {}
    faults: list[RowFault] = []
    columns: Sequence[str] = first_columns(layout)
    known: dict[str, Row] | None = None
    mark = None
    for line, record in _records(text):
        if MARK_KEY not in rows and (mark := MARK.fullmatch(record)):
            rows[MARK_KEY] = Row(record)
            continue
        if END_KEY not in rows and END.match(record):
            rows[END_KEY] = Row(record)
            continue
        if known is None and (header := _header(record)) is not None:
            columns, rows[HEADER_KEY] = header, Row(record)
            continue
        if known is None:
            known = {row.text: row for row in before.rows.values()} if before and before.columns == columns else {}
        row = known.get(record) or _row(record, columns, layout)
        if row.app is not None and row.name in rows:
            row = Row(record, None, row.name, f"the app {row.name} has two rows in the file; remove one of them")
        rows[row.name if row.app is not None else f"\0{line}"] = row
        if row.fault:
            faults.append(RowFault(line, row.name, row.fault))
    if reason := why_incomplete(text, mark, header_only=rows.keys() == {HEADER_KEY}):
        raise BadInput(Fault("", reason))
    names = {*rows, *(fault.name for fault in faults)}
    number = max([int(mark["number"]) if mark else 1, *(declared_number(name) + 1 for name in names)])
    sealed = int(mark["apps"]) if mark and mark["apps"] else None
    return Document(rows, columns, tuple(faults), int(mark["revision"]) if mark else 0, number, layout, sealed)


def marked(document: Document, revision: int, next_number: int) -> Document:
    """The document as the API writes it: with its revision below the header, where an editor keeps it, and its end."""
    rows, count = dict(document.rows), len(document.apps())
    words = Row(mark_line(revision, next_number, count))
    if MARK_KEY in rows:
        rows[MARK_KEY] = words
    else:
        header = {HEADER_KEY: rows.pop(HEADER_KEY)} if HEADER_KEY in rows else {}
        rows = {**header, MARK_KEY: words, **rows}
    rows.pop(END_KEY, None)
    open_end = _take_open_end(rows)
    rows = {**rows, END_KEY: Row(end_line(revision)), **open_end}
    return replace(document, rows=rows, revision=revision, next_number=next_number, sealed=count)


def changed(document: Document, changes: Mapping[str, App | None]) -> Document:
    """The document with these apps declared (App) or withdrawn (None); all other rows stay as they are."""
    rows = dict(document.rows)
    columns = (*document.columns, *_columns_to_add(document, changes))
    if len(columns) > len(document.columns):
        rows = {HEADER_KEY: Row(_line(columns)), **{key: row for key, row in rows.items() if key != HEADER_KEY}}
    open_end = _take_end(rows)
    for name, app in changes.items():
        if app is None:
            rows.pop(name, None)
        else:
            rows[name] = Row(encode(app, columns), app, name)
    return replace(document, rows={**rows, **open_end}, columns=columns)


def with_unclear(document: Document, names: Sequence[str]) -> Document:
    """The document with a row for each of these apps that a person has to complete: until then they are left alone."""
    if not names:
        return document
    rows = dict(document.rows)
    open_end = _take_end(rows)
    for name in names:
        rows[f"\0{name}"] = Row(f"{name},\n", None, name, "its image is not known")
    return read_document("".join(row.text for row in {**rows, **open_end}.values()), layout=document.layout)


def changes_between(before: Document, after: Document) -> dict[str, App | None]:
    """What someone did to the file: the apps declared, changed (App) or withdrawn (None) from one state to the next."""
    old, new = before.apps(), after.apps()
    gone: dict[str, App | None] = {name: None for name in old if name not in new}
    return gone | {name: app for name, app in new.items() if old.get(name) != app}


def encode(app: App, columns: Sequence[str]) -> str:
    """The app's line. Lists and mappings are words as a shell would split them, so that a person can type them."""
    return _line([_cell(app, column) for column in columns])


def _cell(app: App, column: str) -> str:
    """Empty for what was not given."""
    if column not in DECLARED or getattr(app, column) == DEFAULTS[column]:
        return ""
    return DECLARED[column].kind.cell(getattr(app, column))


def _line(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    # The terminator decides what the writer quotes: with both characters a cell may hold either.
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue()[:-2] + "\n"


def _records(text: str) -> Iterator[tuple[int, str]]:
    """Each record with the number of its first line. A record goes on while a quote is open."""
    parts: list[str] = []
    begun, quotes = 1, 0
    lines = text.removeprefix("\ufeff").split("\n")
    if not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, 1):
        if not parts:
            begun = number
        parts.append(line)
        quotes += line.count('"')
        if quotes % 2 == 0:
            yield begun, "\n".join(parts) + "\n"
            parts, quotes = [], 0
    if parts:
        yield begun, "\n".join(parts)


def _header(record: str) -> tuple[str, ...] | None:
    cells = [cell.strip().lower() for cell in _cells(record)]
    return tuple(ALIASES.get(cell, cell) for cell in cells) if cells[:2] == ["name", "image"] else None


def _cells(record: str) -> list[str]:
    try:
        return next(csv.reader([record.rstrip("\r\n")], strict=True), [])
    except csv.Error:
        return []


def _row(record: str, columns: Sequence[str], layout: Sequence[str]) -> Row:
    if not record.strip() or record.lstrip().startswith("#"):
        return Row(record)
    try:
        cells = next(csv.reader([record.rstrip("\r\n")], strict=True), [])
    except csv.Error as error:
        what = "a quote is opened and never closed" if "end of data" in str(error) else str(error)
        return Row(record, fault=f"is not CSV: {what}")
    name = cells[0].strip()
    known_name = name if NAME.fullmatch(name) else ""
    try:
        app = parse_app(_fields(cells, columns), placed="node" in layout)
        return Row(record, app, known_name)
    except BadInput as bad:
        return Row(record, None, known_name, str(bad))


def _fields(cells: Sequence[str], columns: Sequence[str]) -> dict[str, object]:
    if len(cells) > len(columns):
        raise BadInput(Fault("", f"has {len(cells)} cells, and there are {len(columns)} columns: {', '.join(columns)}"))
    values: dict[str, object] = {}
    for column, text in zip(columns, cells):
        if column in ("name", "image"):
            values[column] = text.strip()
        elif text.strip():
            values[column] = _value(column, text)
    return values


def _value(column: str, text: str) -> object:
    if column not in DECLARED:
        return text.strip()
    try:
        return DECLARED[column].kind.from_cell(text)
    except ValueError as error:
        raise BadInput(Fault(column, str(error))) from None


def _columns_to_add(document: Document, changes: Mapping[str, App | None]) -> list[str]:
    """What these apps need and the file has no column for."""
    apps = [app for app in changes.values() if app is not None]
    missing = [column for column in document.layout if column not in document.columns]
    return [column for column in missing if any(getattr(app, column) != DEFAULTS[column] for app in apps)]


def _take_end(rows: dict[str, Row]) -> dict[str, Row]:
    """What stays last when a row is added: the end line, and a record with an open quote."""
    open_end = _take_open_end(rows)
    return ({END_KEY: rows.pop(END_KEY)} if END_KEY in rows else {}) | open_end


def _take_open_end(rows: dict[str, Row]) -> dict[str, Row]:
    """A record with an open quote would swallow what stands after it: it stays the last."""
    ends = {key: row for key, row in rows.items() if row.app is None and row.text.count('"') % 2}
    for key in ends:
        del rows[key]
    return ends
