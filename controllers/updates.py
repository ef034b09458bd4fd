"""The scheduler's part in updates: which slots run the next revision now, by the decision that the loop of reconcile mode makes
too. Pure; the api-server tells what is seen and keeps what is decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from duckconf.by_revision import revision_from_json, revision_to_json, slot_from_json
from duckconf.codec import spec_hash
from duckconf.model import parse_app
from duckconf.rollout import Rollout, advance


class Advance(NamedTuple):
    """Decisions as `PUT /rollouts` takes them, and the seconds until a delay between two replacements is over, None when none
    is."""

    decisions: tuple[dict[str, Any], ...]
    due: float | None


def advanced(entries: Sequence[Mapping[str, Any]]) -> Advance:
    """`entries` are those of `GET /rollouts`. Raises BadInput, KeyError, TypeError or ValueError for what is none."""
    decisions, dues = [], []
    for entry in entries:
        app = parse_app(entry["declared"], placed=True)
        past = tuple(revision_from_json(item) for item in entry["history"])
        slots = {int(slot): slot_from_json(told) for slot, told in entry["slots"].items()}
        rollout = advance(app, past, slots)
        changes = _changes(rollout, {int(slot): str(spec) for slot, spec in entry["meant"].items()}, slots, spec_hash(app))
        # As long as the first instances of an app are on their way, there is nothing to keep.
        starting = not past and not rollout.history[-1].outcome
        if changes or (not starting and (rollout.history != past or rollout.note != entry["note"])):
            decisions.append(
                {
                    "app": app.name,
                    "revision": entry["revision"],
                    "slots": {str(slot): spec for slot, spec in changes.items()},
                    "history": [revision_to_json(item) for item in rollout.history],
                    "note": rollout.note,
                    "said": entry["said"],
                }
            )
        dues += [rollout.due] if rollout.due is not None else []
    return Advance(tuple(decisions), min(dues, default=None))


def _changes(rollout: Rollout, meant: Mapping[int, str], slots: Mapping[int, Any], present: str) -> dict[int, str]:
    """The slots of which something else is noted than what they run now; one that gets its first place gets the present spec."""
    specs = {slot: spec_hash(app) for slot, app in rollout.specs.items()}
    return {
        slot: spec
        for slot, spec in specs.items()
        if spec != meant[slot] and not (not meant[slot] and not slots[slot].spec and spec == present)
    }
