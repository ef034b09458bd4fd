"""The watches of agents, scheduler and whoever else looks at a part of the state: each part has a revision of its own, so that a
change wakes those whom it concerns and nobody else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable


class Watches:
    """Revisions by name of what is watched: a node, or another part. `lock` is that of what is watched."""

    def __init__(self, lock: threading.RLock, first: int) -> None:
        """Revisions go on from `first`."""
        self._lock = lock
        self._counter = first
        self._revisions: dict[str, int] = {}
        self._waiting: dict[str, threading.Condition] = {}

    def revision(self, name: str) -> int:
        with self._lock:
            return self._revisions.setdefault(name, self._counter)

    def bump(self, names: Iterable[str]) -> None:
        """These have changed."""
        with self._lock:
            for name in names:
                self._counter += 1
                self._revisions[name] = self._counter
                condition = self._waiting.get(name)
                if condition is not None:
                    condition.notify_all()

    def wait(self, name: str, since: int, seconds: float) -> None:
        """Return when the revision is another one than `since`, or after `seconds`."""
        with self._lock:
            condition = self._waiting.setdefault(name, threading.Condition(self._lock))
            condition.wait_for(lambda: self.revision(name) != since, seconds)
