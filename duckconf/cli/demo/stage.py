"""How a tour tells its steps: at once, or one at a time, each after a key."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from duckconf.cli.demo.script import Step
from duckconf.cli.terminal.say import say
from duckconf.cli.terminal.screen import CHUNK, Ended
from duckconf.errors import DuckconfError
from duckconf.watching.keys import keys_in

# Those of a presenter's remote control too.
GOES_ON = ("enter", "space", "right", "page-down")


class Left(Exception):
    """Who looks has seen enough."""


class Stage:
    """One tour. Raises DuckconfError when it shall `pause` and nobody can press a key."""

    def __init__(self, *, pause: bool = False) -> None:
        if pause and not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise DuckconfError("--pause waits for keys, and this is no terminal", "leave it out")
        self._pause = pause
        self._number = 0

    @contextmanager
    def step(self, step: Step, **names: object) -> Iterator[None]:
        """What the step does is done inside. Raises Left when a key ends the tour before it."""
        told, self._number = step.of(**names), self._number + 1
        say(f"\n{self._number}. {told.title}\n   {told.will}")
        if self._pause:
            say("   [Enter or space: go on, q: end]")
            _await_key()
        say(f"   $ {told.command}\n   → {told.call}")
        yield
        say(f"   ✓ {told.changed}")


def _await_key() -> None:
    """Keys that were pressed before do not count. Raises Left, and Ended when the terminal is gone."""
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    # After Ctrl-Z the shell has made its own of the terminal.
    handler = signal.signal(signal.SIGCONT, lambda *_: tty.setcbreak(number, termios.TCSANOW))
    try:
        tty.setcbreak(number, termios.TCSAFLUSH)
        rest = ""
        while True:
            select.select([number], [], [])
            if not (data := os.read(number, CHUNK)):
                raise Ended(signal.SIGHUP)
            keys, rest = keys_in(rest + data.decode(errors="ignore"))
            if "q" in keys:
                raise Left
            if any(key in GOES_ON for key in keys):
                return
    finally:
        with suppress(termios.error):
            termios.tcsetattr(number, termios.TCSANOW, before)
        signal.signal(signal.SIGCONT, handler)
