"""How nodes are shown: the same columns in every mode, and who has no space left."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from duckconf import facts
from duckconf.cli.terminal.tables import print_json, print_table
from duckconf.counts import counted

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


def say_uneven(nodes: Sequence[Mapping[str, Any]]) -> None:
    """Nodes that a rebalance would give instances to: usually they were lost, and their apps rescheduled."""
    for entry in nodes:
        print(f"{entry['node']} runs {entry['instances']} of {counted(entry['of'], 'instance')}: ./inv rebalance")
