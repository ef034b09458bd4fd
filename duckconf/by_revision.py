"""Which spec each slot of an app runs where the placements are part of the state (agents mode), and the same as JSON between
the api-server, which sees it, and the scheduler, which decides on updates. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from duckconf.codec import spec_hash, to_json
from duckconf.instance import Instance, slots_of
from duckconf.json_values import text, whole
from duckconf.model import App, parse_app
from duckconf.restart import ALWAYS, policy_of
from duckconf.rollout import DONE, History, Revision, SlotSeen, as_declared, spec_only, trimmed, with_service
from duckconf.told_image import pin_from_json, pin_to_json


def is_rolled_out(app: App) -> bool:
    """A changed job runs again, and what is done is not replaced; an app without instances has nothing to replace."""
    return app.replicas > 0 and policy_of(app).condition == ALWAYS


def as_meant(app: App, history: History) -> list[Instance]:
    """The instances of the app by slot, each with the spec that it was placed to run; with the present one where no revision
    has that."""
    slots = slots_of(app)
    if not app.spec or not is_rolled_out(app):
        return slots
    present = spec_hash(app)
    others = {one.meant for one in slots} - {"", present}
    if not others:
        return slots
    known = {item.spec: with_service(item.app, slots[0].app) for item in history if item.spec in others}
    return [replace(one, app=known.get(one.meant, one.app)) for one in slots]


def is_at_rest(app: App, history: History) -> bool:
    """Whether there is nothing to decide: the last revision is done, and what is placed was placed to run it."""
    if not is_rolled_out(app):
        return True
    last = history[-1] if history else None
    present = spec_hash(app)
    if last is None or (last.outcome, last.spec) != (DONE, present):
        return False
    return all(one.meant == present or not (one.meant or one.node) for one in slots_of(app))


def noted_before(app: App, history: History) -> History:
    """The history with what the placed instances of the app run, before the app gets another spec."""
    present = spec_hash(app)
    runs = any(one.node and one.meant in ("", present) for one in slots_of(app))
    if not runs or not is_rolled_out(app) or any(item.spec == present for item in history):
        return history
    return trimmed((*history, Revision(history[-1].number + 1 if history else 1, spec_only(app))))


def revision_to_json(revision: Revision) -> dict[str, Any]:
    """`declared` is the hash of what was declared, without what was found out of it."""
    return {
        "number": revision.number,
        "spec": revision.spec,
        "declared": spec_hash(as_declared(revision.app)),
        "outcome": revision.outcome,
        "why": revision.why,
        "app": to_json(revision.app),
        **({} if revision.pin is None else pin_to_json(revision.pin)),
    }


def revision_from_json(item: Mapping[str, Any]) -> Revision:
    """Raises BadInput, ValueError, TypeError, KeyError or AttributeError for what is none."""
    app = parse_app(item["app"], placed=True)
    pin = pin_from_json(item) if item.get("image_id") else None
    outcome, why, spec = text(item["outcome"]), text(item["why"]), text(item["spec"])
    return Revision(whole(item["number"]), app, outcome, why, spec, pin)


def slot_to_json(slot: SlotSeen) -> dict[str, Any]:
    """Without what was found in containers: in agents mode every spec is that of a revision."""
    told: dict[str, Any] = {"spec": slot.spec, "ready_for": slot.ready_for, "serves": slot.serves, "alive": slot.alive}
    return told | {"failure": slot.failure, "refused": slot.refused, "able": slot.able}


def slot_from_json(told: Mapping[str, Any]) -> SlotSeen:
    """Raises KeyError, TypeError or ValueError for what is none."""
    ready_for = None if told["ready_for"] is None else float(told["ready_for"])
    texts = (str(told["failure"]), str(told["refused"]))
    return SlotSeen(str(told["spec"]), ready_for, bool(told["serves"]), bool(told["alive"]), *texts, bool(told["able"]))
