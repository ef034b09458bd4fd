"""The whole screen of a terminal, for as long as a block runs, and the terminal as it was before whatever ends it.

What ends it from outside (SIGTERM, SIGHUP, SIGQUIT) ends the block with `Ended`. Ctrl-Z gives the terminal back, stops the
process and takes the terminal again when it goes on.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import sys
import termios
import tty
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

from rich.console import Console
from rich.text import Text

from duckconf.cli.terminal.guard import behind
from duckconf.watching.keys import keys_in
from duckconf.watching.spans import Line

ENTER = "\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[2J"
LEAVE = "\x1b[?2004l\x1b[0m\x1b[?25h\x1b[?1049l"
# A terminal that knows it shows what is between them at once; the others ignore them.
TOGETHER, SHOWN = "\x1b[?2026h", "\x1b[?2026l"
STYLES = {
    "": "", "dim": "dim", "bold": "bold", "well": "green", "busy": "yellow", "bad": "bold red", "lit": "bold cyan",
    "chosen": "reverse", "alarm": "bold reverse",
}  # fmt: skip
ENDS = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
CHUNK = 4096


class Ended(BaseException):
    """By a signal. No Exception: nothing between here and the block's end may take it for a fault."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code = 128 + number


class Painter:
    """Writes lines that differ from the ones before."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: list[Line] = []

    def forget(self) -> None:
        self._shown = []

    def paint(self, lines: Sequence[Line]) -> str:
        """What makes these lines of those that the terminal shows; "" where it shows them."""
        whole = len(lines) != len(self._shown)
        before: Sequence[Line | None] = [None] * len(lines) if whole else self._shown
        told = "".join(
            f"\x1b[{number};1H{self.text(line)}\x1b[0m\x1b[K"
            for number, (line, old) in enumerate(zip(lines, before), 1)
            if line != old
        )
        self._shown = list(lines)
        clear = "\x1b[2J" if whole else ""
        return f"{TOGETHER}{clear}{told}{SHOWN}" if told else ""

    def text(self, line: Line) -> str:
        with self._console.capture() as captured:
            self._console.print(styled(line), end="", soft_wrap=True, highlight=False)
        return captured.get()


def styled(line: Line) -> Text:
    return Text.assemble(*((span.text, STYLES[span.style]) for span in line), end="")


class Screen:
    """For one thread; `wake` may be called by any."""

    def __init__(self) -> None:
        self._input, self._output = sys.stdin.fileno(), behind(sys.stdout)
        self._painter = Painter(Console(file=self._output, force_terminal=True))
        self._before = termios.tcgetattr(self._input)
        self._handlers: dict[int, Any] = {}
        self._bell, self._ring = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._selector.register(self._input, selectors.EVENT_READ)
        self._rest = ""
        self._stops = self._goes_on = False

    def __enter__(self) -> Screen:
        handlers: Mapping[int, Any] = dict.fromkeys(ENDS, end_by) | {
            signal.SIGWINCH: lambda *_: None,
            signal.SIGTSTP: self._stop,
            signal.SIGCONT: self._go_on,
        }
        self._handlers = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        signal.set_wakeup_fd(self._ring, warn_on_full_buffer=False)
        try:
            self._take()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # A second Ctrl-C must not leave half of it undone.
        interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self._give_back()
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in {**self._handlers, signal.SIGINT: interrupted}.items():
                signal.signal(number, handler)
            self._selector.close()
            os.close(self._bell)
            ring, self._ring = self._ring, -1
            os.close(ring)

    def wake(self) -> None:
        """Whoever waits for keys does so no longer."""
        with contextlib.suppress(OSError):
            os.write(self._ring, b"!")

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows, as they are now. Raises Ended when the terminal is gone."""
        with _there():
            columns, rows = os.get_terminal_size(self._output.fileno())
        return max(columns, 1), max(rows, 1)

    def show(self, lines: Sequence[Line]) -> None:
        """Raises Ended when the terminal is gone."""
        if told := self._painter.paint(lines):
            with _there():
                self._output.write(told)
                self._output.flush()

    def keys(self, seconds: float) -> list[str]:
        """Those that are pressed until something has happened, or the time is over. Raises Ended when the terminal is gone."""
        ready = {key.fd for key, _ in self._selector.select(max(seconds, 0.0))}
        if self._bell in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._bell, CHUNK)
        if self._stops:
            self._suspend()
        if self._goes_on:
            self._goes_on = False
            self._take()
        if self._input not in ready:
            return []
        try:
            data = os.read(self._input, CHUNK)
        except OSError:
            data = b""
        if not data:
            raise Ended(signal.SIGHUP)
        keys, self._rest = keys_in(self._rest + data.decode(errors="ignore"))
        return keys

    def _take(self) -> None:
        tty.setcbreak(self._input, termios.TCSANOW)
        self._painter.forget()
        self._output.write(ENTER)
        self._output.flush()

    def _give_back(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._output.write(LEAVE)
            self._output.flush()
        with contextlib.suppress(termios.error):
            termios.tcsetattr(self._input, termios.TCSANOW, self._before)

    def _suspend(self) -> None:
        self._stops = False
        self._give_back()
        ours = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        # Here it goes on; what the shell made of the terminal meanwhile is what it shall have back at the end.
        signal.signal(signal.SIGTSTP, ours)
        with contextlib.suppress(termios.error):
            self._before = termios.tcgetattr(self._input)
        self._goes_on = True

    def _stop(self, _: int, __: FrameType | None) -> None:
        self._stops = True

    def _go_on(self, _: int, __: FrameType | None) -> None:
        self._goes_on = True


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """What would end the process ends the block with Ended."""
    before = {number: signal.signal(number, end_by) for number in ENDS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _there() -> Iterator[None]:
    try:
        yield
    except OSError:
        raise Ended(signal.SIGHUP) from None


def end_by(number: int, _: FrameType | None) -> None:
    raise Ended(number)
