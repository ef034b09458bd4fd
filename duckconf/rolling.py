"""What the control loop sees of each app, put before the decision on its update, and what each instance runs by it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from duckconf.codec import app_of_label, runs_as, spec_hash
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.fleet_seen import Fleet, Placement, copy_at
from duckconf.healthcheck import STARTING, UNHEALTHY
from duckconf.instance import Instance
from duckconf.model import App
from duckconf.readiness import Readiness, deadline
from duckconf.refusal import Refusal
from duckconf.restart import ALWAYS, policy_of
from duckconf.rollout import DONE, History, Rollout, SlotSeen, advance
from duckconf.sites import Sites

if TYPE_CHECKING:
    from duckconf.decision import Memory

# Starts of a revision that end at once, or that the engine refuses, until the revision counts as failed.
MOST_TRIES = 2


def rolled(
    desired: Desired, fleet: Fleet, memory: Memory, readiness: Readiness
) -> tuple[Desired, Mapping[str, History], Mapping[str, str], float | None]:
    """The desired state with the spec that each instance runs now, the histories with the verdicts of this look, notes, and the
    seconds until a delay between two replacements is over."""
    if memory.history is None:
        return desired, {}, {}, None
    history: dict[str, History] = {}
    notes: dict[str, str] = {}
    dues: list[float] = []
    instances: dict[str, Instance] = {}
    for app, slots in _by_app(desired.instances.values()).items():
        first = next(iter(slots.values()))
        if policy_of(first.app).condition != ALWAYS:
            # A changed job runs again, and what is done is not replaced.
            instances |= {instance.name: instance for instance in slots.values()}
            history |= {app: memory.history[app]} if app in memory.history else {}
            continue
        past = memory.history.get(app, ())
        refused, known = _refused(first, fleet), {revision.spec for revision in past}
        seen = {slot: _seen(instance, fleet, memory, readiness, refused, known) for slot, instance in slots.items()}
        rollout = _at_rest(first, past, seen) or advance(first.app, past, seen, certain=memory.certain)
        history[app] = rollout.history
        notes |= {app: rollout.note} if rollout.note else {}
        dues += [rollout.due] if rollout.due is not None else []
        for slot, instance in slots.items():
            spec = rollout.specs[slot]
            instances[instance.name] = instance if spec is instance.app else replace(instance, app=spec)
    kept = {app: past for app, past in memory.history.items() if app in desired.unreadable or app in desired.empty}
    before = {} if desired.complete else memory.history
    return replace(desired, instances=instances), {**before, **kept, **history}, notes, min(dues, default=None)


def _at_rest(first: Instance, history: History, slots: Mapping[int, SlotSeen]) -> Rollout | None:
    """The usual case at little cost: the last revision is done, and every slot has it."""
    last = history[-1] if history else None
    if last is None or last.outcome != DONE or any(slot.spec not in ("", last.spec) for slot in slots.values()):
        return None
    return Rollout(dict.fromkeys(slots, first.app), history) if last.spec == first.spec else None


def _by_app(instances: Iterable[Instance]) -> dict[str, dict[int, Instance]]:
    found: dict[str, dict[int, Instance]] = {}
    for instance in instances:
        found.setdefault(instance.app.name, {})[instance.slot] = instance
    return found


def _seen(
    instance: Instance, fleet: Fleet, memory: Memory, readiness: Readiness, refused: str, known: Collection[str]
) -> SlotSeen:
    """`refused` is what all slots of its app have in common; `known` are the specs that its revisions have."""
    name, app = instance.name, instance.app
    place, copies = memory.placements.get(name), fleet.copies.get(name, ())
    mine = copy_at(place, copies)
    spec = _spec_of(instance, place, mine, copies)
    ready_for = readiness.seconds(mine, app) if mine is not None and spec and _has(mine, spec, app) else None
    ready_for = ready_for if ready_for is not None and ready_for >= 0 else None
    answers = place is not None and fleet.views.get(place.node) is not None
    gives_way = mine is not None and spec != "" and not _has(mine, spec, app)
    holds = mine.spec if mine is not None and gives_way and readiness.is_ready(mine, app) else ""
    going = holds != "" and (name in memory.busy or not readiness.is_held_back(name, spec))
    late = _late(instance, spec, mine, readiness) if answers and ready_for is None else ""
    return SlotSeen(
        spec,
        ready_for,
        any(readiness.is_ready(copy, app) for copy in copies if not (copy is mine and going)),
        any(copy.running and copy.health != UNHEALTHY for copy in copies),
        _failure(instance, spec, mine, memory) or late,
        refused,
        place is None or answers or place.node in fleet.lost,
        _found(copies, spec) if spec != instance.spec and spec not in known else None,
        holds,
    )


def failures(
    desired: Desired, fleet: Fleet, placements: Mapping[str, Placement], memory: Memory, readiness: Readiness
) -> dict[str, str]:
    """Why instances cannot run what they were placed to run, for whoever decides on updates elsewhere."""
    found: dict[str, str] = {}
    for name, instance in desired.instances.items():
        place = placements.get(name)
        if place is not None and fleet.views.get(place.node) is not None:
            mine = copy_at(place, fleet.copies.get(name, ()))
            ready = mine is not None and readiness.is_ready(mine, instance.app)
            why = _failure(instance, place.spec, mine, memory) or ("" if ready else _late(instance, place.spec, mine, readiness))
            found |= {name: why} if why else {}
    return found


def _spec_of(instance: Instance, place: Placement | None, mine: Container | None, copies: Sequence[Container]) -> str:
    """What it is meant to run: as it was noted, or what runs there when nothing was."""
    if place is not None and place.spec:
        return place.spec
    seen = mine or max(copies, key=lambda copy: (copy.running, copy.generation), default=None)
    if seen is None:
        return instance.spec if place is not None else ""
    return instance.spec if runs_as(instance.app, seen.spec, seen.manifest) else seen.spec


def _has(copy: Container, spec: str, app: App) -> bool:
    return copy.spec == spec or (spec == spec_hash(app) and runs_as(app, copy.spec, copy.manifest))


def _failure(instance: Instance, spec: str, mine: Container | None, memory: Memory) -> str:
    """Why the slot cannot run its spec, "" when it does or may yet."""
    name = instance.name
    # Where the old container ends first, it has this place until a new one is made: that it runs says nothing of the spec.
    made = mine if mine is not None and _has(mine, spec, instance.app) else None
    past = memory.tries.get(name)
    # Started again, it has failed until its check passes: an agent tells of it once the last words are known, which takes longer.
    if made is not None and (made.health == UNHEALTHY or (made.health == STARTING and made.said)):
        return f"{made.name} on {made.node} is unhealthy" + (f": {made.said}" if made.said else "")
    if past is None or past.spec != spec or name in memory.busy or (made is not None and made.running):
        return ""
    if past.words and past.strikes >= MOST_TRIES:
        return past.words
    # A start on another node says nothing of the one before.
    if made is not None and past.starts - past.moves >= MOST_TRIES:
        return f"{made.name} on {made.node} ended {past.starts - past.moves} times"
    return ""


def _late(instance: Instance, spec: str, mine: Container | None, readiness: Readiness) -> str:
    """That it should be ready by now, "" while it may still become so."""
    left = readiness.left(instance.name, spec, instance.app)
    if left is None or left > 0:
        return ""
    state = "is not started" if mine is None else f"is {mine.health or mine.state}" if mine.running else f"is {mine.state}"
    return f"{instance.name} is not ready after {deadline(instance.app):g} s (healthy_deadline): it {state}"


def _refused(instance: Instance, fleet: Fleet) -> str:
    """Why no node that could take it does, "" while one may."""
    nodes = (instance.bound,) if instance.bound else fleet.nodes
    able = (node for node in nodes if fleet.views.get(node) is not None and node not in fleet.cordoned)
    return refused_everywhere(able, instance.app, fleet.sites, lambda node: fleet.refusal(node, instance))


def refused_everywhere(nodes: Iterable[str], app: App, sites: Sites, refusal: Callable[[str], Refusal | None]) -> str:
    """Why none of these nodes takes the app, "" while one may: each that its pattern means has refused it more than once."""
    first = None
    for node in nodes:
        if not sites.allows(app, node):
            continue
        found = refusal(node)
        if found is None or found.strikes < MOST_TRIES:
            return ""
        first = first or found
    return f"{first.node} refuses it: {first.reason}" if first is not None else ""


def _found(copies: Sequence[Container], spec: str) -> App | None:
    """The spec of a container, from its own label."""
    label = next((copy.manifest for copy in copies if copy.spec == spec and copy.manifest), "")
    return app_of_label(label) if label else None
