"""What a terminal would act upon is shown: in whatever is printed, and in the logs of apps."""

from __future__ import annotations

import io
import json
import sys
from typing import TextIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckconf.cli.terminal.guard import Guarded, behind, guard_terminal
from duckconf.cli.terminal.upload_progress import Bars
from duckconf.visible import ACTED_UPON, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext é 🦆\n", "plain\ttext é 🦆\n"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("an 8-bit \x9b31m", "an 8-bit \\u009b31m"),
        ("safe\roverwritten", "safe\\x0doverwritten"),
        ("from a tty\r\n", "from a tty\n"),
        ("turned \u202egnp.exe", "turned \\u202egnp.exe"),
        ("half \udc80", "half \\udc80"),
    ],
)
def test_a_control_character_is_spelled_out(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_nothing_that_is_shown_is_acted_upon_and_json_stays_what_it_was(text: str) -> None:
    assert not ACTED_UPON.search(visible(text))
    assert json.loads(visible(json.dumps(text, ensure_ascii=False))) == text


def test_the_guard_shows_what_is_printed_and_bars_go_past_it(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    guarded = Guarded(out)
    print("\x1b[2Jgone?", file=guarded)
    guarded.writelines(["\x07", "b\n"])
    assert out.getvalue() == "\\x1b[2Jgone?\n\\x07b\n"
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys, "stderr", guarded)
    with Bars(lambda: 100) as bars:
        bars.told("node-1", 0, 0)
        bars.told("node-1", 0, 50)
        bars.ended("node-1", "done \x1b[2J")
        bars.ended("node-2", "refused \x1b[2J")
    shown = out.getvalue()
    assert "\x1b[" in shown
    assert "\\x1b[0m" not in shown
    assert shown.count("done \\x1b[2J") >= 1
    assert "node-2: refused \\x1b[2J" in shown
    assert (behind(cast(TextIO, guarded)), behind(out)) == (out, out)


def test_what_the_character_set_of_the_terminal_lacks_is_spelled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    behind = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", behind)
    monkeypatch.setattr(sys, "stderr", behind)
    guard_terminal()
    print("node-1: … \x1b[31m")
    assert behind.buffer.getvalue() == b"node-1: \\u2026 \\x1b[31m\n"
