"""Push mode beside a floor measured in the same run: `python -m benchmarks.push`, or `./inv bench push`.

The floor is a local `podman run -d` of the same image, interleaved with ours so that noise meets both. Prints a table
and writes `.duckconf/bench/push.json`. Needs a cluster that is up; removes what it started.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from benchmarks.measure import FOLDER, Row, report, timed
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.cli.terminal.edge import ROOT
from duckconf.cli.terminal.say import say
from duckconf.errors import DuckconfError
from duckconf.naming import WEB_IMAGE
from duckconf.reach.api.client import ApiClient
from duckconf.reach.inventory.project import Project, load_project

AT_ONCE = 20
BURSTS = 5
WARM_UP = 3
PROCESSES = 7


class Bench:
    """Starts apps both ways and takes them away again."""

    def __init__(self, project: Project, engine: LocalEngine) -> None:
        self._project = project
        self._engine = engine
        self._api = ApiClient(project.settings.api_url)
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
        return Row("POST /app/start against podman run -d", ours, floor, 0.8)

    def many_at_once(self) -> Row:
        ours, floor = [], []
        for _ in range(BURSTS):
            ours.append(timed(lambda: at_once(self.through_the_api, AT_ONCE, AT_ONCE)))
            self.clean()
            floor.append(timed(lambda: at_once(self.locally, AT_ONCE, AT_ONCE)))
            self.clean()
        return Row(f"{AT_ONCE} at once against {AT_ONCE} podman run -d", ours, floor, 0.7)


def at_once(act: Callable[[], object], count: int, threads: int) -> None:
    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(act) for _ in range(count)]:
            future.result()


def whole_process(words: tuple[str, ...], goal: float) -> Row:
    """`./inv …` from start to end, after one warm-up."""

    def run() -> None:
        subprocess.run([str(ROOT / "inv"), *words], check=True, capture_output=True, timeout=60)

    run()
    return Row(f"./inv {' '.join(words)} (s)", [timed(run) for _ in range(PROCESSES)], [], goal)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.push")
    parser.add_argument("--rounds", type=int, default=15, help="pairs in the first measure")
    rounds = max(1, parser.parse_args().rounds)
    bench = Bench(load_project(ROOT, os.environ), LocalEngine(ROOT))
    try:
        say(f"{rounds} pairs one at a time, then {BURSTS} bursts of {AT_ONCE}, then whole processes")
        rows = [bench.one_at_a_time(rounds), bench.many_at_once()]
        rows += [whole_process(("ps",), 0.8), whole_process(("--list",), 0.35)]
    except DuckconfError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        bench.clean()
    report(rows, FOLDER / "push.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
