"""Push mode beside a floor measured in the same run: `python -m benchmarks.push`, or `./inv bench push`.

The floor is a local `podman run -d` of the same image, interleaved with ours so that noise meets both. Prints a table
and writes `.duckconf/bench/push.json`. Needs a cluster that is up; removes what it started.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from duckconf.cli.edge import ROOT
from duckconf.cli.local_engine import LocalEngine
from duckconf.cli.say import say
from duckconf.cli.tables import print_table
from duckconf.errors import DuckconfError
from duckconf.naming import WEB_IMAGE
from duckconf.reach.client import ApiClient
from duckconf.reach.project import load_project

AT_ONCE = 20
BURSTS = 5
WARM_UP = 3
PROCESSES = 7


class Row(NamedTuple):
    """One measure: medians in seconds, `floor` 0 when the goal is in seconds and not a ratio."""

    measure: str
    ours: list[float]
    floor: list[float]
    goal: float

    @property
    def value(self) -> float:
        """The number that the goal is about."""
        ours = statistics.median(self.ours)
        return ours / statistics.median(self.floor) if self.floor else ours


class Bench:
    """Starts apps both ways and takes them away again."""

    def __init__(self) -> None:
        self._project = load_project(ROOT, os.environ)
        self._engine = LocalEngine(ROOT)
        self._api = ApiClient(self._project.settings.api_url)
        self._started: list[str] = []

    def through_the_api(self) -> None:
        self._started.append(self._api.call("POST", "/app/start", {"image": WEB_IMAGE})["app"])

    def locally(self) -> None:
        self._started.append(self._engine.must("run", "-d", f"--label=duckconf.bench={self._project.cluster}", WEB_IMAGE))

    def clean(self) -> None:
        if self._started:
            self._engine.must("rm", "-f", "-t", "0", *self._started)
            self._started.clear()

    def one_at_a_time(self, rounds: int) -> Row:
        ours, floor = [], []
        for number in range(WARM_UP + rounds):
            pair = timed(self.through_the_api), timed(self.locally)
            self.clean()
            if number >= WARM_UP:
                ours.append(pair[0])
                floor.append(pair[1])
        return Row("POST /app/start against podman run -d", ours, floor, 1.10)

    def many_at_once(self) -> Row:
        ours, floor = [], []
        for _ in range(BURSTS):
            ours.append(timed(lambda: at_once(self.through_the_api)))
            self.clean()
            floor.append(timed(lambda: at_once(self.locally)))
            self.clean()
        return Row(f"{AT_ONCE} at once against {AT_ONCE} podman run -d", ours, floor, 0.85)


def timed(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def at_once(act: Callable[[], None]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for future in [pool.submit(act) for _ in range(AT_ONCE)]:
            future.result()


def whole_process(words: tuple[str, ...], goal: float) -> Row:
    """`./inv …` from start to end, after one warm-up."""

    def run() -> None:
        subprocess.run([str(ROOT / "inv"), *words], check=True, capture_output=True, timeout=60)

    run()
    return Row(f"./inv {' '.join(words)} (s)", [timed(run) for _ in range(PROCESSES)], [], goal)


def report(rows: list[Row], engine: LocalEngine) -> None:
    table = [
        {
            "measure": row.measure,
            "ours": f"{statistics.median(row.ours):.3f} s",
            "floor": f"{statistics.median(row.floor):.3f} s" if row.floor else "",
            "value": f"{row.value:.2f}",
            "goal": f"<= {row.goal:.2f}",
            "met": "yes" if row.value <= row.goal else "NO",
        }
        for row in rows
    ]
    print_table(table, ("measure", "ours", "floor", "value", "goal", "met"), "")
    path = ROOT / ".duckconf" / "bench" / "push.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "engine": engine.must("--version")}
    samples = [{**row._asdict(), "value": row.value} for row in rows]
    path.write_text(json.dumps({"machine": machine, "rows": samples}, indent=1) + "\n")
    say(f"written to {path.relative_to(ROOT)}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.push")
    parser.add_argument("--rounds", type=int, default=15, help="pairs in the first measure")
    rounds = max(1, parser.parse_args().rounds)
    bench = Bench()
    try:
        say(f"{rounds} pairs one at a time, then {BURSTS} bursts of {AT_ONCE}, then whole processes")
        rows = [bench.one_at_a_time(rounds), bench.many_at_once()]
        rows += [whole_process(("ps",), 0.8), whole_process(("--list",), 0.35)]
    except DuckconfError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        bench.clean()
    report(rows, LocalEngine(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
