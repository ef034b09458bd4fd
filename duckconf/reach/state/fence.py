"""A condition on all that is written while it holds, such as that a leader's term is the newest: checked in the very step in
which the change is written.

It belongs to the thread that asks for a change. Whoever writes a change for another thread takes its fence along (`current`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Optional

Look = Callable[[str], Optional[str]]
"""Reads an entry by its whole name, PART/NAME; it must be the same when the change is written."""
Fence = Callable[[Look], None]
"""Raises DuckconfError for a change that must not be written."""

_current: ContextVar[Fence | None] = ContextVar("fence", default=None)


def current() -> Fence | None:
    return _current.get()


@contextmanager
def fenced(fence: Fence | None) -> Iterator[None]:
    """All changes of this thread are under this fence; None: under none."""
    token = _current.set(fence)
    try:
        yield
    finally:
        _current.reset(token)
