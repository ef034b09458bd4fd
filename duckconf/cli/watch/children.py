"""The tasks that `watch` begins, as a person would type them, and the log that it reads: programs of their own, so that a slow
one holds up nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from duckconf.cli.terminal.edge import ROOT

MOST_TASKS = 8
MOST_LINES = 5000
# Seconds that what was begun may still take when the screen is gone.
LAST_WORDS = 15.0


def _begin(words: Sequence[str]) -> subprocess.Popen[str]:
    """In a session of its own: Ctrl-C is meant for the screen."""
    argv = [sys.executable, "-m", "duckconf.cli.terminal.program", *words]
    return subprocess.Popen(
        argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        encoding="utf-8", errors="replace", start_new_session=True,
    )  # fmt: skip


class Tasks:
    """`changed` is called when one has ended; `told` is what the last one said."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._running: dict[str, tuple[float, subprocess.Popen[str]]] = {}
        self.told = ""

    @property
    def running(self) -> Mapping[str, float]:
        """Each with its age in seconds."""
        now = time.monotonic()
        return {task: now - begun for task, (begun, _) in list(self._running.items())}

    def begin(self, words: Sequence[str]) -> None:
        task = " ".join(words)
        if task in self._running or len(self._running) >= MOST_TASKS:
            busy = f"./inv {task} runs already" if task in self._running else f"{MOST_TASKS} tasks run already; wait for one"
            self.told = busy
            return
        process = _begin(words)
        self._running[task] = time.monotonic(), process
        threading.Thread(target=self._follow, args=(task, process), daemon=True).start()

    def _follow(self, task: str, process: subprocess.Popen[str]) -> None:
        said = process.communicate()[0].strip().splitlines()
        words = said[-1].strip() if said else "done"
        self.told = f"./inv {task}: {words}" + (f" (exit code {process.returncode})" if process.returncode else "")
        self._running.pop(task, None)
        self._changed()

    def finish(self) -> list[str]:
        """What is still under way when the screen is gone, a line for each. A drain, which may take long, is interrupted, and
        says itself how far it is; the others end soon."""
        left = dict(self._running)
        told = []
        for task, (_, process) in left.items():
            if task.startswith("drain"):
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGINT)
        end = time.monotonic() + LAST_WORDS
        for task in left:
            while task in self._running and time.monotonic() < end:
                time.sleep(0.02)
            told.append(f"./inv {task} still runs" if task in self._running else self.told)
        return told


class Log:
    """What a task prints that ends only when it is told to. `lines` may be read by any thread."""

    def __init__(self, words: Sequence[str], changed: Callable[[], None]) -> None:
        self._lines: deque[str] = deque(maxlen=MOST_LINES)
        self._lock = threading.Lock()
        self._changed = changed
        self._process = _begin(words)
        threading.Thread(target=self._read, name="log", daemon=True).start()

    @property
    def lines(self) -> Sequence[str]:
        with self._lock:
            return tuple(self._lines)

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        for line in self._process.stdout:
            with self._lock:
                self._lines.append(line.rstrip("\n"))
            self._changed()
        code = self._process.wait()
        with self._lock:
            self._lines.append(f"(the log has ended{f', exit code {code}' if code else ''})")
        self._changed()

    def close(self) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
