"""The inventory of a long-lived process: refreshed beside it, so that a slow or failing source holds nobody up.

The last good answer holds. Who asks is told since when the source has failed, or how old the answer is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from duckconf.errors import DuckconfError
from duckconf.inventory import Inventory
from duckconf.reach.inventory.hosts import load_inventory

log = logging.getLogger(__name__)

# Seconds between two looks; after a slow one as many times as long as it took, so that a script is not run all the time.
LOOK_AGAIN = 1.0
TIMES_LONGER = 4.0
LONGEST_PAUSE = 60.0
# A look that is done so soon is waited for.
PATIENCE = 0.05
# A source that takes longer is told as trouble, until it answers.
SLOW = 15.0

Load = Callable[[], Inventory]


class InventoryFollower:
    """`current` never waits for the source; `trouble` says in words what is wrong with it, "" when nothing is."""

    def __init__(self, path: Path, project: Path, on_news: Callable[[], None] = lambda: None, load: Load | None = None) -> None:
        """Raises as `load_inventory` does when the inventory is bad from the start. `on_news` is called, from another thread,
        when another inventory or another trouble is there."""
        self._load = load if load is not None else lambda: load_inventory(path, project, secrets=True)
        self._on_news = on_news
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._done.set()
        self._begun = time.monotonic()
        self._inventory = self._load()
        self._next = time.monotonic() + self._pause()
        self._good_at = time.time()
        self._failed = ""

    def current(self) -> Inventory:
        with self._lock:
            due = self._done.is_set() and time.monotonic() >= self._next
            if due:
                self._begun = time.monotonic()
                self._done.clear()
        if due:
            threading.Thread(target=self._look, name="inventory", daemon=True).start()
            self._done.wait(PATIENCE)
        return self._inventory

    @property
    def trouble(self) -> str:
        """The same words for as long as it is the same trouble."""
        since = time.strftime("%H:%M:%S", time.localtime(self._good_at))
        if self._failed:
            return f"inventory: {self._failed}; going on with the one of {since}"
        if not self._done.is_set() and time.monotonic() - self._begun > SLOW:
            return f"inventory: its source has not answered within {SLOW:g} s; going on with the one of {since}"
        return ""

    def _look(self) -> None:
        before, failed = self._inventory, ""
        try:
            self._inventory = self._load()
            self._good_at = time.time()
        except (DuckconfError, OSError) as error:
            failed = str(error)
        except BaseException as error:
            failed = f"{type(error).__name__}: {error}"
            log.exception("the inventory cannot be read, in an unforeseen way")
        news = failed != self._failed or self._inventory != before
        if failed and failed != self._failed:
            log.warning("the inventory is broken, going on with the last good one: %s", failed)
        self._failed = failed
        self._next = time.monotonic() + self._pause()
        self._done.set()
        if news:
            self._on_news()

    def _pause(self) -> float:
        return min(LONGEST_PAUSE, max(LOOK_AGAIN, TIMES_LONGER * (time.monotonic() - self._begun)))
