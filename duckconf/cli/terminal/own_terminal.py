"""The terminal that a person sits at, lent to a program elsewhere: every key goes there, and it is as it was afterwards."""

from __future__ import annotations

import os
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from duckconf.inside import Terminal

USUAL = "xterm"
CHUNK = 65536


def own_terminal() -> Terminal | None:
    """None where either side of it is a file, a pipe or another program."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    return Terminal(os.environ.get("TERM") or USUAL, *os.get_terminal_size(sys.stdout.fileno()))


@contextmanager
def lent(terminal: Terminal | None) -> Iterator[None]:
    """Does nothing where there is none."""
    if terminal is None:
        yield
        return
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    try:
        tty.setraw(number, termios.TCSADRAIN)
        yield
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def typed() -> Iterator[bytes]:
    """Our input as it comes, to its end."""
    try:
        number = sys.stdin.fileno()
        while data := os.read(number, CHUNK):
            yield data
    except (OSError, ValueError):
        return
