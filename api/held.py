"""Requests that are held until there is news: only so many at once, so that some threads are always free for others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class HeldRequests:
    """Counts the held requests of one server."""

    def __init__(self, most: int) -> None:
        self._places = threading.BoundedSemaphore(most)

    @contextmanager
    def up_to(self, seconds: float) -> Iterator[float]:
        """How long this request may be held: `seconds`, or 0 when too many are held already."""
        if seconds <= 0 or not self._places.acquire(blocking=False):
            yield 0.0
            return
        try:
            yield seconds
        finally:
            self._places.release()
