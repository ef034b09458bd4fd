"""Reconcile mode beside floors and others measured in the same run: `python -m benchmarks.reconcile`.

`./inv bench reconcile` runs it all, `--only start,pass,hosts,idle,writes` parts of it. Prints a table and writes
`.duckconf/bench/reconcile.json`. It makes all that it needs, talks to loopback only, and takes away what it made.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable

from benchmarks.many_hosts import hundred_hosts, idle_connections
from benchmarks.measure import FOLDER, Row, report
from benchmarks.nodes import idle_pass, own_cluster, start_and_heal
from benchmarks.writes import acknowledged_writes
from duckconf.cli.cluster import modes
from duckconf.cli.demo.images import ensure_images
from duckconf.cli.demo.local_engine import LocalEngine, require_engine
from duckconf.cli.terminal.edge import ROOT
from duckconf.cli.terminal.say import say
from duckconf.errors import DuckconfError
from duckconf.reach.state.files import FolderLock

PARTS = ("start", "pass", "hosts", "idle", "writes")


def measure(parts: set[str], rounds: int, rows: list[Row]) -> DuckconfError | None:
    """Adds to `rows`. What one part fails at is returned, and costs no other part's rows."""
    engine = LocalEngine(ROOT)
    if parts - {"writes"}:
        require_engine()
        ensure_images(engine, ROOT)
    acts: list[tuple[set[str], Callable[[], list[Row]]]] = [
        ({"start", "pass"}, lambda: on_own_cluster(engine, parts, rounds)),
        ({"hosts"}, lambda: hundred_hosts(engine, rounds)),
        ({"idle"}, lambda: idle_connections(engine)),
        ({"writes"}, acknowledged_writes),
    ]
    failure: DuckconfError | None = None
    for names, act in acts:
        if names & parts:
            say(f"measuring {', '.join(sorted(names & parts))}")
            try:
                rows += act()
            except DuckconfError as error:
                failure = error
                say(f"error: {error}")
    return failure


def on_own_cluster(engine: LocalEngine, parts: set[str], rounds: int) -> list[Row]:
    with own_cluster(ROOT, modes.RECONCILE) as project:
        rows = start_and_heal(project, engine, rounds) if "start" in parts else []
        return rows + (idle_pass(project, engine) if "pass" in parts else [])


def parts_of(text: str) -> set[str]:
    parts = {part.strip() for part in text.split(",") if part.strip()}
    if unknown := parts - set(PARTS):
        raise argparse.ArgumentTypeError(f"parts are {', '.join(PARTS)}, not {', '.join(sorted(unknown))}")
    return parts or set(PARTS)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reconcile")
    parser.add_argument("--rounds", type=int, default=10, help="samples of each measure")
    parser.add_argument("--only", type=parts_of, default=set(PARTS), metavar="PARTS", help=f"of {','.join(PARTS)}")
    options = parser.parse_args()
    # What was started is ended also when this is.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    try:
        lock = FolderLock(FOLDER / "bench.lock", "a bench")
        failure = measure(options.only, max(1, options.rounds), rows)
        lock.release()
    except DuckconfError as error:
        say(f"error: {error}")
        return error.exit_code
    report(rows, FOLDER / "reconcile.json")
    return failure.exit_code if failure else 0


if __name__ == "__main__":
    sys.exit(main())
