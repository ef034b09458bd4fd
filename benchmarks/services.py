"""Services beside floors measured in the same run: `python -m benchmarks.services`, or `./inv bench services`.

`--only push,heal,many,update,decide` runs parts of it. Prints a table and writes `.duckconf/bench/services.json`. It makes all
that it needs, talks to loopback only, and takes away what it made.
"""

from __future__ import annotations

import sys
from collections.abc import Collection

from benchmarks.decisions import placements, rollout_passes
from benchmarks.measure import Row
from benchmarks.nodes import own_cluster, start_and_heal
from benchmarks.push import Bench
from benchmarks.run import main
from benchmarks.sets import many_at_once
from benchmarks.updates import updates
from duckconf.cli.cluster import modes
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.cli.terminal.edge import ROOT


def pushed(engine: LocalEngine, _: Collection[str], rounds: int) -> list[Row]:
    with own_cluster(ROOT, modes.PUSH) as project:
        bench = Bench(project, engine)
        try:
            return [bench.one_at_a_time(rounds), bench.many_at_once()]
        finally:
            bench.clean()


def reconciled(engine: LocalEngine, parts: Collection[str], rounds: int) -> list[Row]:
    with own_cluster(ROOT, modes.RECONCILE) as project:
        rows = start_and_heal(project, engine, rounds) if "heal" in parts else []
        rows += [many_at_once(project, engine)] if "many" in parts else []
        return rows + (updates(project, engine) if "update" in parts else [])


if __name__ == "__main__":
    sys.exit(
        main(
            "services",
            {
                ("push",): pushed,
                ("heal", "many", "update"): reconciled,
                ("decide",): lambda _, __, rounds: [*placements(rounds), *rollout_passes(rounds)],
            },
            without_engine=("decide",),
        )
    )
