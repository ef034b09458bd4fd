"""What an edit of an app on a command line declares. Pure.

Of a mapping the keys that are typed change and the others stay, as in `docker service update --env-add`; a list is replaced as
a whole. After a failed update the edit is one of the revision that serves: what failed was never what the app ran.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from duckconf.changes import changes
from duckconf.codec import to_json
from duckconf.compose import ALIASES, merged
from duckconf.errors import BadInput, Fault
from duckconf.healthcheck_kind import OWN
from duckconf.kinds import Listed, Pairs
from duckconf.model import DECLARED, FIELDS, App, parse_app
from duckconf.rollout import History, Revision, as_declared, last_good, taken_back, with_service

# Of each of these an app has one.
ONE_OF: Mapping[str, Sequence[str]] = {"healthcheck": (*OWN, "disable")}
KEPT = ("name", "image")
OPTIONS = {declared.option: name for name, declared in DECLARED.items() if declared.option}


@dataclass(frozen=True)
class Edit:
    """The fields that were typed, as JSON, and those to take away: FIELD, or FIELD.KEY of a mapping."""

    typed: Mapping[str, Any]
    unset: Sequence[str] = ()


class Edited(NamedTuple):
    """The app as it is to be declared, and what a person should know of that beside what was typed."""

    app: App
    said: tuple[str, ...] = ()

    def body(self, before: App) -> dict[str, Any]:
        """For `PUT /app/NAME`: the fields that change, None for one that goes."""
        old, new = to_json(before), to_json(self.app)
        return {name: new.get(name) for name in FIELDS if old.get(name) != new.get(name)}


def edited(declared: App, history: History, edit: Edit) -> Edited:
    """Raises BadInput."""
    failed, base = serving(declared, history)
    fields = to_json(base)
    fields = merged(fields, {name: _value(name, value, fields.get(name)) for name, value in edit.typed.items()})
    said: list[str] = []
    if {"restart"} == edit.typed.keys() & {"restart", "restart_policy"} and fields.pop("restart_policy", None):
        said.append("restart_policy goes: it would override restart")
    for text in edit.unset:
        said += _take_away(fields, text, declared.name)
    after = replace(parse_app({**fields, "name": declared.name}), **_placement(declared))
    return Edited(after, (*_taken_back(declared, base, after, failed), *said, *_replaced(base, after, edit)))


def serving(declared: App, history: History) -> tuple[Revision | None, App]:
    """What an edit builds on, and the failed revision that it is used in place of."""
    failed, good = taken_back(declared, history), last_good(history)
    if failed is None or good is None:
        return None, declared
    return failed, with_service(as_declared(good.app), declared)


def _placement(app: App) -> dict[str, Any]:
    return {name: getattr(app, name) for name in DECLARED if name not in FIELDS}


def _value(field: str, typed: Any, before: Any) -> Any:
    if not isinstance(DECLARED[field].kind, Pairs) or not before:
        return typed
    now = to_json(parse_app({"image": "x", field: typed})).get(field, {})
    alone = ONE_OF.get(field, ())
    gone = set(alone) if now.keys() & set(alone) else set()
    return {**{key: value for key, value in before.items() if key not in gone}, **now}


def _take_away(fields: dict[str, Any], text: str, app: str) -> Iterator[str]:
    """Raises BadInput for what no app has; says what this one has not."""
    typed, _, key = text.partition(".")
    field = OPTIONS.get(typed, ALIASES.get(typed, typed))
    if field not in FIELDS or field in KEPT:
        raise BadInput(Fault("--unset", f"should be a field of docs/fields.md that may be absent, got {typed!r}"))
    if key and not isinstance(DECLARED[field].kind, Pairs):
        raise BadInput(Fault("--unset", f"{field} has no keys; to take all of it away: --unset {field}"))
    before = fields.get(field)
    if before is None or (key and key not in before):
        yield f"{app} has no {field}{'.' if key else ''}{key}" + (f"; its keys are {', '.join(before)}" if key and before else "")
    elif key:
        fields[field] = {name: value for name, value in before.items() if name != key}
    else:
        del fields[field]


def _taken_back(declared: App, base: App, after: App, failed: Revision | None) -> Iterator[str]:
    if failed is None:
        return
    back = [change.field for change in changes(declared, base)]
    still = [field for field in back if field in {change.field for change in changes(declared, after)}]
    again = f"; of what failed, this does not come again unless it is typed: {', '.join(still)}" if still else ""
    yield f"revision {failed.number} failed, so the update builds on what serves{again}"


def _replaced(base: App, after: App, edit: Edit) -> Iterator[str]:
    """The entries of lists that go because others were typed."""
    for field in edit.typed:
        if isinstance(DECLARED[field].kind, Listed) and DECLARED[field].kind.repeated:
            gone = [entry for entry in getattr(base, field) if entry not in getattr(after, field)]
            if gone:
                yield f"{field}: {', '.join(map(str, gone))} goes, because a list is replaced as a whole"
