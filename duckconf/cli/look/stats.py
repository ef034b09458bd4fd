"""`./inv stats`: what each instance uses of its node's processor, memory and network, live on a terminal.

Every node is asked by a thread of its own, again and again; what is shown is the last that each has told.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from duckconf import usage
from duckconf.cli.cluster.nodes import Cluster, open_cluster
from duckconf.cli.look.absent import why_absent
from duckconf.cli.look.app_logs import INTERRUPTED, names_of, reader_left
from duckconf.cli.terminal.edge import SOME_UNREACHABLE
from duckconf.cli.terminal.tables import print_json, print_table, table
from duckconf.engine_output import Container, engine_words
from duckconf.errors import DuckconfError, EngineUnavailable, NodeFailure, NotFound
from duckconf.reach.inventory.project import Project
from duckconf.reach.nodes.parallel import ask_all
from duckconf.suggest import meant
from duckconf.usage import Usage
from duckconf.visible import visible

COLUMNS = ("instance", "node", "cpu", "memory", "limit", "received", "sent", "pids")
# Seconds between two looks at the processor, and between two pictures.
APART = 1.0
EVERY = 2.0
HOME, CLEAR, END_OF_LINE, REST = "\x1b[H", "\x1b[2J", "\x1b[K", "\x1b[J"
NONE = "no instance runs on the nodes that answered"


@dataclass(frozen=True)
class Row:
    container: Container
    usage: Usage | None


@dataclass
class Sampler:
    """One node; what it used before says what it uses now."""

    cluster: Cluster
    node: str
    names: Sequence[str]
    before: Mapping[str, Usage]
    asked: float = 0.0
    seen: set[str] = field(default_factory=set)
    """All names that the node has."""

    def look(self) -> list[Row]:
        """Raises DuckconfError."""
        seen = self.cluster.observe(self.node)[self.node]
        if isinstance(seen, DuckconfError):
            raise seen
        running = [
            one for one in seen if one.running and one.app and (not self.names or not names_of(one).isdisjoint(self.names))
        ]
        found = self._ask(running) if running else {}
        now = time.monotonic()
        told = {number: usage.between(self.before.get(number), one, now - self.asked) for number, one in found.items()}
        self.before, self.asked = found, now
        return [Row(one, usage.of_container(told, one.id)) for one in running]

    @property
    def needs_another(self) -> bool:
        """Whether one look does not say what the processor does, or nothing at all."""
        return any(one.cpu_seconds is not None or one.memory is None for one in self.before.values())

    def _is_wanted(self, container: Container) -> bool:
        found = names_of(container)
        self.seen |= found
        return not self.names or not found.isdisjoint(self.names)

    def _ask(self, running: Sequence[Container]) -> dict[str, Usage]:
        runner = self.cluster.fleet.runner(self.node)
        done = runner.run(usage.ask([one.id for one in running]))
        if not done.ok:
            # One that has just gone spoils the answer for all.
            answers = (runner.run(usage.ask([one.id])) for one in running)
            return {number: found for one in answers if one.ok for number, found in self._read(one.stdout, one).items()}
        return self._read(done.stdout, done)

    def _read(self, text: str, done: Any) -> dict[str, Usage]:
        try:
            return usage.read(done)
        except ValueError as error:
            raise EngineUnavailable(self.node, f"its stats cannot be read: {error}; it says: {engine_words(text)}") from error


def stats(project: Project, names: Sequence[str], nodes: str, *, once: bool, as_json: bool) -> int:
    with open_cluster(project, warm=True) as cluster:
        samplers = {node: Sampler(cluster, node, names, {}) for node in cluster.names(nodes)}
        # In this thread: two that made it at once would make two.
        _ = cluster.fleet
        if sys.stdout.isatty() and not once and not as_json:
            return Live(samplers).run()
        found = ask_all(samplers, lambda node: _measured(samplers[node]))
        seen = {name for sampler in samplers.values() for name in sampler.seen}
    rows = [row for one in found.values() if not isinstance(one, DuckconfError) for row in one]
    failures = {node: one for node, one in found.items() if isinstance(one, DuckconfError)}
    for name in names:
        if not any(name in names_of(row.container) for row in rows):
            silent = f"; {', '.join(failures)} did not answer and may have it" if failures else ""
            missing = f"no node runs an app, instance or stack {name!r}{silent or meant(name, seen)}"
            raise why_absent(project, name) or NotFound(missing, "see `./inv ps`")
    print_json([_told(row) for row in rows]) if as_json else print_table([_cells(row) for row in rows], COLUMNS, NONE)
    for node, failure in failures.items():
        print(f"unreachable: {node}: {_reason(failure)}", file=sys.stderr)
    return SOME_UNREACHABLE if failures else 0


def _measured(sampler: Sampler) -> list[Row]:
    rows = sampler.look()
    if sampler.needs_another:
        time.sleep(APART)
        rows = sampler.look()
    return rows


class Live:
    """The same place on the screen, again and again, until it is interrupted."""

    def __init__(self, samplers: Mapping[str, Sampler]) -> None:
        self._samplers = samplers
        self._rows: dict[str, list[Row]] = {}
        self._failures: dict[str, str] = {}
        self._told = threading.Event()

    def run(self) -> int:
        for node in self._samplers:
            threading.Thread(target=self._follow, args=(node,), daemon=True).start()
        try:
            self._draw(CLEAR)
            while not reader_left():
                self._told.wait(EVERY)
                self._told.clear()
                self._draw()
                time.sleep(APART / 4)
        except KeyboardInterrupt:
            print()
        return INTERRUPTED

    def _follow(self, node: str) -> None:
        sampler, pause = self._samplers[node], APART
        while True:
            try:
                self._rows[node] = sampler.look()
                self._failures.pop(node, None)
            except DuckconfError as failure:
                self._rows.pop(node, None)
                self._failures[node] = _reason(failure)
            self._told.set()
            time.sleep(pause)
            pause = EVERY

    def _draw(self, first: str = "") -> None:
        rows = [_cells(row) for node in self._samplers for row in list(self._rows.get(node, ()))]
        silent = [f"unreachable: {node}: {reason}" for node, reason in sorted(self._failures.items())]
        text = "".join(f"{visible(line)}{END_OF_LINE}\n" for line in fitted([*table(rows, COLUMNS), *silent], *_size()))
        sys.stdout.buffer.write(f"{first}{HOME}{text}{REST}".encode())
        sys.stdout.buffer.flush()


def fitted(lines: Sequence[str], columns: int, rows: int) -> list[str]:
    """As much as the screen takes, with the number of lines that it does not."""
    room = max(rows - 1, 2)
    over = len(lines) - room
    shown = [*lines[: room - 1], f"… and {over + 1} more lines: a larger terminal, or --once"] if over > 0 else lines
    return [line[:columns] for line in shown]


def _size() -> tuple[int, int]:
    return os.get_terminal_size(sys.stdout.fileno())


def _reason(failure: DuckconfError) -> str:
    return failure.reason if isinstance(failure, NodeFailure) else str(failure)


def _cells(row: Row) -> dict[str, Any]:
    used = row.usage or Usage("")
    return {
        "instance": row.container.instance,
        "node": row.container.node,
        "cpu": "-" if used.cpu is None else f"{used.cpu:.1f}%",
        "memory": usage.size(used.memory),
        "limit": usage.size(used.memory_limit),
        "received": usage.size(used.received),
        "sent": usage.size(used.sent),
        "pids": used.processes,
    }


def _told(row: Row) -> dict[str, Any]:
    used, one = row.usage or Usage(""), row.container
    return {
        "app": one.app, "slot": one.slot, "node": one.node, "container": one.name, "cpu_percent": used.cpu,
        "memory_bytes": used.memory, "memory_limit_bytes": used.memory_limit, "received_bytes": used.received,
        "sent_bytes": used.sent, "pids": used.processes,
    }  # fmt: skip
