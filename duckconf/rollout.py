"""Rolling updates as a decision: from what is wanted, what is seen and what was tried before follows which spec each slot runs
now. Pure, so that any process may be killed at any time: the next one decides the same.

An update replaces `parallelism` slots at once. A slot whose instance does not serve is replaced without waiting, because
nothing is lost by it. A revision whose instance fails never replaces the last one that served.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from duckconf.actions import Pin
from duckconf.codec import hashed_as, spec_hash
from duckconf.counts import counted
from duckconf.model import DEFAULTS, FOUND_OUT, SPEC_FIELDS, App
from duckconf.policies import CONTINUE, PAUSE, ROLLBACK, START_FIRST, STOP_FIRST, Policy, policy_of
from duckconf.shared_network import owner_of
from duckconf.spreading import host_ports

DONE = "done"
FAILED = "failed"
KEPT_REVISIONS = 10


@dataclass(frozen=True)
class Revision:
    """A spec that an app had: `outcome` is DONE once all its instances were ready, FAILED when one of them failed, with the
    reason in `why`, and "" until then. `app` has the fields of the spec alone. `pin` is the image that all its instances run,
    None until that is known."""

    number: int
    app: App
    outcome: str = ""
    why: str = ""
    spec: str = field(default="")
    pin: Pin | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "spec", self.spec or spec_hash(self.app))


History = tuple[Revision, ...]
"""The revisions of an app, the newest last."""


@dataclass(frozen=True)
class SlotSeen:
    """What is known of one slot."""

    spec: str = ""
    """The hash of the spec that its placement is meant to run, "" for no placement."""
    ready_for: float | None = None
    """For how many seconds the placed container has been ready; None: it is not."""
    serves: bool = False
    """Whether any container of it serves; not one that is about to give way (`holds`)."""
    alive: bool = False
    """Whether any container of it runs and may serve soon."""
    failure: str = ""
    """Why its start failed for good."""
    refused: str = ""
    """Why every node refuses the spec that the app has now."""
    able: bool = True
    """Whether something can be done about it now: it has no place, or its node answers or is lost."""
    found: App | None = None
    """The spec that its container has, where no revision has it."""
    holds: str = ""
    """The spec of a container that is ready, and gives way to another in the same place as soon as that one starts."""


@dataclass(frozen=True)
class Rollout:
    """What each slot runs now, the history with the verdict of this look, and in words how far it is ("" when it is done).
    `due` is in seconds: until a delay is over, None when none is."""

    specs: Mapping[int, App]
    history: History
    note: str = ""
    due: float | None = None


def starts_first(app: App) -> bool:
    return order_of(app)[0] == START_FIRST


def order_of(app: App) -> tuple[str, str]:
    """Whether the new instance starts before the old one ends, and why: not where both want the same port or write the same
    data."""
    if order := app.update_config.get("order", ""):
        return order, "update_config says so"
    if ports := host_ports(app):
        return STOP_FIRST, f"the old and the new instance cannot both have port {ports[0].on_node} of the node"
    if app.network_mode == "host":
        return STOP_FIRST, "with network_mode host the old and the new instance would want the same ports of the node"
    if owner := owner_of(app):
        return STOP_FIRST, f"in the network of {owner} the old and the new instance would want the same ports"
    if volume := writable(app):
        return STOP_FIRST, f"the old and the new instance would both write {volume}"
    return START_FIRST, "it has no fixed port of the node and writes no volume"


def writable(app: App) -> str:
    """The first volume that it may write, "" for none."""
    return next((volume for volume in app.volumes if "ro" not in volume.rpartition(":")[2].split(",")), "")


def last_good(history: History) -> Revision | None:
    return next((revision for revision in reversed(history) if revision.outcome == DONE), None)


def advance(app: App, history: History, slots: Mapping[int, SlotSeen], *, certain: bool = True) -> Rollout:
    """`slots` has every slot that the app should have. Nothing is replaced unless it is `certain` that they are all there is."""
    policy = policy_of(app.update_config, len(slots))
    history = judged(noted(wanted_now(app, history), history, slots), slots, policy)
    current, good = history[-1], last_good(history)
    known = {revision.spec: revision.app for revision in history}
    known.update({slot.spec: slot.found for slot in slots.values() if slot.found is not None and slot.spec not in known})
    goal = good if current.outcome == FAILED and good is not None and policy.failure_action == ROLLBACK else current
    # While nothing runs, a slot begins with what is wanted; beside others, with what serves.
    alone = not any(slot.spec for slot in slots.values()) and current.outcome != FAILED
    begin = current if good is None or alone else good
    now = {number: known.get(slot.spec, begin.app) for number, slot in slots.items()}
    rests = (
        app.paused
        or not certain
        or (good is not None and current.outcome == FAILED and goal is current and policy.failure_action == PAUSE)
    )
    unproven = {revision.spec for revision in history if revision.outcome != DONE}
    first = starts_first(with_service(goal.app, app))
    chosen = set() if rests else switched(goal, slots, policy, first=first, unproven=unproven)
    specs = {number: goal.app if number in chosen else spec for number, spec in now.items()}
    waits = [policy.delay - slot.ready_for for slot in _ahead(goal, slots) if slot.ready_for is not None]
    due = min((wait for wait in waits if wait > 0), default=None)
    return Rollout(_with_service(specs, app), history, _note(app, history, slots), due)


def taken_back(declared: App, history: History) -> Revision | None:
    """The newest revision of what is declared, if it failed and one that served before it runs in its place."""
    if last_good(history) is None or policy_of(declared.update_config, declared.replicas).failure_action != ROLLBACK:
        return None
    spec = spec_hash(as_declared(declared))
    newest = next((item for item in reversed(history) if spec_hash(as_declared(item.app)) == spec), None)
    return newest if newest is not None and newest.outcome == FAILED else None


def wanted_now(app: App, history: History) -> App:
    """The app, or with another value of a secret than when its update failed, the revision that serves with the new value: what
    failed is not tried again for that, and what runs gets it."""
    good = last_good(history)
    if good is None or not app.secret_revisions or history[-1].spec == spec_hash(app):
        return app
    failed = taken_back(app, history)
    if failed is None or failed.spec == spec_hash(app):
        return app
    now = {name: app.secret_revisions.get(name, known) for name, known in good.app.secret_revisions.items()}
    return history[-1].app if now == good.app.secret_revisions else replace(good.app, secret_revisions=now)


def noted(app: App, history: History, slots: Mapping[int, SlotSeen]) -> History:
    """The history with the present spec as its last revision. What runs there already was a revision, too."""
    if not history:
        before = next((slot.found for slot in slots.values() if slot.found is not None), None)
        history = (Revision(1, spec_only(before), DONE),) if before is not None else ()
    if history and history[-1].spec == spec_hash(app):
        return history
    number = history[-1].number + 1 if history else 1
    return trimmed((*history, Revision(number, spec_only(app))))


def trimmed(history: History) -> History:
    """The newest revisions, and the last that served, which is what a rollback needs."""
    good = last_good(history)
    kept = history[-KEPT_REVISIONS:]
    return kept if good is None or good in kept else (good, *kept[1:])


def judged(history: History, slots: Mapping[int, SlotSeen], policy: Policy) -> History:
    """The history with the verdict on its last revision: the first failure, or that all slots have it and are ready.

    A slot without a place, or on a node that does not answer, holds up nobody's verdict. What served before cannot fail. One that
    has failed while nothing had served yet goes on being tried, and is done when it serves after all.
    """
    current, good = history[-1], last_good(history)
    if current.outcome and not (current.outcome == FAILED and good is None):
        return history
    failures = [slot.failure for slot in _ahead(current, slots) if slot.failure]
    failures += [slot.refused for slot in slots.values() if slot.refused]
    fallible = good is None or (good.spec != current.spec and policy.failure_action != CONTINUE)
    if failures and fallible and not current.outcome:
        return (*history[:-1], replace(current, outcome=FAILED, why=failures[0]))
    judging = [slot for slot in slots.values() if slot.spec and slot.able]
    if (judging or not slots) and all(slot.spec == current.spec and slot.ready_for is not None for slot in judging):
        return (*history[:-1], replace(current, outcome=DONE, why=""))
    return history


def _ahead(goal: Revision, slots: Mapping[int, SlotSeen]) -> list[SlotSeen]:
    """The slots that have this revision, by number."""
    return [slot for _, slot in sorted(slots.items()) if slot.spec == goal.spec]


def switched(
    goal: Revision, slots: Mapping[int, SlotSeen], policy: Policy, *, first: bool, unproven: Collection[str] = ()
) -> set[int]:
    """The slots that get the spec of `goal` now. What runs as a spec that is `unproven`, of a revision that has never served, and
    does not serve either is not waited for: it may stay like that."""
    behind = [number for number, slot in sorted(slots.items()) if slot.spec not in ("", goal.spec) and slot.able]
    chosen = {number for number in behind if not slots[number].alive}
    idle = {number for number in behind if not slots[number].serves and not slots[number].holds}
    chosen |= {number for number in idle if slots[number].spec in unproven}
    ahead = _ahead(goal, slots)
    moving = len([slot for slot in ahead if slot.able and slot.ready_for is None and not slot.failure]) + len(chosen)
    # What has no place is away whatever is done here.
    promised = sum(slot.spec != "" for slot in slots.values()) - policy.parallelism
    ready = sum(slot.serves for slot in slots.values())
    if any(slot.ready_for is not None and slot.ready_for < policy.delay for slot in ahead):
        return chosen
    # What is still there of the goal stays, which costs nothing.
    chosen |= {number for number in behind if slots[number].holds == goal.spec}
    for number in behind:
        cost = 0 if first or not slots[number].serves else 1
        if number not in chosen and moving < policy.parallelism and (first or ready - cost >= promised):
            chosen.add(number)
            moving += 1
            ready -= cost
    return chosen


def spec_only(app: App) -> App:
    """The app without what is about the set of its instances: what a revision keeps."""
    return App(**{name: getattr(app, name) for name in SPEC_FIELDS})


def as_declared(spec: App) -> App:
    """The spec of a revision without what the control plane found out of it."""
    return replace(spec, **{name: DEFAULTS[name] for name in FOUND_OUT})


def with_service(spec: App, app: App) -> App:
    """This spec for an instance of this app."""
    if spec is app or spec_hash(spec) == spec_hash(app):
        return app
    made = replace(app, **{name: getattr(spec, name) for name in SPEC_FIELDS})
    hashed_as(made, spec_hash(spec))
    return made


def _with_service(specs: Mapping[int, App], app: App) -> dict[int, App]:
    """Slots with the same spec share one app: there are many slots and few specs."""
    made = {key: with_service(spec, app) for key, spec in {id(spec): spec for spec in specs.values()}.items()}
    return {number: made[id(spec)] for number, spec in specs.items()}


def _note(app: App, history: History, slots: Mapping[int, SlotSeen]) -> str:
    current, good = history[-1], last_good(history)
    if current.outcome == DONE:
        # What serves may have another value of a secret than when the update failed.
        failed = taken_back(app, history) if current.spec != spec_hash(app) else None
        return f"revision {failed.number} failed: {failed.why}; revision {current.number} serves" if failed is not None else ""
    if current.outcome == FAILED and good is not None:
        what = f"revision {good.number} serves" if app.update_config.get("failure_action") != PAUSE else "the update rests"
        return f"revision {current.number} failed: {current.why}; {what}"
    if current.outcome == FAILED:
        return f"revision {current.number} failed: {current.why}; none has served before, so that it is tried again"
    updated = sum(slot.spec == current.spec and slot.ready_for is not None for slot in slots.values())
    rests = ", paused" if app.paused else ""
    what = "ready" if good is None else "updated"
    return f"revision {current.number}: {updated} of {counted(len(slots), 'instance')} {what}{rests}"
