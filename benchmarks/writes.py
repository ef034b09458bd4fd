"""Declarations acknowledged per second: one server for each size of the file, one process of clients.

The floor of a cell is one writer that puts a file of that size on the same disk, as safely and with nothing else to do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.measure import Row
from benchmarks.ports import free_ports
from duckconf.cli.cluster.services import Service
from duckconf.cli.terminal.edge import ROOT
from duckconf.cli.terminal.say import say
from duckconf.desired import changed, empty_document
from duckconf.errors import DuckconfError, SetupError
from duckconf.model import App
from duckconf.naming import WEB_IMAGE
from duckconf.reach.api.client import ApiClient
from duckconf.reach.state.desired_file import FILE_NAME
from duckconf.reach.state.files import write_durably

CLUSTER = "writes"
SIZES = (10, 1_000, 10_000)
CLIENTS = (1, 8, 64)
SECONDS = 3
FLOOR_SECONDS = 1.0
READY_SECONDS = 30.0
LIMIT_SECONDS = 60


class Cell(NamedTuple):
    """Writes acknowledged in each second, and the share of a core that the clients took themselves."""

    rates: list[float]
    busy: float


def acknowledged_writes() -> list[Row]:
    """Nine cells, and the rate with most clients at most apps against that at fewest apps."""
    rates: dict[tuple[int, int], list[float]] = {}
    busy: dict[tuple[int, int], float] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        urls = {apps: stack.enter_context(_server(Path(folder) / str(apps), apps)) for apps in SIZES}
        floors = {apps: _floor(Path(folder) / str(apps)) for apps in SIZES}
        for clients in CLIENTS:
            for apps in SIZES:
                say(f"  {clients} clients, {apps} apps")
                cell = _write(urls[apps], clients, apps)
                rates[clients, apps], busy[clients, apps] = cell.rates, cell.busy
    most, largest, smallest = CLIENTS[-1], SIZES[-1], SIZES[0]
    name = f"{most} clients, writes at {largest} apps against {smallest} apps"
    rows = [Row(name, rates[most, largest], rates[most, smallest], 0.5, "/s", at_least=True)]
    for (clients, apps), cell_rates in rates.items():
        label = f"  {clients} clients at {apps} apps, against plain flushes (clients took {busy[clients, apps]:.0%} of a core)"
        rows.append(Row(label, cell_rates, floors[apps], None, "/s"))
    return rows


@contextmanager
def _server(folder: Path, apps: int) -> Iterator[str]:
    """An API server of reconcile mode that needs no node; its file has this many apps."""
    state = folder / ".duckconf" / CLUSTER
    state.mkdir(parents=True)
    names = [f"app-{number}" for number in range(1, apps + 1)]
    (state / FILE_NAME).write_text(changed(empty_document(), {name: App(name=name, image=WEB_IMAGE) for name in names}).text())
    os.utime(state / FILE_NAME, (0, 0))
    url = f"http://127.0.0.1:{free_ports('127.0.0.1', 1)[0]}"
    service = Service("api", state)
    argv = (sys.executable, "-m", "api.serve", "--project", str(folder), "--mode", "reconcile")
    process = service.start(argv, {**os.environ, "DUCKCONF_CLUSTER": CLUSTER, "DUCKCONF_API": url}, ROOT)
    try:
        service.await_ready(process, lambda: _answers(url), READY_SECONDS)
        yield url
    finally:
        service.stop()


def _answers(url: str) -> bool:
    try:
        return bool(ApiClient(url).call("GET", "/healthz", deadline=1.0))
    except DuckconfError:
        return False


def _write(url: str, clients: int, apps: int) -> Cell:
    argv = [sys.executable, "-m", "benchmarks.writers", url, str(clients), str(apps), str(SECONDS)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    if done.returncode != 0:
        raise SetupError(f"writing failed: {done.stderr.strip()[-300:]}")
    return Cell(**json.loads(done.stdout))


def _floor(folder: Path) -> list[float]:
    """Files of this size put safely on disk in a second, one after the other."""
    content = (folder / ".duckconf" / CLUSTER / FILE_NAME).read_bytes()
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < FLOOR_SECONDS:
        write_durably(folder / "floor", content)
        count += 1
    return [count / (time.perf_counter() - begun)]
