"""How nodes are shown: the same columns in every mode, and who has no space left."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from duckconf import facts
from duckconf.cli.terminal.tables import print_json, print_table

NO_NODES = "no nodes; add one with ./inv add-node NAME --host ADDRESS"
COLUMNS = ("name", "status", "heartbeat", "address", "apps", "cordoned", "engine", "disk", "mem", "load")


def print_nodes(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """The last heartbeat is only known where nodes send heartbeats, `full` only where somebody remembers it."""
    if as_json:
        print_json(rows)
        return
    columns = [name for name in COLUMNS if name != "heartbeat" or any("heartbeat" in row for row in rows)]
    print_table([{**row, **facts.short(row)} for row in rows], columns, NO_NODES)
    for row in rows:
        if row.get("full"):
            print(f"{row['name']}: disk full; it gets no new apps for now", file=sys.stderr)
