"""What every bench does: read the command line, measure the parts that are asked for one after the other, show the rows.

What one part fails at costs no other part's rows.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Collection, Mapping

from benchmarks.measure import FOLDER, Row, report
from duckconf.cli.demo.images import ensure_images
from duckconf.cli.demo.local_engine import LocalEngine, require_engine
from duckconf.cli.terminal.edge import ROOT
from duckconf.cli.terminal.say import say
from duckconf.errors import DuckconfError
from duckconf.reach.state.files import FolderLock

Measure = Callable[[LocalEngine, Collection[str], int], list[Row]]
"""Takes the engine, the parts of it that are asked for, and the number of rounds."""


def main(name: str, acts: Mapping[tuple[str, ...], Measure], without_engine: Collection[str] = (), rounds: int = 10) -> int:
    """`acts` by the parts that each has, which share what it makes. The result lies in `.duckconf/bench/NAME.json`."""
    parts = [part for parts in acts for part in parts]
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--rounds", type=int, default=rounds, help="samples of each measure")
    parser.add_argument("--only", type=lambda text: _chosen(text, parts), default=parts, metavar="PARTS", help=",".join(parts))
    options = parser.parse_args()
    # What was started is ended also when this is.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    try:
        lock = FolderLock(FOLDER / "bench.lock", "a bench")
        engine = LocalEngine(ROOT)
        if set(options.only) - set(without_engine):
            require_engine()
            ensure_images(engine, ROOT)
        failure = _measure(acts, engine, options.only, max(1, options.rounds), rows)
        lock.release()
    except DuckconfError as error:
        say(f"error: {error}")
        return error.exit_code
    report(rows, FOLDER / f"{name}.json")
    return failure.exit_code if failure else 0


def _measure(
    acts: Mapping[tuple[str, ...], Measure], engine: LocalEngine, chosen: Collection[str], rounds: int, rows: list[Row]
) -> DuckconfError | None:
    """Adds to `rows`; returns the last failure."""
    failure: DuckconfError | None = None
    for parts, act in acts.items():
        mine = [part for part in parts if part in chosen]
        if mine:
            say(f"measuring {', '.join(mine)}")
            try:
                rows += act(engine, mine, rounds)
            except DuckconfError as error:
                failure = error
                say(f"error: {error}")
    return failure


def _chosen(text: str, parts: Collection[str]) -> list[str]:
    chosen = [part.strip() for part in text.split(",") if part.strip()]
    if unknown := set(chosen) - set(parts):
        raise argparse.ArgumentTypeError(f"parts are {', '.join(parts)}, not {', '.join(sorted(unknown))}")
    return chosen or list(parts)
