"""The comparator: what to do so that the nodes do what is desired. Pure; used by the loop, `./inv diff` and the tests.

The rules, in order:
1. A container without our labels does not exist for us.
2. A node that did not answer, or whose answer cannot be read, is out of scope: no action touches it.
3. An app whose row cannot be read, that an action is still busy with, or whose new copy elsewhere does not run yet,
   is left alone.
4. Placed and absent: start. Placed and exited: start again; with secrets and never started: start anew. Placed and unhealthy:
   restart. Each waits while the app is held back.
5. Running with another spec: replace.
6. Ours and not desired: remove, unless the desired state is incomplete.
7. A copy elsewhere goes only once the placed one is ready, or is over; or before it starts, where the app moves and stops first.
8. An instance that is over by its restart policy is left as it ended.
9. Before a container goes whose network another one shares, that one goes.
10. A copy elsewhere stays while the old container of what depends on it runs there too.

Where nothing is done although something is not as desired, a note says why.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from duckconf.actions import Action, Remove, Restart, Start
from duckconf.codec import runs_as
from duckconf.dependents import Leftovers
from duckconf.desired import Desired
from duckconf.ended import Over
from duckconf.engine_output import Container
from duckconf.fleet_seen import NEVER_RAN, copy_at
from duckconf.healthcheck import UNHEALTHY
from duckconf.instance import Instance
from duckconf.local_data import waits
from duckconf.naming import app_of
from duckconf.placement import Assignment, Fleet, Placement
from duckconf.restart import NO, policy_of
from duckconf.sharers import sharers_first

ON_THE_WAY = frozenset({"stopping", "removing", "restarting"})
HELD_STILL = "paused"
UNDER_WAY = "an action is under way"
TAKES_OVER = "takes over when it is ready"
KEPT = "placed on another node and not running there yet; kept here until it runs"


@dataclass(frozen=True)
class Step:
    """An action on an instance, and the reason for it."""

    instance: str
    action: Action
    reason: str

    @property
    def app(self) -> str:
        return app_of(self.instance)

    def __str__(self) -> str:
        return f"{self.action}: {self.reason}"


@dataclass(frozen=True)
class Plan:
    """What to do, in order of names, and by instance why something is left as it is."""

    steps: tuple[Step, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)


def plan(
    desired: Desired,
    fleet: Fleet,
    assignment: Assignment,
    held: Mapping[str, str],
    busy: Collection[str] = (),
    stuck: Mapping[tuple[str, str], str] = MappingProxyType({}),
    over: Mapping[str, Over] = MappingProxyType({}),
    worn: Collection[str] = (),
    ready: Collection[tuple[str, str]] | None = None,
) -> Plan:
    """`held` maps an instance that may not be started now to the reason; `busy` ones have an action under way; `stuck` maps
    node and name of a container that may not be removed or started again now to the reason; `over` are the instances that
    have ended, and the containers of `worn` ones are made anew instead of started again. `ready` are node and name of those
    that are ready; None where every one that runs is."""
    steps: list[Step] = []
    notes: dict[str, str] = {}
    left = Leftovers(desired.instances.values(), fleet.copies, assignment.placements)
    seen = {app_of(name) for name in fleet.copies}
    for name in sorted({*desired.instances, *fleet.copies, *(desired.unreadable - seen)}):
        found = fleet.copies.get(name, ())
        if name in busy:
            notes[name] = UNDER_WAY
        elif desired.is_unreadable(name):
            notes[name] = "its row cannot be read"
        elif name not in desired.instances:
            if name in desired.kept:
                notes[name] = KEPT
            elif desired.complete:
                steps += [Step(name, Remove(copy.node, copy.name), "not desired") for copy in found]
            else:
                notes[name] = "it may be named in what cannot be read of the desired state"
        elif name in over:
            steps += _leave_ended(name, over[name], found)
            notes[name] = over[name].why
        elif name in assignment.stops and found:
            why = f"it moves to {assignment.placements[name].node}, and its old container ends first"
            steps += [Step(name, Remove(copy.node, copy.name), why) for copy in found]
        elif name in assignment.placements:
            place = assignment.placements[name]
            done, note = _placed(desired.instances[name], place, found, fleet, held.get(name, ""), ready, anew=name in worn)
            done, note = left.without_needed(app_of(name), done, note)
            steps += [Step(name, action, reason) for action, reason in done]
            if note := note or ("" if done else assignment.reasons.get(name, "")):
                notes[name] = note
        else:
            notes[name] = assignment.reasons.get(name, "not placed")
    steps, later = sharers_first(steps, fleet.copies, Step, busy)
    return _without_stuck(steps, {**notes, **later}, stuck)


def _without_stuck(steps: Sequence[Step], notes: Mapping[str, str], stuck: Mapping[tuple[str, str], str]) -> Plan:
    known = [step for step in steps if not isinstance(step.action, Start)]
    waiting = [step for step in known if (step.action.node, step.action.container) in stuck]
    why = {step.instance: stuck[step.action.node, step.action.container] for step in waiting}
    return Plan(tuple(step for step in steps if step not in waiting), {**notes, **why})


def _leave_ended(name: str, over: Over, copies: Sequence[Container]) -> list[Step]:
    place = over.place
    others = [copy for copy in copies if (copy.node, copy.name) != (place.node, over.keeps)]
    return [Step(name, Remove(copy.node, copy.name), f"it has ended as {place.container} on {place.node}") for copy in others]


def _placed(
    instance: Instance,
    placement: Placement,
    copies: Sequence[Container],
    fleet: Fleet,
    held: str,
    ready: Collection[tuple[str, str]] | None,
    *,
    anew: bool,
) -> tuple[list[tuple[Action, str]], str]:
    if fleet.views.get(placement.node) is None:
        if instance.data and (placement.node in fleet.lost or placement.node not in fleet.nodes):
            return [], waits(instance, "lost" if placement.node in fleet.lost else "not in the inventory")
        return [], f"{placement.node} {_why_unseen(placement.node, instance, fleet)}"
    mine = copy_at(placement, copies)
    others = [copy for copy in copies if copy is not mine]
    action, reason = _heal(instance, placement, mine, anew=anew)
    old = next((copy for copy in others if copy.running and not runs_as(instance.app, copy.spec, copy.manifest)), None)
    if mine is None and old is not None:
        reason = f"{old.name} on {old.node} was started from another spec, and ends when this one is ready"
    if action is None and not reason:
        sure = mine is not None and mine.ready if ready is None else (placement.node, placement.container) in ready
        if others and not sure:
            return [], f"{placement.container} on {placement.node} {TAKES_OVER}"
        return [(Remove(copy.node, copy.name), f"runs as {placement.container} on {placement.node}") for copy in others], ""
    if action is not None and held:
        return [], held
    return ([(action, reason)], "") if action is not None else ([], reason)


def _why_unseen(node: str, instance: Instance, fleet: Fleet) -> str:
    if node in fleet.unreadable:
        return "is not asked, or its answer cannot be read; the app counts as running"
    if node in fleet.lost and instance.bound == node:
        return "is lost; this instance runs there and nowhere else"
    return "is lost, and no other node fits" if node in fleet.lost else "is unreachable; counts as running for now"


def _heal(instance: Instance, placement: Placement, mine: Container | None, *, anew: bool) -> tuple[Action | None, str]:
    """What the placed container needs and why; with no action, a reason to wait or "" when all is well."""
    generation = instance.generation or placement.generation
    start = Start(placement.node, placement.container, instance.app, generation, instance.slot)
    if mine is None:
        return start, "it has no container there"
    # Where no node has room for its update, it goes on with what it was placed to run.
    meant = placement.spec in ("", instance.spec)
    if meant and not runs_as(instance.app, mine.spec, mine.manifest) and mine.state not in ON_THE_WAY:
        return start, f"{mine.name} was started from another spec"
    if mine.running and mine.health == UNHEALTHY and policy_of(instance.app).condition == NO:
        return None, f"{mine.name} is unhealthy and its restart policy is no"
    if mine.running and mine.health == UNHEALTHY:
        return Restart(placement.node, mine.name, instance.name, unhealthy=True), mine.said or "its check failed"
    if mine.running:
        return None, ""
    if mine.state in ON_THE_WAY or mine.state == HELD_STILL:
        return None, f"{mine.name} is {mine.state}"
    if anew:
        return start, f"{mine.name} is {mine.state} and did not stay up when it was started again; it is made anew"
    if mine.state in NEVER_RAN and instance.app.secrets:
        return start, f"{mine.name} was made and not started; its secrets may be missing"
    return Restart(placement.node, mine.name, instance.name), f"{mine.name} is {mine.state}"
