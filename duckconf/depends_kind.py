"""The field `depends_on`: other apps by name, each with how far it must be. Pure. The Compose Spec's forms are taken: a list of
names, or for each an object with `condition`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from duckconf.errors import Fault
from duckconf.field_kinds import NAME
from duckconf.kinds import Pairs, Word

STARTED, HEALTHY, COMPLETED = "service_started", "service_healthy", "service_completed_successfully"
CONDITIONS = (STARTED, HEALTHY, COMPLETED)


class Depends(Pairs):
    def check(self, path: str, value: object, faults: list[Fault]) -> dict[str, str]:
        if isinstance(value, (list, tuple)) and all(isinstance(word, str) and "=" not in word for word in value):
            value = dict.fromkeys(value, STARTED)
        return super().check(path, value, faults)


def _condition(value: Any) -> str:
    told = value.get("condition") if isinstance(value, Mapping) else value
    if told in CONDITIONS:
        return str(told)
    raise ValueError(f"should be {', '.join(CONDITIONS[:-1])} or {CONDITIONS[-1]}")


def _app(name: str) -> str:
    return "" if NAME.fullmatch(name) else "should be the name of an app"


DEPENDS_KIND = Depends(_app, Word(_condition, {"oneOf": [{"enum": list(CONDITIONS)}, {"type": "object"}]}))
