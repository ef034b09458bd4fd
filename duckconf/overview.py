"""Desired and observed side by side: one row for each instance and for each copy too many. Pure.

The loop publishes it, `./inv ps` and `GET /apps` show it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from duckconf.codec import app_of_label
from duckconf.decision import HELD_BACK, Decision, Memory
from duckconf.desired import Desired
from duckconf.ended import Over
from duckconf.engine_output import Container
from duckconf.fleet_seen import Fleet, copy_at
from duckconf.healthcheck import NO_CHECK, UNHEALTHY
from duckconf.healthcheck import STARTING as WAITED_FOR
from duckconf.instance import Instance
from duckconf.naming import app_of, instance_name

BACKOFF = "backoff"
PENDING = "pending"
# The note of one that nobody has decided on yet.
UNDECIDED = "waiting for the scheduler"
STARTING = "starting"
UNREACHABLE = "unreachable"
UNREADABLE = "unreadable"
LOST = "lost"


@dataclass(frozen=True)
class AppView:
    """`desired` is yes, no, or unclear (its row cannot be read, or the whole state cannot). `state` is the engine's
    word for the container, or pending (not placed), starting, backoff, unreachable, unreadable, lost, done, failed (CODE).
    `started` is in seconds since the epoch, 0 when it does not run. `note` says why something is not as desired. `ports` are
    the published ones. `health` is the verdict of its check, "" without one. `spec` is what it was placed to run; `updated`
    says whether that is what the app asks for now."""

    app: str
    node: str
    container: str
    image: str
    desired: str
    state: str
    restarts: int = 0
    started: float = 0.0
    note: str = ""
    ports: Sequence[str] = ()
    slot: int = 1
    health: str = ""
    end: str = ""
    """The record of how it ended, of one that is over."""
    ready: bool = False
    spec: str = ""
    updated: bool = False
    failure: str = ""
    """Why the node cannot bring up that spec, once that has been tried enough."""
    image_id: str = ""
    """Of the container, "" where that is not known."""
    said: str = ""
    """What its check said last, as long as that has not passed."""
    leaving: bool = False
    """Whether the fronts are to send it nothing more, because it is about to be stopped."""

    @property
    def instance(self) -> str:
        return instance_name(self.app, self.slot)


def overview(desired: Desired, fleet: Fleet, decision: Decision, memory: Memory) -> tuple[AppView, ...]:
    """Rows by name; the placed container of an instance comes first."""
    copies = fleet.copies
    acting = {step.instance: step.reason for step in decision.plan.steps}
    rows: list[AppView] = []
    seen = {app_of(name) for name in copies}
    for name in sorted({*desired.instances, *(desired.unreadable - seen), *copies}):
        placed, others = _split(name, copies.get(name, ()), decision)
        if name in desired.instances:
            wanted = (decision.desired or desired).instances[name]
            row, others = _serving(_wanted(wanted, desired, placed, fleet, decision, memory, acting), others, decision)
            rows.append(row)
        elif placed is not None:
            others = [placed, *others]
        elif desired.is_unreadable(name) and not others:
            rows.append(AppView(name, "", "", "", "unclear", PENDING, note=decision.plan.notes.get(name, "")))
        tries = memory.tries.get(name)
        rows += [_unwanted(copy, name, desired, decision.plan.notes, tries.restarts if tries else 0) for copy in others]
    return (
        tuple(replace(row, leaving=(row.node, row.container) in decision.leaving) for row in rows)
        if decision.leaving
        else tuple(rows)
    )


def _split(name: str, copies: Sequence[Container], decision: Decision) -> tuple[Container | None, list[Container]]:
    place = decision.placements.get(name)
    mine = copy_at(place, copies)
    return mine, [copy for copy in copies if copy is not mine]


def _wanted(
    instance: Instance,
    desired: Desired,
    mine: Container | None,
    fleet: Fleet,
    decision: Decision,
    memory: Memory,
    acting: Mapping[str, str],
) -> AppView:
    name, app, slot = instance.name, instance.app, instance.slot
    place, tries = decision.placements.get(name), memory.tries.get(name)
    note = decision.plan.notes.get(name, "")
    if (over := decision.over.get(name)) is not None:
        return _ended(instance, over, mine, note)
    if place is None:
        return AppView(app.name, "", "", app.image, "yes", PENDING, note=note, slot=slot)
    state = _state(place.node, mine, fleet)
    if fleet.views.get(place.node) is not None and not (mine is not None and mine.running):
        if name in acting or name in memory.busy:
            state, note = STARTING, acting.get(name, note)
        elif note.startswith(HELD_BACK):
            state = BACKOFF
    started = mine.started if mine is not None and mine.running else 0.0
    ports = mine.ports if mine is not None else ()
    restarts = tries.restarts if tries else 0
    health = mine.health if mine is not None and state == "running" else NO_CHECK
    if health == UNHEALTHY and mine is not None:
        note = f"{mine.said}; {note}" if note and note != mine.said else mine.said
    elif health == WAITED_FOR and mine is not None and mine.said:
        note = note or f"started again: {mine.said}"
    return AppView(
        app.name,
        place.node,
        place.container,
        app.image,
        "yes",
        state,
        restarts,
        started,
        note,
        ports,
        slot,
        health=health,
        ready=mine is not None and (mine.node, mine.name) in decision.ready,
        spec=place.spec,
        updated=place.spec == desired.instances[name].spec,
        image_id=mine.image_id if mine is not None else "",
        failure=decision.failures.get(name, ""),
        said=mine.said if mine is not None and health != NO_CHECK else "",
    )


def _state(node: str, mine: Container | None, fleet: Fleet) -> str:
    """Of the placed container, by what its node says, or does not say."""
    if fleet.views.get(node) is not None:
        return mine.state if mine is not None else STARTING
    if node in fleet.lost or node not in fleet.nodes:
        return LOST
    return UNREADABLE if node in fleet.unreadable else UNREACHABLE


def _serving(row: AppView, others: Sequence[Container], decision: Decision) -> tuple[AppView, list[Container]]:
    """While an update or a move has not brought its instance up, the row shows the container that serves in its place."""
    serving = (copy for copy in others if copy.running and row.spec)
    old = next((copy for copy in serving if copy.spec != row.spec or (copy.node, copy.name) in decision.ready), None)
    if old is None or row.ready:
        return row, list(others)
    waits = f"serves until {row.container} on {row.node} is ready: it is {row.state}" + (f", {row.note}" if row.note else "")
    spec = app_of_label(old.manifest) if old.manifest else None
    image = spec.image if spec is not None else old.image
    shown = replace(row, node=old.node, container=old.name, image=image, state=old.state, started=old.started, note=waits)
    ready = (old.node, old.name) in decision.ready
    updated = row.updated and old.spec == row.spec
    shown = replace(shown, ports=old.ports, health=old.health, ready=ready, updated=updated, image_id=old.image_id)
    return shown, [copy for copy in others if copy is not old]


def _ended(wanted: Instance, over: Over, mine: Container | None, note: str) -> AppView:
    app, place, end = wanted.app, over.place, over.end
    ports = mine.ports if mine is not None else ()
    note = note if end.code else ""
    shown = (app.name, place.node, place.container, app.image, "yes", end.state, end.restarts, 0.0, note, ports, wanted.slot)
    return AppView(*shown, end=str(end))


def _unwanted(copy: Container, name: str, desired: Desired, notes: Mapping[str, str], restarts: int) -> AppView:
    wanted_here = name in desired.instances
    unclear = desired.is_unreadable(name) or (not wanted_here and not desired.complete)
    usual = "a container of an older placement" if wanted_here else "not desired"
    note = notes.get(name, "") if unclear or name in desired.kept else usual
    started = copy.started if copy.running else 0.0
    tried = restarts if unclear else 0
    wanted = "unclear" if unclear else "no"
    shown = (copy.app, copy.node, copy.name, copy.image, wanted, copy.state, tried, started, note, copy.ports, copy.slot)
    return AppView(*shown, image_id=copy.image_id)


def has_no_place(status: str, note: str) -> bool:
    """Whether it was decided that no node takes the instance now."""
    return status == PENDING and bool(note) and not note.startswith(UNDECIDED)
