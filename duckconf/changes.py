"""What differs between two declarations of an app, field by field, as a person would write them. Pure.

The values of secrets are no part of a declaration, which has only their names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from duckconf.codec import meaning, to_json
from duckconf.model import DECLARED, FIELDS, SPEC_FIELDS, App


class Change(NamedTuple):
    """`before` and `after` are JSON, None where the field was not given. Only some changes replace containers: the others are
    about the set of instances, or say the same in other words."""

    field: str
    before: Any
    after: Any
    replaces: bool


def changes(before: App, after: App) -> list[Change]:
    """In the order of the declaration; of a mapping, each key that differs."""
    old, new = to_json(before), to_json(after)
    same = {name for name in SPEC_FIELDS if meaning(before).get(name) == meaning(after).get(name)}
    return [
        Change(name, was, becomes, name.partition(".")[0] in SPEC_FIELDS and name.partition(".")[0] not in same)
        for field in FIELDS
        if field != "name" and old.get(field) != new.get(field) and not _means_the_same(field, before, after)
        for name, was, becomes in _parts(field, old.get(field), new.get(field))
    ]


def _means_the_same(field: str, before: App, after: App) -> bool:
    """Of what no container has: `restart: always` is what an app does that says nothing."""
    senses = [DECLARED[field].kind.meaning(getattr(app, field)) for app in (before, after) if field == "restart"]
    return len(senses) == 2 and senses[0] == senses[1]


def _parts(field: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    given = [value for value in (before, after) if value is not None]
    if not all(isinstance(value, Mapping) for value in given):
        yield field, before, after
        return
    old, new = before or {}, after or {}
    for key in [*old, *(key for key in new if key not in old)]:
        if old.get(key) != new.get(key):
            yield f"{field}.{key}", old.get(key), new.get(key)
