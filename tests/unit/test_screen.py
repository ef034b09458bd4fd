"""The whole screen of a terminal: what is written to it, and how it is left."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import signal
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from rich.console import Console

from duckconf.cli.terminal.screen import ENTER, LEAVE, Ended, Painter, Screen
from duckconf.watching.spans import Line, Span


@contextmanager
def terminal(patch: pytest.MonkeyPatch) -> Iterator[int]:
    """The other side of the terminal that is our standard input and output. Called in the test itself: pytest exchanges them
    between a test's phases."""
    ours, its = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with open(its, closefd=False) as reads, open(its, "w", closefd=False) as writes, patch.context() as now:
        now.setattr("sys.stdin", reads)
        now.setattr("sys.stdout", writes)
        yield ours
    os.close(its)
    os.close(ours)


def shown_until(fault: BaseException, keyboard: int) -> None:
    with Screen() as screen:
        assert not termios.tcgetattr(keyboard)[3] & termios.ECHO
        assert screen.size == (80, 24)
        raise fault


@pytest.mark.parametrize("fault", [RuntimeError("broken"), Ended(signal.SIGTERM), KeyboardInterrupt()])
def test_whatever_is_raised_the_terminal_is_as_it_was(monkeypatch: pytest.MonkeyPatch, fault: BaseException) -> None:
    with terminal(monkeypatch) as keyboard:
        before, handler = termios.tcgetattr(keyboard), signal.getsignal(signal.SIGTERM)
        with pytest.raises(type(fault)):
            shown_until(fault, keyboard)
        assert termios.tcgetattr(keyboard) == before
        assert signal.getsignal(signal.SIGTERM) is handler
        told = b""
        # A terminal hands over what came in pieces.
        while len(told) < len(ENTER + LEAVE):
            told += os.read(keyboard, 4096)
        assert told.decode() == ENTER + LEAVE


def test_keys_are_read_and_a_thread_or_a_signal_wakes_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as keyboard, Screen() as screen:
        os.write(keyboard, b"k\x1b[A")
        assert screen.keys(5) == ["k", "up"]
        screen.wake()
        assert screen.keys(5) == []
        os.kill(os.getpid(), signal.SIGWINCH)
        assert screen.keys(5) == []
        with pytest.raises(Ended, match="15"):
            os.kill(os.getpid(), signal.SIGTERM)


def test_only_lines_that_differ_are_written_and_after_a_resize_all() -> None:
    painter = Painter(Console(file=io.StringIO(), force_terminal=True, color_system="standard", no_color=False))
    first: list[Line] = [(Span("a", "bold"),), (Span("[b]b[/b]"),)]
    told = painter.paint(first)
    assert "\x1b[1ma" in told
    assert "\x1b[2;1H[b]b[/b]" in told
    assert painter.paint(first) == ""
    changed = painter.paint([first[0], (Span("c"),)])
    assert "\x1b[2;1Hc" in changed
    assert "\x1b[1;1H" not in changed
    assert "\x1b[2J" in painter.paint([*first, ()])
