"""What is asked of the store of the desired state, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Union

from duckconf import codec
from duckconf.desired import Document, Readable
from duckconf.errors import Conflict, DuckconfError, PreconditionFailed
from duckconf.front import claims
from duckconf.model import App


class EditWaits(DuckconfError):
    """An edit by hand withdraws most apps: it is not taken until a person confirms it."""


class View(NamedTuple):
    """What a change is decided on: the file with the changes before it.

    `apps` gives all that are declared, `number` is the N of the next `app-N`, `revision` the one under which this change will be
    on disk.
    """

    app: Callable[[str], Union[App, None]]
    number: int
    revision: int
    apps: Callable[[], Mapping[str, App]]


Changes = Mapping[str, Union[App, None]]
Decide = Callable[[View], Changes]
See = Callable[[Changes, Readable], None]
"""Given the apps that changed (None: withdrawn), and how much of the state can be read."""


class Counts(NamedTuple):
    """The revision under which the next change would be kept, and the N of the next `app-N`: neither is given twice."""

    revision: int
    number: int


Update = Callable[[Union[App, None], int], App]


class Put(NamedTuple):
    """An app before (None: it is new) and after a write."""

    before: Union[App, None]
    after: App


class Listing(NamedTuple):
    """All apps at one revision, and in words which rows of the file could not be read."""

    revision: int
    apps: Mapping[str, App]
    faults: tuple[str, ...]


def check(name: str, app: App | None, expected: frozenset[str] | None) -> None:
    """Raises PreconditionFailed when the app is at none of the `expected` revisions."""
    if expected is None or (app is not None and not expected.isdisjoint({"*", codec.revision(app)})):
        return
    now = f"it is {codec.revision(app)} now" if app is not None else "the app is not declared"
    raise PreconditionFailed(f"{name} is not at revision {', '.join(sorted(expected))}: {now}", f"read it again: GET /app/{name}")


def refuse_claimed(changes: Changes, known: Callable[[], Mapping[str, App]]) -> None:
    """One address leads to one app. `known` gives all apps as they are before the changes. Raises Conflict."""
    routed = [app for app in changes.values() if app is not None and app.routes]
    others = [app for app in {**known(), **changes}.values() if app is not None] if routed else []
    for app in routed:
        for where, other in claims(app, others).items():
            raise Conflict(f"{where} leads to {other} already", f"take it away there first: ./inv update {other} --unset route")


def summary(before: Document, edits: Changes) -> str:
    """An edit in words: `+web` for a new app, `~web` for a changed one, `-web` for one that is gone."""
    signs = {name: "-" if app is None else "~" if before.app(name) else "+" for name, app in edits.items()}
    shown = [f"{sign}{name}" for name, sign in sorted(signs.items())]
    return ", ".join(shown[:20]) + (f" and {len(shown) - 20} more" if len(shown) > 20 else "") or "no app is affected"
