"""What the loop says of its passes, on disk: written by the loop with each step, read by the API for its picture.

A view, not a state: nothing depends on it, and nothing is lost with it.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from duckconf.passing import Passing, passing_from_json
from duckconf.picture import Call, Step

FILE_NAME = "passing.json"

log = logging.getLogger(__name__)


class PassingFile:
    """Of one cluster's loop. Written by many threads of one process; the reader is another."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        """`clock` is in seconds since the epoch."""
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._passing = Passing(os.getpid())
        self._stamp = 0

    def passed(self, words: dict[str, str], heard: Collection[str], took: float) -> None:
        """A pass has decided after `took` seconds; `words` has what its steps did, `heard` the nodes that answered."""
        now = round(self._clock(), 3)
        with self._lock:
            steps = {**self._passing.steps, **{step: Step(said, now) for step, said in words.items()}}
            told = {**self._passing.heard, **dict.fromkeys(heard, now)}
            passes, seconds = self._passing.passes + 1, round(self._passing.seconds + took, 6)
            self._write(replace(self._passing, steps=steps, heard=told, passes=passes, seconds=seconds))

    def acts(self, step: str, key: str, node: str, words: str, *, done: bool) -> None:
        """The step has begun something on a node, or has done it."""
        now = round(self._clock(), 3)
        with self._lock:
            calls = {name: call for name, call in self._passing.calls.items() if name != key}
            calls |= {} if done else {key: Call(node, words, now)}
            steps = {**self._passing.steps, step: Step(words, now, node)}
            self._write(replace(self._passing, steps=steps, calls=calls))

    def _write(self, passing: Passing) -> None:
        self._passing = passing
        temporary = self._path.with_name(f".{self._path.name}")
        try:
            temporary.write_text(json.dumps(passing.to_json(), ensure_ascii=False), "utf-8")
            os.replace(temporary, self._path)
        except OSError as error:
            log.warning("the passes cannot be shown: %s", error)

    def read(self) -> Passing:
        """The newest; an empty one when there is none that can be read."""
        with self._lock:
            try:
                stamp = self._path.stat().st_mtime_ns
                if stamp != self._stamp:
                    self._passing, self._stamp = passing_from_json(json.loads(self._path.read_text("utf-8"))), stamp
            except (OSError, ValueError, TypeError, KeyError, AttributeError):
                self._passing, self._stamp = Passing(), 0
            return self._passing


def lives(process: int) -> bool:
    """Whether a process of this number runs on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return process > 0
