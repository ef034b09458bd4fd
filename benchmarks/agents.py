"""Agents mode beside a floor measured in the same run, and at scale: `python -m benchmarks.agents`, or `./inv bench agents`.

`--only start,lost,scale` runs parts of it. Prints a table and writes `.duckconf/bench/agents.json`. It makes all that it
needs, talks to loopback only, and takes away what it made.
"""

from __future__ import annotations

import sys
from collections.abc import Collection

from benchmarks.agents_scale import measure as measure_scale
from benchmarks.measure import Row
from benchmarks.nodes import lost_node, own_cluster, start_and_heal
from benchmarks.run import main
from duckconf.cli.cluster import modes
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.cli.terminal.edge import ROOT

LOSSES = 3


def on_own_cluster(engine: LocalEngine, parts: Collection[str], rounds: int) -> list[Row]:
    with own_cluster(ROOT, modes.AGENTS) as project:
        rows = start_and_heal(project, engine, rounds) if "start" in parts else []
        return rows + (lost_node(project, engine, LOSSES) if "lost" in parts else [])


if __name__ == "__main__":
    acts = {("start", "lost"): on_own_cluster, ("scale",): lambda *_: measure_scale()}
    sys.exit(main("agents", acts, without_engine=("scale",)))
