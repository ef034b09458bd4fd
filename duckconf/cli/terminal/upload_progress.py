"""How far the uploads to many nodes are: a bar for each on a terminal, a line now and then elsewhere. On stderr."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Union

from duckconf.cli.terminal.guard import behind
from duckconf.cli.terminal.say import say
from duckconf.image import flow
from duckconf.visible import visible

# Between two lines about one node where nobody watches bars.
LINE_EVERY = 10.0


# Asked again and again: None until it is known.
Total = Callable[[], Union[int, None]]


class Lines:
    """A line per node, when it has taken long and when it ends."""

    def __init__(self, total: Total) -> None:
        self._total = total
        self._nodes: dict[str, tuple[float, float, int]] = {}

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def told(self, node: str, begin: int, length: int) -> None:
        """`length` bytes that begin at `begin` have gone to the node; none when an upload begins there."""
        now, done = time.monotonic(), begin + length
        since, last, first = self._nodes.get(node, (now, now, begin))
        if not length:
            since, last, first = now, now, begin
        elif now - last >= LINE_EVERY:
            last = now
            say(f"  {node}: {flow(done, self._total(), done - first, now - since)}")
        self._nodes[node] = (since, last, first)

    def ended(self, node: str, text: str) -> None:
        say(f"  {node}: {text}")


class Bars:
    """Bars with rate and time left."""

    def __init__(self, total: Total) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

        columns = (
            TextColumn("  {task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        self._bars = Progress(*columns, TextColumn("{task.fields[note]}"), console=Console(file=behind(sys.stderr)))
        self._total = total
        self._lock = threading.Lock()
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()

    def told(self, node: str, begin: int, length: int) -> None:
        with self._lock:
            if node not in self._tasks:
                self._tasks[node] = self._bars.add_task(node, total=self._total(), note="")
        task = self._tasks[node]
        if not length:
            # Only what is sent from here on says how fast the link is.
            self._bars.reset(task, completed=begin, note="")
            return
        done, total = begin + length, self._total()
        self._bars.update(task, completed=done, total=total, note="loading" if done == total else "")

    def ended(self, node: str, text: str) -> None:
        # It goes past the guard of the terminal, as the bars do.
        shown = visible(text)
        if node in self._tasks:
            self._bars.update(self._tasks[node], note=shown)
        else:
            self._bars.console.print(f"  {node}: {shown}", markup=False, highlight=False)


Progress = Union[Lines, Bars]


def progress(total: Total) -> Progress:
    return Bars(total) if sys.stderr.isatty() else Lines(total)
