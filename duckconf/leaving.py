"""An instance leaves the fronts before it is stopped: which steps wait for that, and for how long. Pure.

A front is told to send nothing more to what leaves, and says when the last requests have ended. One that does not say so delays a
step for as long as the container may take to stop, and no longer. Without a front too an instance is not ready any more from the
moment its end is decided: whoever asks the API where to send requests would still be told of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Optional

from duckconf.actions import Remove, Start
from duckconf.codec import stop_grace
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.fleet_seen import Fleet
from duckconf.plan import HELD_STILL, Plan, Step

Where = tuple[str, str]
"""Node and name of a container."""
LEAVES = "leaves the front first"


class Fronted(NamedTuple):
    """The containers that a front may send requests to. Not `told` is that nobody tells the fronts of changes yet, as what serves
    is not known: they may have whatever has a route, and nothing has time to leave before that."""

    containers: Collection[Where] = ()
    told: bool = True


NO_FRONT = Fronted()


@dataclass(frozen=True)
class Leaving:
    """The steps that may be taken now. `since` has each container that leaves, `late` those that a front had until the end of its
    time. `due` is in seconds: until the time of the next one ends."""

    plan: Plan
    since: Mapping[Where, float] = field(default_factory=dict)
    late: Collection[Where] = ()
    due: Optional[float] = None


def front_first(
    decided: Plan,
    desired: Desired,
    fleet: Fleet,
    fronted: Fronted,
    before: Mapping[Where, float],
    busy: Collection[str],
    now: float,
) -> Leaving:
    """`before` has since when each leaves, by the last look.

    What leaves does so until it is gone: an action that is under way must not see it come back."""
    # One that a person has paused may go on at any moment.
    alive = [copy for copies in fleet.copies.values() for copy in copies if copy.running or copy.state == HELD_STILL]
    there = {(copy.node, copy.name): copy for copy in alive}
    since = {where: when for where, when in before.items() if where in there and there[where].instance in busy}
    held: list[Step] = []
    late, ends = [], []
    for step in decided.steps:
        where = (step.action.node, step.action.container)
        copy = there.get(where)
        if copy is None or not _stops(step):
            continue
        since[where] = before.get(where, now) if fronted.told else now
        may_serve = where in fronted.containers or (not fronted.told and (where in before or _is_routed(copy, desired)))
        if not may_serve:
            continue
        left = since[where] + stop_grace(copy.manifest) - now
        if left > 0:
            held.append(step)
            ends.append(left)
        else:
            late.append(where)
    if not held:
        return Leaving(decided, since, late)
    notes = {**decided.notes, **{step.instance: f"{step.action.container} {LEAVES}" for step in held}}
    plan = replace(decided, steps=tuple(step for step in decided.steps if step not in held), notes=notes)
    return Leaving(plan, since, late, min(ends))


def _stops(step: Step) -> bool:
    """Whether it ends a container that may serve. One that is restarted as it is unhealthy does not."""
    return isinstance(step.action, (Remove, Start))


def _is_routed(copy: Container, desired: Desired) -> bool:
    wanted = desired.instances.get(copy.instance)
    return wanted is not None and bool(wanted.app.routes)
