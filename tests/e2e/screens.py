"""What a person reads on the screen of a task that draws on the whole of it."""

from __future__ import annotations

import re

from duckconf.cli.terminal.screen import LEAVE
from tests.e2e.typed import Running
from tests.waiting import until

LINE = re.compile(r"\x1b\[(\d+);1H(.*?)\x1b\[K", re.DOTALL)
STYLE = re.compile(r"\x1b\[[0-9;]*m")
CLEAR = "\x1b[2J"


def screen(shown: Running) -> str:
    text = shown.out
    lines: dict[int, str] = {}
    for number, line in LINE.findall(text[max(text.rfind(CLEAR), 0) :]):
        lines[int(number)] = STYLE.sub("", line).rstrip()
    return "\n".join(lines.get(number, "") for number in range(1, max(lines, default=0) + 1))


def await_words(shown: Running, *words: str, seconds: float = 20) -> None:
    """Until all of them are on the screen."""
    until(f"{words} on the screen", lambda: all(one in screen(shown) for one in words), seconds, lambda: screen(shown))


def is_left(shown: Running) -> bool:
    """Whether the terminal has its own screen again, with a cursor."""
    return shown.out.rfind(LEAVE) > shown.out.rfind(CLEAR) > 0
