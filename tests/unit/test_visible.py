"""What a terminal would act upon is shown: in whatever is printed, and in the logs of apps."""

from __future__ import annotations

import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckconf.cli.terminal.guard import Guarded, guard_terminal
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


def test_the_guard_lets_rich_write_past_itself() -> None:
    behind = io.StringIO()
    guarded = Guarded(behind)
    print("\x1b[2Jgone?", file=guarded)
    guarded.writelines(["\x07", "b\n"])
    assert behind.getvalue() == "\\x1b[2Jgone?\n\\x07b\n"
    assert guarded.rich_proxied_file is behind


def test_what_the_character_set_of_the_terminal_lacks_is_spelled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    behind = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", behind)
    monkeypatch.setattr(sys, "stderr", behind)
    guard_terminal()
    print("node-1: … \x1b[31m")
    assert behind.buffer.getvalue() == b"node-1: \\u2026 \\x1b[31m\n"
