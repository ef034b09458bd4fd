"""Changes that arrive together share one flush: one of their threads decides and writes all of them, so that the cost of a write
stays flat.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from api.stores.changes import Decide
from duckconf.errors import DuckconfError
from duckconf.reach.state.fence import current


class Waiting:
    """A change on its way, with the fence of the thread that asks for it. `called` is set when it is done, or when its thread is
    to lead the next flush."""

    def __init__(self, decide: Decide) -> None:
        self.decide = decide
        self.fence = current()
        self.done = False
        self.failure: Exception | None = None
        self.called = threading.Event()


class Together:
    """`flush` writes a batch under the lock `flushing`; what it raises is the failure of each change that has none of its own."""

    def __init__(self, flush: Callable[[list[Waiting]], None], flushing: threading.Lock) -> None:
        self._flush = flush
        self._flushing = flushing
        self._queue: list[Waiting] = []
        self._led = False
        self._queueing = threading.Lock()

    def submit(self, decide: Decide) -> None:
        """Return when the change is written; raises why it is not."""
        mine = Waiting(decide)
        with self._queueing:
            self._queue.append(mine)
            follows, self._led = self._led, True
        if follows:
            mine.called.wait()
        if not mine.done:
            self._lead()
        if mine.failure is not None:
            raise mine.failure

    def _lead(self) -> None:
        """Flush what waits, this thread's change included, then hand the lead on: whoever is done waits for nobody."""
        try:
            with self._flushing:
                self._flush_all()
        finally:
            with self._queueing:
                self._led = bool(self._queue)
                if self._queue:
                    self._queue[0].called.set()

    def _flush_all(self) -> None:
        with self._queueing:
            batch, self._queue = self._queue, []
        try:
            self._flush(batch)
        except (DuckconfError, OSError) as error:
            for waiting in batch:
                waiting.failure = waiting.failure or error
        finally:
            for waiting in batch:
                waiting.done = True
                waiting.called.set()
