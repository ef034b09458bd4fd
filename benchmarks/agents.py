"""Agents mode beside a floor measured in the same run, and at scale: `python -m benchmarks.agents`, or `./inv bench agents`.

`--only start,lost,scale` runs parts of it. Prints a table and writes `.duckconf/bench/agents.json`. It makes all that it
needs, talks to loopback only, and takes away what it made.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.agents_scale import measure as measure_scale
from benchmarks.measure import FOLDER, Row, report
from benchmarks.nodes import lost_node, own_cluster, start_and_heal
from duckconf.cli.cluster import modes
from duckconf.cli.demo.images import ensure_images
from duckconf.cli.demo.local_engine import LocalEngine, require_engine
from duckconf.cli.terminal.edge import ROOT
from duckconf.cli.terminal.say import say
from duckconf.errors import DuckconfError
from duckconf.reach.state.files import FolderLock

PARTS = ("start", "lost", "scale")
LOSSES = 3


def parts_of(text: str) -> set[str]:
    parts = {part.strip() for part in text.split(",") if part.strip()}
    if unknown := parts - set(PARTS):
        raise argparse.ArgumentTypeError(f"parts are {', '.join(PARTS)}, not {', '.join(sorted(unknown))}")
    return parts or set(PARTS)


def measure(parts: set[str], rounds: int) -> list[Row]:
    rows: list[Row] = []
    if parts - {"scale"}:
        require_engine()
        engine = LocalEngine(ROOT)
        ensure_images(engine, ROOT)
        with own_cluster(ROOT, modes.AGENTS) as project:
            rows += start_and_heal(project, engine, rounds) if "start" in parts else []
            rows += lost_node(project, engine, LOSSES) if "lost" in parts else []
    return rows + (measure_scale() if "scale" in parts else [])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agents")
    parser.add_argument("--rounds", type=int, default=10, help="samples of each measure")
    parser.add_argument("--only", type=parts_of, default=set(PARTS), metavar="PARTS", help=f"of {','.join(PARTS)}")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        lock = FolderLock(FOLDER / "bench.lock", "a bench")
        rows = measure(options.only, max(1, options.rounds))
        lock.release()
    except DuckconfError as error:
        say(f"error: {error}")
        return error.exit_code
    report(rows, FOLDER / "agents.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
