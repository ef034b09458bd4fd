"""Progress on a terminal and in a file, also of several steps at the same time."""

from __future__ import annotations

import io

import pytest

from duckconf.cli.terminal.say import say, step


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(patch: pytest.MonkeyPatch) -> Terminal:
    """Called in the test itself: pytest exchanges stderr between a test's phases."""
    terminal = Terminal()
    patch.setattr("sys.stderr", terminal)
    return terminal


def test_a_step_alone_is_one_line_of_a_terminal_and_two_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    with step("one"):
        pass
    file = io.StringIO()
    monkeypatch.setattr("sys.stderr", file)
    with step("two"):
        pass
    assert (terminal.getvalue(), file.getvalue()) == ("  one … done\n", "  two …\n  two: done\n")


def test_steps_at_the_same_time_keep_their_lines_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    one, two = step("one"), step("two")
    one.__enter__()
    two.__enter__()
    one.__exit__(None, None, None)
    say("between")
    two.__exit__(None, None, None)
    assert terminal.getvalue() == "  one …\n  two …\n  one: done\nbetween\n  two: done\n"


def test_a_step_that_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    with pytest.raises(ValueError, match="x"), step("one"):
        raise ValueError("x")
    assert terminal.getvalue() == "  one … failed\n"
