"""How nodes are shown: the same columns in every mode, and who has no space left."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from duckconf import facts
from duckconf.cli.terminal.tables import print_json, print_table

NO_NODES = "no nodes; add one with ./inv add-node NAME --host ADDRESS"
COLUMNS = ("name", "status", "heartbeat", "address", "apps", "cordoned", "zone", "engine", "disk", "mem", "load", "measured")
OPTIONAL = ("heartbeat", "zone", "measured")


def print_nodes(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """The last heartbeat is only known where nodes send heartbeats, `full` only where somebody remembers it, and zones are for
    those who have some."""
    if as_json:
        print_json(rows)
        return
    shown = [{**row, **facts.short(row), "measured": _ago(row.get("facts_age"))} for row in rows]
    columns = [name for name in COLUMNS if name not in OPTIONAL or any(row.get(name) for row in shown)]
    print_table(shown, columns, NO_NODES)
    for row in rows:
        if row.get("full"):
            print(f"{row['name']}: disk full; it gets no new apps for now", file=sys.stderr)


def _ago(seconds: float | None) -> str:
    """When the facts were asked for, where that was not just now."""
    return f"{seconds:.0f}s ago" if seconds and seconds >= 0.5 else ""


def empty_nodes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Ready nodes without an app while another one has two or more: usually they were lost, and their apps rescheduled."""
    crowded = any((row["apps"] or 0) > 1 for row in rows)
    return [row["name"] for row in rows if crowded and row["status"] == "ready" and row["apps"] == 0 and not row["cordoned"]]


def say_empty(rows: Sequence[Mapping[str, Any]]) -> None:
    for name in empty_nodes(rows):
        print(f"{name}: ready, and no app is placed there; new apps are placed there first, running apps stay where they are")
