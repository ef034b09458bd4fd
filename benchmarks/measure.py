"""Measures and their table: what ours took, what the floor of the same run took, and whether the goal is met."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Union

from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.cli.terminal.edge import ROOT
from duckconf.cli.terminal.say import say
from duckconf.cli.terminal.tables import print_table

FOLDER = ROOT / ".duckconf" / "bench"
# Seconds, and the share of all processors that still counts as rest.
REST_SECONDS = 20.0
REST_LOOK = 0.25
AT_REST = 0.2
COLUMNS = ("measure", "ours", "floor", "value", "goal", "met")


class Row(NamedTuple):
    """One measure: samples in `unit`; without a floor the goal is in that unit too, and not a ratio.

    A row without a goal is there to be read. `note` stands in for a floor that could not be taken.
    """

    measure: str
    ours: Sequence[float]
    floor: Sequence[float] = ()
    goal: Union[float, None] = None
    unit: str = "s"
    at_least: bool = False
    note: str = ""

    @property
    def value(self) -> float:
        """The number that the goal is about."""
        ours = statistics.median(self.ours)
        return ours / statistics.median(self.floor) if self.floor else ours

    @property
    def met(self) -> bool | None:
        if self.goal is None:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal


def timed(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def await_rest() -> None:
    """Returns when the machine has little to do, or never comes to it: what one run leaves behind, such as a hundred sessions
    that end, must not count for the next."""
    end = time.monotonic() + REST_SECONDS
    busy, total = _processor()
    while time.monotonic() < end:
        time.sleep(REST_LOOK)
        (was, of), (busy, total) = (busy, total), _processor()
        if busy - was <= AT_REST * (total - of):
            return


def _processor() -> tuple[int, int]:
    """What the processors were busy since the boot, and all their time, in ticks."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def report(rows: Sequence[Row], path: Path) -> None:
    """Print the table and write it to `path`, samples included."""
    print_table([_shown(row) for row in rows], COLUMNS, "nothing was measured")
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = LocalEngine(ROOT).must("--version")
    machine = {"cpus": os.cpu_count(), "load": os.getloadavg(), "python": platform.python_version(), "engine": engine}
    samples = [{**row._asdict(), "value": row.value, "met": row.met} for row in rows]
    path.write_text(json.dumps({"machine": machine, "rows": samples}, indent=1) + "\n")
    say(f"written to {path.relative_to(ROOT)}")


def _shown(row: Row) -> dict[str, str]:
    goal = "" if row.goal is None else f"{'>=' if row.at_least else '<='} {row.goal:g}"
    return {
        "measure": row.measure,
        "ours": f"{statistics.median(row.ours):.3f} {row.unit}",
        "floor": f"{statistics.median(row.floor):.3f} {row.unit}" if row.floor else row.note,
        "value": f"{row.value:.2f}" if row.floor else f"{row.value:.3f}",
        "goal": goal,
        "met": {None: "", True: "yes", False: "NO"}[row.met],
    }
