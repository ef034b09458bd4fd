"""Requests that are held until there is news: only so many at once, so that some threads are always free for others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class HeldRequests:
    """Counts the held requests of one server."""

    def __init__(self, most: int) -> None:
        self._places = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()
        self._held = 0

    def __len__(self) -> int:
        """How many are held now."""
        return self._held

    @contextmanager
    def up_to(self, seconds: float) -> Iterator[float]:
        """How long this request may be held: `seconds`, or 0 when too many are held already."""
        if seconds <= 0 or not self._places.acquire(blocking=False):
            yield 0.0
            return
        self._count(1)
        try:
            yield seconds
        finally:
            self._count(-1)
            self._places.release()

    def _count(self, more: int) -> None:
        with self._lock:
            self._held += more
