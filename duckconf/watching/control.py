"""The lines of `watch` for the control plane: its processes, and the four steps of control, lit while they run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from duckconf.picture import STEPS
from duckconf.watching.said import sign, tone
from duckconf.watching.spans import BAD, BOLD, DIM, LIT, PLAIN, Line, Span, ago, column

# Seconds for which a step counts as one that has just run.
LIT_FOR = 1.5
# Rows of the terminal from which each step has a line of its own, and from which it has words.
TALL, USUAL = 24, 14
NUMBERS = dict(zip(STEPS, "①②③④"))
SHORT_ABSENT = "push mode has none"

Part = Mapping[str, Any]


def processes(picture: Part) -> list[Line]:
    """On one line, and on one more for each of which there is something to say."""
    told: list[Span] = [Span(" control ", BOLD)]
    words: list[Line] = []
    for name, process in picture.get("processes", {}).items():
        state = process.get("state", "")
        told.append(Span(f" {sign(state)} {name} {state} ", tone(state)))
        if process.get("words"):
            words.append((Span(f"   {name}: {process['words']}", BAD),))
    faults = [(Span(f" ! {fault}", BAD),) for fault in picture.get("faults", ())]
    if faults:
        told.append(Span(f" ! {len(faults)} of the desired state cannot be read", BAD))
    return [tuple(told), *words, *faults]


def is_lit(step: Part, now: float) -> bool:
    return bool(step.get("at")) and now - float(step["at"]) < LIT_FOR


def steps(picture: Part, now: float, columns: int, rows: int) -> list[Line]:
    """A tall terminal has a line for each step, another one a column, a low one only their names."""
    found = {name: picture.get("steps", {}).get(name, {}) for name in STEPS}
    if rows >= TALL:
        return [
            (Span(f" {_head(name, step, now):<22}", _style(step, now)), Span(_words(step, full=True), _words_style(step)))
            for name, step in found.items()
        ]
    width = columns // len(STEPS)
    heads = tuple(Span(column(f" {_head(name, step, now)}", width), _style(step, now)) for name, step in found.items())
    if rows < USUAL:
        return [heads]
    return [
        heads,
        tuple(Span(column(f"   {_words(step, full=False)}", width - 1) + " ", _words_style(step)) for step in found.values()),
    ]


def _head(name: str, step: Part, now: float) -> str:
    if step.get("absent"):
        return f"✕ {name}: none"
    mark = "▶" if is_lit(step, now) else NUMBERS[name]
    return f"{mark} {name} {ago(now - step['at']) if step.get('at') else '-'}"


def _words(step: Part, *, full: bool) -> str:
    if step.get("absent"):
        return str(step["absent"]) if full else SHORT_ABSENT
    node, words = step.get("node", ""), str(step.get("words", ""))
    return words if not node or node in words else f"{node}: {words}"


def _style(step: Part, now: float) -> str:
    return LIT if is_lit(step, now) else DIM if step.get("absent") else BOLD


def _words_style(step: Part) -> str:
    return DIM if step.get("absent") else PLAIN
