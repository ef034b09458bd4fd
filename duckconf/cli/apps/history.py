"""`./inv history`: the revisions of an app, the newest first: what each one changed, and which one runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from duckconf.by_revision import revision_from_json
from duckconf.changes import Change, changes
from duckconf.cli.apps.update import api_of
from duckconf.cli.terminal.tables import age, print_json, print_table
from duckconf.model import DECLARED, FOUND_OUT
from duckconf.pins import REDEPLOYED
from duckconf.reach.api.client import path_of
from duckconf.reach.inventory.project import Project
from duckconf.rollout import DONE, FAILED, Revision

COLUMNS = ("revision", "state", "age", "image", "id", "changed", "note")
# More would not fit into a line.
MOST = 4


def history(project: Project, name: str, *, as_json: bool) -> None:
    told = api_of(project).call("GET", path_of("app", name, "history"))["revisions"]
    print_json(told) if as_json else print_table(rows(told), COLUMNS, f"{name} has no revisions yet")


def rows(told: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """`told` are the revisions as the API tells them, the newest last."""
    past = [revision_from_json(item) for item in told]
    serves = next((item for item in reversed(past) if item.outcome == DONE), None)
    found = [
        {
            "revision": item.number,
            "state": _state(item, past[-1], serves),
            "age": age(entry["since"]) if entry.get("since") else "-",
            "image": item.app.image,
            "id": entry.get("image_id", "")[:12],
            "changed": changed(item, past[:at]),
            "note": item.why,
        }
        for at, (item, entry) in enumerate(zip(past, told))
    ]
    return found[::-1]


def _state(item: Revision, last: Revision, serves: Revision | None) -> str:
    if item is serves:
        return "runs"
    if item.outcome == DONE:
        return "served"
    return item.outcome or ("under way" if item is last else "replaced")


def changed(item: Revision, before: Sequence[Revision]) -> str:
    """In words, what is not as in the revision that it was built on; never a value, which may be secret."""
    if not before:
        return "first" if item.number == 1 else "-"
    same = next((past for past in reversed(before[:-1]) if past.spec == item.spec), None)
    if same is not None:
        return f"as revision {same.number}"
    # An update builds on what serves, and so not on what failed.
    base = next((past for past in reversed(before) if past.outcome != FAILED), before[-1])
    words = list(dict.fromkeys(_words(item, base)))
    more = f" and {len(words) - MOST} more" if len(words) > MOST else ""
    since = "" if base.number == item.number - 1 else f" since revision {base.number}"
    return ", ".join(words[:MOST]) + more + since


def _words(item: Revision, before: Revision) -> Iterator[str]:
    found = changes(before.app, item.app)
    for change in found:
        yield "redeployed" if change.field == f"labels.{REDEPLOYED}" else _change_words(change)
    told = {change.field.partition(".")[0] for change in found}
    for field in FOUND_OUT:
        # With other secrets, their revisions are others too.
        if getattr(before.app, field) != getattr(item.app, field) and DECLARED[field].found_from not in told:
            yield f"{field.replace('_', ' ')} changed"


def _change_words(change: Change) -> str:
    field, _, key = change.field.partition(".")
    verb = "added" if change.before is None else "removed" if change.after is None else "changed"
    return f"{field} {key} {verb}" if key else f"{field} {verb}"
