"""Progress and messages for a person: on stderr, so that stdout holds data alone.

Several threads may speak: on a terminal a line that is still open is ended before another one begins.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_speaking = threading.Lock()
# The step whose line is open on the terminal.
_open: object = None


def say(text: str) -> None:
    with _speaking:
        _line(text)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Shows `text` while the block runs, and how long it took when that was over half a second."""
    global _open
    this, begun = object(), time.monotonic()
    with _speaking:
        _line(f"  {text} …", end="" if sys.stderr.isatty() else "\n")
        _open = this if sys.stderr.isatty() else None
    try:
        yield
    except BaseException as error:
        _end(this, text, "interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
        raise
    seconds = time.monotonic() - begun
    _end(this, text, f"done in {seconds:.1f} s" if seconds > 0.5 else "done")


def _end(this: object, text: str, how: str) -> None:
    global _open
    with _speaking:
        if _open is this:
            _open = None
            _line(f" {how}")
        else:
            _line(f"  {text}: {how}")


def _line(text: str, end: str = "\n") -> None:
    """To be called by who holds the lock."""
    global _open
    if _open is not None:
        print(file=sys.stderr)
        _open = None
    print(text, end=end, file=sys.stderr, flush=True)
