"""A jump host that many nodes are reached through: so many logins at once, and one failure of its own for all who wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from duckconf.errors import NodeFailure
from duckconf.reach.ssh.line import AtJump

# A jump host logs each of them in; sshd turns away one in three beyond ten that are not done (MaxStartups).
AT_ONCE = 8
# Who comes so soon after a failure gets the same answer: a hundred nodes that knock would start a hundred programs a second.
HOLDS = 1.0


class JumpHost:
    """What is known of one jump host in this process."""

    def __init__(self) -> None:
        self._slots = threading.BoundedSemaphore(AT_ONCE)
        self._failure: NodeFailure | None = None
        self._failed_at = 0.0

    @contextmanager
    def through(self, node: str) -> Iterator[None]:
        """The block may connect to `node`. Raises NodeFailure when the jump host failed while this one waited."""
        came = time.monotonic()
        with self._slots:
            failure = self._failure
            if failure is not None and self._failed_at + HOLDS >= came:
                raise type(failure)(node, failure.reason, failure.remedy)
            try:
                yield
            except NodeFailure as failed:
                if isinstance(failed, AtJump):
                    self._failure, self._failed_at = failed, time.monotonic()
                raise
