"""Lines of a screen as values: pieces of text with the name of a style, never wider than they may be. Pure.

All that is shown passes through `fitted`, which spells out what a terminal would act upon: no other place has to think of it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from duckconf.visible import visible

PLAIN, DIM, BOLD = "", "dim", "bold"
WELL, BUSY, BAD = "well", "busy", "bad"
# What is done at this moment; what the next key is for; what has to be read first.
LIT, CHOSEN, ALARM = "lit", "chosen", "alarm"
MORE = "…"


class Span(NamedTuple):
    text: str
    style: str = PLAIN


Line = tuple[Span, ...]


def shown(text: str) -> str:
    """On one line."""
    return visible(text).replace("\n", " ").replace("\t", " ")


def cells(text: str) -> int:
    """The columns that it takes."""
    return len(text) if text.isascii() else sum(map(_cells_of, text))


def _cells_of(sign: str) -> int:
    if unicodedata.combining(sign) or unicodedata.category(sign) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1


def cut(text: str, width: int) -> str:
    """Its beginning, with a sign that there is more, where it is too wide."""
    if cells(text) <= width:
        return text
    if width < 1:
        return ""
    kept, used = [], 0
    for sign in text:
        used += _cells_of(sign)
        if used > width - 1:
            break
        kept.append(sign)
    return "".join(kept) + MORE


def column(text: str, width: int) -> str:
    """Exactly that wide."""
    told = cut(shown(text), width)
    return told + " " * (width - cells(told))


def fitted(spans: Iterable[Span], width: int) -> Line:
    """No wider than that, and with nothing that a terminal would act upon."""
    line: list[Span] = []
    for span in spans:
        text = cut(shown(span.text), width)
        if text:
            line.append(Span(text, span.style))
        width -= cells(text)
        if width <= 0:
            break
    return tuple(line)


def length(spans: Sequence[Span]) -> int:
    return sum(cells(span.text) for span in spans)


def text_of(line: Line) -> str:
    return "".join(span.text for span in line).rstrip()


def ago(seconds: float) -> str:
    """In the largest whole unit: 5s, 12m, 3h, 9d."""
    whole = max(0, int(seconds))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if whole >= size:
            return f"{whole // size}{unit}"
    return f"{whole}s"
