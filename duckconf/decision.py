"""One pass of the control loop as a pure function: what was sensed and what is desired come in, what to do comes out.

Serves the loop, which acts on it, and `./inv diff`, which shows it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from duckconf import backoff
from duckconf.adoption import as_found
from duckconf.backoff import Tries
from duckconf.balance_seen import Wish, followed, relocated, sight
from duckconf.codec import spec_hash
from duckconf.counts import counted
from duckconf.depends import waiting
from duckconf.desired import Desired
from duckconf.ended import Over, ended
from duckconf.globally import with_slots
from duckconf.leaving import NO_FRONT, Fronted, Where, front_first
from duckconf.local_data import Held, Move, with_data
from duckconf.naming import declared_container
from duckconf.placement import Assignment, Fleet, Placement, assign
from duckconf.plan import Plan, plan
from duckconf.readiness import Readiness
from duckconf.rebalancing import Sight, Turn, take_turn
from duckconf.repair import in_turn
from duckconf.rolling import failures, rolled
from duckconf.rollout import History
from duckconf.together import gathered

HELD_BACK = "held back"


@dataclass(frozen=True)
class Memory:
    """What earlier passes left behind: where each instance belongs, and how its starts went.

    `certain` is false when the placements were lost; an instance that is not seen may then run on a node not heard yet.
    `busy` instances have an action under way. `removals` are those that the engine refused, by node and container; `missed`
    are the containers that a look showed and an action did not find.
    """

    placements: Mapping[str, Placement]
    tries: Mapping[str, Tries]
    certain: bool = True
    busy: Collection[str] = ()
    removals: Mapping[tuple[str, str], Tries] = field(default_factory=dict)
    missed: Mapping[tuple[str, str], Tries] = field(default_factory=dict)
    history: Mapping[str, History] | None = None
    """The revisions of each app; None where another process decides on updates."""
    rebalance: Wish | None = None
    """None where another process decides on that."""
    data: Mapping[str, Held] | None = None
    """The data of each instance; None where another process decides on placement."""
    moves: Mapping[str, Move] = field(default_factory=dict)
    """What a person accepted to lose."""
    fronted: Fronted = NO_FRONT
    leaving: Mapping[Where, float] = field(default_factory=dict)
    """Since when containers leave the fronts."""
    starting: Collection[Where] = ()
    """The containers whose start is under way."""


@dataclass(frozen=True)
class Decision:
    """`history`, `placements` and `data` are to be remembered before anything of `plan` is done.

    `over` are the instances that have ended; `rollouts` tells of each app whose update is not done how far it is; `ready` are
    node and name of the containers that are ready; `desired` has the spec that each instance runs now. `due` is in seconds:
    until the next one counts as ready.
    """

    placements: Mapping[str, Placement]
    plan: Plan
    over: Mapping[str, Over] = field(default_factory=dict)
    history: Mapping[str, History] = field(default_factory=dict)
    rollouts: Mapping[str, str] = field(default_factory=dict)
    ready: Collection[tuple[str, str]] = ()
    desired: Desired | None = None
    due: float | None = None
    failures: Mapping[str, str] = field(default_factory=dict)
    """Why instances cannot run what they were placed to run, where another process decides on updates."""
    turn: Turn | None = None
    """What becomes of a rebalance, to be remembered too; and what it was decided by."""
    sight: Sight | None = None
    data: Mapping[str, Held] = field(default_factory=dict)
    leaving: Mapping[Where, float] = field(default_factory=dict)
    """Since when containers leave the fronts: they are not ready any more, whether they are stopped now or wait for that."""
    late: Collection[Where] = ()
    """Those that are stopped although a front has them still."""


def decide(cluster: str, desired: Desired, fleet: Fleet, memory: Memory, now: float) -> Decision:
    """`now` is in seconds of the clock that the tries were counted with."""
    desired = with_slots(desired, fleet, memory.placements, memory.busy)
    data: Mapping[str, Held] = {}
    if memory.data is not None:
        desired, data = with_data(desired, fleet, memory.placements, memory.data, memory.moves)
        instances = gathered(desired.instances, memory.placements, fleet)
        desired = desired if instances is desired.instances else replace(desired, instances=instances)
    readiness = Readiness(fleet, memory.tries, now, memory.starting)
    desired, history, rollouts, delay = rolled(desired, fleet, memory, readiness)
    busy, over = memory.busy, ended(desired, fleet, memory.placements, memory.tries, memory.busy)
    known = _without_old_ends(memory.placements, desired, {*busy, *over})
    open_ends = {name: instance for name, instance in desired.instances.items() if name not in over}
    names = {name: declared_container(cluster, name) for name in desired.instances}
    generation = next_generation(known, fleet)
    assignment = assign(open_ends, fleet, known, names, generation, certain=memory.certain, busy=busy)
    ready, pauses = readiness.ready(desired), held_back(desired, memory.tries, now)
    pauses = {**waiting(desired, fleet, assignment.placements, over, ready, rollouts), **pauses}
    seen, turn = _rebalanced(desired, fleet, assignment, memory, history, ready, pauses, readiness)
    if turn is not None:
        assignment = relocated(assignment, turn, names, fleet, next_generation(assignment.placements, fleet))
    wanted = desired.instances
    unclear = {name for name in {*known, *fleet.copies} if name not in wanted and desired.is_unclear(name)}
    left_alone = {name: place for name, place in known.items() if name in unclear or (name in busy and name not in wanted)}
    # Where it is seen now it still is when its node is silent and its row can be read again.
    found = {name: as_found(fleet.copies[name], generation) for name in sorted(unclear) if name not in known}
    held = {**pauses, **refused_in_place(desired, fleet, assignment.placements, now)}
    stuck = {where: f"cannot be removed yet: {past.words}" for where, past in memory.removals.items() if past.not_before > now}
    stuck |= {where: f"looking again: {past.words}" for where, past in memory.missed.items() if past.not_before > now}
    worn = {name for name, past in memory.tries.items() if backoff.is_worn(past)}
    placements = {**left_alone, **found, **assignment.placements, **{name: one.place for name, one in over.items()}}
    decided = plan(desired, fleet, assignment, held, busy, stuck, over, worn, ready)
    decided = in_turn(decided, desired, fleet, placements, memory.tries, busy, readiness)
    left = front_first(decided, desired, fleet, memory.fronted, memory.leaving, busy, now)
    return Decision(
        placements,
        left.plan,
        over,
        history,
        rollouts,
        ready - left.since.keys(),
        desired,
        min((due for due in (readiness.due(desired), delay, left.due) if due is not None), default=None),
        failures(desired, fleet, placements, memory, readiness) if memory.history is None else {},
        turn,
        seen,
        data,
        left.since,
        left.late,
    )


def _rebalanced(
    desired: Desired,
    fleet: Fleet,
    assignment: Assignment,
    memory: Memory,
    history: Mapping[str, History],
    ready: Collection[tuple[str, str]],
    held: Collection[str],
    readiness: Readiness,
) -> tuple[Sight | None, Turn | None]:
    """What is seen and what follows from it, where a rebalance is asked for or may be due."""
    if memory.rebalance is None:
        return None, None
    wish = followed(memory.rebalance, fleet)
    if not wish.due:
        return None, Turn(wish.progress)
    seen = sight(desired, fleet, assignment.placements, memory, history, ready, held, readiness)
    return seen, take_turn(wish.progress, wish.asked, wish.mode, seen)


def _without_old_ends(placements: Mapping[str, Placement], desired: Desired, judged: Collection[str]) -> Mapping[str, Placement]:
    """An end that does not count any more is forgotten: the instance runs again."""
    old = {name for name, place in placements.items() if place.end and name in desired.instances and name not in judged}
    return {name: replace(place, end="") if name in old else place for name, place in placements.items()} if old else placements


def refused_in_place(desired: Desired, fleet: Fleet, placements: Mapping[str, Placement], now: float) -> dict[str, str]:
    """Instances that stay where they are although their node refuses them as they are specified now, with the reason."""
    held: dict[str, str] = {}
    for name, instance in desired.instances.items():
        refusal = fleet.refusal(placements[name].node, instance) if name in placements else None
        if refusal is not None:
            held[name] = f"{HELD_BACK} for {math.ceil(refusal.until - now)} s: {refusal.node} refuses it: {refusal.reason}"
    return held


def next_generation(placements: Mapping[str, Placement], fleet: Fleet) -> int:
    """One more than any that was given, also by a loop whose memory is lost."""
    seen = [copy.generation for view in fleet.views.values() for copy in view or ()]
    return max([*(place.generation for place in placements.values()), *seen], default=0) + 1


def held_back(desired: Desired, tries: Mapping[str, Tries], now: float) -> dict[str, str]:
    """Instance to the reason why it may not be started yet."""
    held: dict[str, str] = {}
    for name, past in tries.items():
        wanted = desired.instances.get(name)
        seconds = backoff.wait(past, spec_hash(wanted.app), now) if wanted is not None else 0.0
        if seconds > 0:
            words = f"; the engine said: {past.words}" if past.words else ""
            times = counted(past.strikes, "try", "tries")
            held[name] = f"{HELD_BACK} for {math.ceil(seconds)} s after {times}{words}"
    return held
