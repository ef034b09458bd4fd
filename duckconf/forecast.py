"""What a change would lead to, step by step. Pure.

Nothing is decided here: the loop's decision is asked again and again, on a model of the nodes on which each step succeeds at
once and each new instance becomes ready.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from duckconf.actions import Action, Remove, Restart, Start
from duckconf.codec import runs_as, spec_hash, to_label
from duckconf.decision import Decision, Memory, decide
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.healthcheck import HEALTHY, NO_CHECK
from duckconf.naming import app_of
from duckconf.placement import NO_ROOM, Fleet
from duckconf.plan import Step
from duckconf.rollout import History

# More than a person reads; an update of a thousand instances goes on in the same way.
MOST_ROUNDS = 100


class Expected(NamedTuple):
    """A step with the numbers of the revision that runs there before and of the one that is started, 0 for none."""

    step: Step
    before: int = 0
    after: int = 0


@dataclass(frozen=True)
class Forecast:
    """The steps of each round: those of one round are taken at once, and the next follows when they are done and what they
    started is ready. `waits` say by round, from 0, what it waits for beside that: instances that run and are not healthy now.
    `notes` say by instance what stays as it is in the end and why, `rollouts` by app how far its update is then. `goes_on` when
    there are more rounds."""

    rounds: tuple[tuple[Expected, ...], ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    history: Mapping[str, History] = field(default_factory=dict)
    goes_on: bool = False
    waits: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    rollouts: Mapping[str, str] = field(default_factory=dict)
    unplaced: Mapping[str, str] = field(default_factory=dict)
    """Of `notes` those on instances that no node takes."""


def forecast(cluster: str, desired: Desired, fleet: Fleet, memory: Memory, now: float, apps: Collection[str]) -> Forecast:
    """The steps that are about these apps."""
    # How earlier starts went says nothing about a change; with no tries, what runs counts as ready.
    tries = {name: past for name, past in memory.tries.items() if app_of(name) not in apps}
    memory = replace(memory, tries=tries)
    rounds: list[tuple[Expected, ...]] = []
    waits: dict[int, tuple[str, ...]] = {}
    while True:
        decision = decide(cluster, desired, fleet, memory, now)
        about = [step for step in decision.plan.steps if step.app in apps]
        if not about and len(rounds) not in waits and (unwell := _unwell(fleet, apps)):
            waits[len(rounds)] = tuple(map(_healthy_words, unwell))
            fleet = _healed(fleet, unwell)
            continue
        if not about or len(rounds) == MOST_ROUNDS:
            notes = {name: note for name, note in decision.plan.notes.items() if app_of(name) in apps}
            open_ends = {app: note for app, note in decision.rollouts.items() if app in apps}
            waits.pop(len(rounds), None)
            without = {name: why for name, why in notes.items() if _is_unplaced(name, why, decision)}
            return Forecast(tuple(rounds), notes, decision.history, bool(about), waits, open_ends, without)
        rounds.append(tuple(_expected(step, fleet, decision.history) for step in about))
        fleet = after(fleet, (step.action for step in decision.plan.steps))
        memory = replace(memory, placements=decision.placements, history=decision.history if memory.history is not None else None)


def _unwell(fleet: Fleet, apps: Collection[str]) -> list[Container]:
    found = [copy for copies in fleet.copies.values() for copy in copies if copy.app in apps and copy.running]
    return sorted((copy for copy in found if not copy.ready), key=lambda copy: (copy.app, copy.slot, copy.node))


def _healthy_words(copy: Container) -> str:
    return f"{copy.instance} on {copy.node} is healthy (it is {copy.health}{f': {copy.said}' if copy.said else ''})"


def _healed(fleet: Fleet, copies: Collection[Container]) -> Fleet:
    views = {node: view and tuple(_well(copy) if copy in copies else copy for copy in view) for node, view in fleet.views.items()}
    return replace(fleet, views=views)


def _is_unplaced(name: str, why: str, decision: Decision) -> bool:
    wanted = decision.desired is not None and name in decision.desired.instances
    return wanted and (name not in decision.placements or why.startswith(NO_ROOM))


def _expected(step: Step, fleet: Fleet, history: Mapping[str, History]) -> Expected:
    if not isinstance(step.action, Start):
        return Expected(step)
    past = history.get(step.app, ())
    old = next((copy for copy in fleet.copies.get(step.instance, ()) if copy.running), None)
    before = 0 if old is None else next((item.number for item in past if runs_as(item.app, old.spec, old.manifest)), 0)
    wanted = spec_hash(step.action.app)
    return Expected(step, before, next((item.number for item in reversed(past) if item.spec == wanted), 0))


def after(fleet: Fleet, actions: Iterable[Action]) -> Fleet:
    """The nodes as they are when all of this has succeeded."""
    views = dict(fleet.views)
    for action in actions:
        view, name = views.get(action.node) or (), action.container
        rest = tuple(copy for copy in view if copy.name != name)
        if isinstance(action, Remove):
            views[action.node] = rest
        elif isinstance(action, Start):
            views[action.node] = (*rest, _started(action))
        elif isinstance(action, Restart):
            views[action.node] = (*rest, *(_well(copy) for copy in view if copy.name == name))
    return replace(fleet, views=views)


def _started(action: Start) -> Container:
    app = action.app
    made = Container("", action.container, action.node, app.name, spec_hash(app), app.image, "running", 0.0)
    health = HEALTHY if app.healthcheck else NO_CHECK
    return replace(made, generation=action.generation, manifest=to_label(app), slot=action.slot, health=health)


def _well(copy: Container) -> Container:
    return replace(copy, state="running", health=HEALTHY if copy.health else NO_CHECK)
