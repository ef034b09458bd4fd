"""Processes full of simulated agents, strewn over the servers that there are."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import Row
from duckconf.cli.terminal.edge import ROOT
from duckconf.cli.terminal.say import step
from duckconf.errors import DuckconfError

# One crowded process would measure how long its own threads wait for each other.
CROWDS = 6
SETTLED_SECONDS = 3.0
LONGEST = 120.0


def heartbeat_rows(took: Sequence[float], whose: str) -> list[Row]:
    """Of the milliseconds that heartbeats took, as the agents see it."""
    quantiles = statistics.quantiles(took, n=100)
    return [
        Row("heartbeat p50, as the agents see it", [quantiles[49]], unit="ms"),
        Row(f"heartbeat p99, {whose}", [quantiles[98]], goal=50, unit="ms"),
    ]


class Crowds:
    def __init__(self, urls: Sequence[str], tokens: Mapping[str, str]) -> None:
        """`tokens` by the names of the nodes; each crowd reports to one of the `urls`."""
        self._urls = urls
        self._tokens = tokens
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Crowds:
        self._folder = tempfile.TemporaryDirectory()
        names = list(self._tokens)
        for crowd in range(CROWDS):
            path = Path(self._folder.name, f"agents-{crowd}.json")
            path.write_text(json.dumps({name: self._tokens[name] for name in names[crowd::CROWDS]}))
            argv = [sys.executable, "-m", "benchmarks.simulated_agents", self._urls[crowd % len(self._urls)], str(path)]
            with path.with_suffix(".log").open("w") as log:
                process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
            self._processes.append(process)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
        self._folder.cleanup()

    def ask(self, *words: str) -> list[dict[str, Any]]:
        """One answer of each crowd."""
        answers = []
        for process in self._processes:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(" ".join(words) + "\n")
            process.stdin.flush()
            answers.append(json.loads(process.stdout.readline()))
        return answers

    def come_to_rest(self, interval: float) -> None:
        """Return when there are no more heartbeats than one per node and interval: each node's first are answered with news."""
        due, end = len(self._tokens) * SETTLED_SECONDS / interval, time.monotonic() + LONGEST
        with step("the fleet comes to rest"):
            while True:
                self.ask("stats")
                time.sleep(SETTLED_SECONDS)
                if sum(len(answer["took"]) for answer in self.ask("stats")) <= 1.05 * due:
                    return
                if time.monotonic() > end:
                    raise DuckconfError(f"not within {LONGEST:g} s: no heartbeat is out of turn")
