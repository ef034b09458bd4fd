"""Listings: a table for a person, JSON for a program. Data goes to stdout, whatever the form."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any


def print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], empty: str) -> None:
    """One line per row; `empty` (on stderr) when there is none. In a pipe: no color, no borders, no cut."""
    if not rows:
        print(empty, file=sys.stderr)
        return
    print("\n".join(table(rows, columns)))


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
    """Its lines, the names of the columns first."""
    cells = [[column.upper() for column in columns], *([_cell(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells]


def print_apps(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], empty: str) -> None:
    """As `print_table`, with the published ports before the age where an app has some."""
    shown = [*columns[:-1], "ports", columns[-1]] if any(row.get("ports") for row in rows) else columns
    print_table([{**row, "ports": ", ".join(row.get("ports", ()))} for row in rows], shown, empty)


def status_word(state: str, health: str) -> str:
    """The state of a container, with the verdict of its check where it has one: `running (unhealthy)`."""
    return f"{state} ({health})" if health else state


def age(since: float, now: float | None = None) -> str:
    """How long ago, in the largest whole unit: 5s, 12m, 3h, 9d."""
    seconds = max(0, int((time.time() if now is None else now) - since))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "-"
    return "-" if value in (None, "") else str(value)
