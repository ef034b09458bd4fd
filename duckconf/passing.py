"""What a control loop says of the passes that it makes: what each step did last, whom it heard, and what it is doing now. Pure.

It changes with every pass, and is small; what the passes found out stands in `report.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from duckconf.picture import Call, Step


@dataclass(frozen=True)
class Passing:
    """`process` is the number of the loop's process; `heard` has when each node last answered, in seconds since the epoch. It has
    made so many `passes`, which took `seconds` together until they had decided."""

    process: int = 0
    steps: Mapping[str, Step] = field(default_factory=dict)
    heard: Mapping[str, float] = field(default_factory=dict)
    calls: Mapping[str, Call] = field(default_factory=dict)
    passes: int = 0
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "process": self.process,
            "steps": {name: vars(step) for name, step in self.steps.items()},
            "heard": dict(self.heard),
            "calls": {name: vars(call) for name, call in self.calls.items()},
            "passes": self.passes,
            "seconds": self.seconds,
        }


def passing_from_json(data: Any) -> Passing:
    """Raises ValueError, TypeError, KeyError or AttributeError for something that is none."""
    return Passing(
        int(data["process"]),
        {str(name): Step(**_known(Step, step)) for name, step in data["steps"].items()},
        {str(name): float(when) for name, when in data["heard"].items()},
        {str(name): Call(**_known(Call, call)) for name, call in data["calls"].items()},
        int(data.get("passes", 0)),
        float(data.get("seconds", 0.0)),
    )


def _known(kind: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    """One of another version may have fields that this one does not know."""
    return {item.name: data[item.name] for item in fields(kind) if item.name in data}
