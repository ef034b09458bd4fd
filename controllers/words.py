"""What failed instances printed last: read once for each failure, before their node tells of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from duckconf.engine_output import Container
from duckconf.overview import AppView

Read = Callable[[str, Callable[[str], None]], None]
"""Begins to read what a container printed last; the second argument is called once, from any thread, with "" for nothing."""


class LastWords:
    """For the thread that passes rows on, and those that read. `wake` is called when more is known."""

    def __init__(self, read: Read, wake: Callable[[], None]) -> None:
        self._read = read
        self._wake = wake
        self._known: dict[tuple[str, str], str] = {}
        self._asked: set[tuple[str, str]] = set()

    def of(self, rows: Sequence[AppView], containers: Sequence[Container]) -> Mapping[str, str]:
        """By instance, for those that failed and whose words are known by now."""
        failed = {(row.instance, row.spec) for row in rows if row.failure}
        for key in self._asked - failed:
            self._known.pop(key, None)
        self._asked &= failed
        for key in sorted(failed - self._asked):
            self._asked.add(key)
            made = [item for item in containers if (item.instance, item.spec) == key]
            if made:
                self._read(max(made, key=lambda item: item.generation).name, partial(self._hear, key))
            else:
                self._known[key] = ""
        return {instance: self._known[instance, spec] for instance, spec in failed if (instance, spec) in self._known}

    def _hear(self, key: tuple[str, str], words: str) -> None:
        self._known[key] = words
        self._wake()
