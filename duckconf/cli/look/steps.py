"""How a step of the loop is shown: by `diff`, which has those of now, and by `--dry-run`, which has those that would follow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from duckconf.forecast import Expected, Forecast
from duckconf.plan import Step


def step_row(step: Step) -> dict[str, Any]:
    return {
        "action": str(step.action),
        "app": step.app,
        "instance": step.instance,
        "node": step.action.node,
        "reason": step.reason,
    }


def step_line(step: Step, about: str = "") -> str:
    return f"{step.instance}: {step.action}{about}, because: {step.reason}"


def expected_lines(expected: Forecast) -> Iterator[str]:
    """Round by round, each with its number once, and with what it waits for beside the round before."""
    for number, some in enumerate(expected.rounds):
        first, *others = [*(f"waits until {words}" for words in expected.waits.get(number, ())), *map(expected_line, some)]
        yield f"{number + 1}. {first}"
        yield from (f"{' ' * len(f'{number + 1}. ')}{line}" for line in others)
    if expected.goes_on:
        yield "… and so on"


def expected_rows(expected: Forecast) -> list[dict[str, Any]]:
    return [expected_row(number, step) for number, some in enumerate(expected.rounds, 1) for step in some]


def waits_rows(expected: Forecast) -> list[dict[str, Any]]:
    return [{"round": number + 1, "until": words} for number, some in sorted(expected.waits.items()) for words in some]


def expected_row(number: int, expected: Expected) -> dict[str, Any]:
    revisions = {"before": expected.before or None, "after": expected.after or None}
    return {"round": number, **step_row(expected.step), "revision": revisions}


def expected_line(expected: Expected) -> str:
    before, after = expected.before, expected.after
    about = f", revision {before} → {after}" if before and before != after else f", revision {after}" if after else ""
    return step_line(expected.step, about)
