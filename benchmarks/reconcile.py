"""Reconcile mode beside floors and others measured in the same run: `python -m benchmarks.reconcile`.

`./inv bench reconcile` runs it all, `--only start,pass,hosts,idle,writes` parts of it. Prints a table and writes
`.duckconf/bench/reconcile.json`. It makes all that it needs, talks to loopback only, and takes away what it made.
"""

from __future__ import annotations

import sys
from collections.abc import Collection

from benchmarks.many_hosts import hundred_hosts, idle_connections
from benchmarks.measure import Row
from benchmarks.nodes import idle_pass, own_cluster, start_and_heal
from benchmarks.run import main
from benchmarks.writes import acknowledged_writes
from duckconf.cli.cluster import modes
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.cli.terminal.edge import ROOT


def on_own_cluster(engine: LocalEngine, parts: Collection[str], rounds: int) -> list[Row]:
    with own_cluster(ROOT, modes.RECONCILE) as project:
        rows = start_and_heal(project, engine, rounds) if "start" in parts else []
        return rows + (idle_pass(project, engine) if "pass" in parts else [])


if __name__ == "__main__":
    sys.exit(
        main(
            "reconcile",
            {
                ("start", "pass"): on_own_cluster,
                ("hosts",): lambda engine, _, rounds: hundred_hosts(engine, rounds),
                ("idle",): lambda engine, *_: idle_connections(engine),
                ("writes",): lambda *_: acknowledged_writes(),
            },
            without_engine=("writes",),
        )
    )
