"""The console blocks of a Markdown page: what a reader types, and whether what comes is what is shown. Pure.

What differs from run to run is matched by its kind, and nothing else is let pass:
- a time, a duration with its unit, and an id of eight hexadecimal digits match another of the same kind;
- runs of spaces are one, since the columns of a table are as wide as its longest name, and spaces at an end are none;
- `…` stands for any text within its line;
- a line that is only an indented `…` stands for indented lines, as `up` and `down` tell of their progress.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt

PROMPT = "$ "
ANY = "…"
KINDS = (
    ("a time", re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+Z)?")),
    ("a duration", re.compile(r"\b\d+(?:\.\d+)? ?(?:ms|[smh])\b")),
    ("an id", re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{8}\b")),
)


@dataclass(frozen=True)
class Step:
    """One command, the number of its line in the page, and the lines that are shown below it."""

    line: int
    command: str
    shown: tuple[str, ...] = ()


def steps(page: str) -> list[Step]:
    """In the order of the page; raises ValueError for a fence that shows a prompt and is no console block."""
    found: list[Step] = []
    for token in MarkdownIt().parse(page):
        if token.type != "fence" or token.map is None:
            continue
        lines = token.content.splitlines()
        if token.info == "console":
            found += _steps(lines, token.map[0] + 2)
        elif any(line.startswith(PROMPT) for line in lines):
            raise ValueError(f"line {token.map[0] + 1}: a block with a prompt should be a `console` block, so that it is run")
    return found


def _steps(lines: Sequence[str], first: int) -> list[Step]:
    starts = [index for index, line in enumerate(lines) if line.startswith(PROMPT)]
    if starts[:1] != [0]:
        raise ValueError(f"line {first}: a console block should begin with a command")
    ends = [*starts[1:], len(lines)]
    return [
        Step(first + start, lines[start].removeprefix(PROMPT), tuple(lines[start + 1 : end])) for start, end in zip(starts, ends)
    ]


def matches(shown: Iterable[str], seen: Iterable[str]) -> bool:
    pattern = "".join(_pattern(line) for line in shown)
    return re.fullmatch(pattern, "".join(f"{_kinds(line)}\n" for line in seen)) is not None


def difference(shown: Sequence[str], seen: Sequence[str]) -> str:
    """As people read it; without the width of columns, which is no difference."""
    one, other = ([_narrow(line) for line in lines] for lines in (shown, seen))
    return "\n".join(difflib.unified_diff(one, other, "shown in the page", "seen", lineterm="", n=20))


def _pattern(line: str) -> str:
    if line.strip() == ANY and line.startswith("  "):
        return r"(?: [^\n]*\n)+"
    return r"[^\n]*".join(re.escape(part) for part in _kinds(line).split(ANY)) + r"\n"


def _kinds(line: str) -> str:
    for kind, pattern in KINDS:
        line = pattern.sub(f"<{kind}>", line)
    return _narrow(line)


def _narrow(line: str) -> str:
    return re.sub(r"  +", "  ", line).rstrip()
