"""The App schema of push mode: without the fields that need a state, which nothing keeps there."""

from __future__ import annotations

from typing import Any

from api.schemas import APP
from duckconf.compose import ALIASES
from duckconf.place_kinds import REPLICATED

# Fields that push mode cannot honour: it observes nothing.
NEEDS_STATE = ("routes", "max_per_node", "reserve_cpus", "reserve_memory")
# Push gives the names; the others are kept beside a state, or followed by a loop.
REFUSED = frozenset((*NEEDS_STATE, "name", "secrets"))


def _is_taken(field: str) -> bool:
    return ALIASES.get(field, field) not in REFUSED


def _in_push(field: str, schema: dict[str, Any]) -> dict[str, Any]:
    if ALIASES.get(field, field) == "replicas":
        return {**schema, "minimum": 1}
    return {**schema, "enum": [REPLICATED]} if field == "mode" else schema


PUSHED_APP: dict[str, Any] = {
    **APP,
    "properties": {field: _in_push(field, schema) for field, schema in APP["properties"].items() if _is_taken(field)},
}
