"""Progress and messages for a person: on stderr, so that stdout holds data alone."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Shows `text` while the block runs, and how long it took when that was over half a second."""
    begun = time.monotonic()
    terminal = sys.stderr.isatty()
    print(f"  {text} …", end="" if terminal else "\n", file=sys.stderr, flush=True)
    try:
        yield
    except BaseException:
        say(" failed" if terminal else f"  {text}: failed")
        raise
    seconds = time.monotonic() - begun
    done = f"done in {seconds:.1f} s" if seconds > 0.5 else "done"
    say(f" {done}" if terminal else f"  {text}: {done}")
