"""Updates that are under way, for `diff`: how far each is, what it waits for, and the steps that follow then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from duckconf.cli.look.picture import Scene
from duckconf.cli.look.steps import expected_lines, expected_rows, waits_rows
from duckconf.forecast import Forecast, forecast


class UnderWay(NamedTuple):
    """`note` is how far the update is now."""

    note: str
    expected: Forecast


def foretold(cluster: str, scene: Scene, rollouts: Mapping[str, str]) -> dict[str, UnderWay]:
    """The apps whose update is not done. One that failed or is paused has no further steps."""
    desired, _ = scene.desired()
    return {
        app: UnderWay(note, forecast(cluster, desired, scene.fleet, scene.memory, scene.now, [app]))
        for app, note in rollouts.items()
    }


def goes_on(updates: Mapping[str, UnderWay]) -> bool:
    """Whether steps follow."""
    return any(one.expected.rounds for one in updates.values())


def say_foretold(updates: Mapping[str, UnderWay]) -> None:
    for app, one in sorted(updates.items()):
        print(f"{app}: {one.note}" + ("; it goes on like this:" if one.expected.rounds else ""))
        for line in expected_lines(one.expected):
            print(f"  {line}")


def told(updates: Mapping[str, UnderWay]) -> list[dict[str, Any]]:
    return [
        {"app": app, "note": one.note, "steps": expected_rows(one.expected), "waits": waits_rows(one.expected)}
        for app, one in sorted(updates.items())
    ]
