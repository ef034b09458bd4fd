"""Standard output and standard error behind a guard: what is printed is shown, and nothing in it is executed by the terminal.

Whoever means to control the terminal writes to the stream `behind` it, or to its `buffer`.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from duckconf.visible import visible


class Guarded:
    """A text stream as `print` and `sys.stdout` use it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(visible(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def behind(stream: TextIO) -> TextIO:
    """For bars and pictures, such as rich's `Console(file=…)`: all that others provide has to be made visible there."""
    return stream._stream if isinstance(stream, Guarded) else stream


def guard_terminal() -> None:
    """From now on, for the whole process. What the terminal's character set lacks is spelled out too, instead of an error."""
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout = Guarded(sys.stdout)
    sys.stderr = Guarded(sys.stderr)


def _open_what_is_closed() -> None:
    """Who calls us may have closed our input or output: the next connection would get its number, and what is printed."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.dup2(descriptor, number)
            if descriptor != number:
                os.close(descriptor)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 (as long as the process)
