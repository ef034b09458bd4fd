"""Which container that is there already becomes the placement of an instance. Pure; used by placement.

Whoever lost the memory of what is placed where finds it in what runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from duckconf.codec import runs_as
from duckconf.engine_output import Container
from duckconf.fleet_seen import Fleet, Placement, copy_at
from duckconf.instance import Instance
from duckconf.restart import ALWAYS, policy_of


def adopted_place(instance: Instance, current: Placement | None, fleet: Fleet, generation: int) -> Placement | None:
    """A copy that runs is better than one that must be started: it becomes the placement, unless the placed one runs
    too or may run on a node that is only silent for now."""
    if (
        current is not None
        and current.node in fleet.nodes
        and fleet.views.get(current.node) is None
        and current.node not in fleet.lost
    ):
        return None
    # What runs where it should not is remembered there before it is moved: a placement that is not known is none.
    found = [copy for copy in fleet.copies.get(instance.name, ()) if instance.bound in ("", copy.node)]
    copies = [copy for copy in found if current is None or not fleet.repels(copy.node, instance)]
    mine = copy_at(current, fleet.copies.get(instance.name, ()))
    runs = mine is not None and mine.running and current is not None and not fleet.repels(current.node, instance)
    # One that should leave gives way to a right copy that is elsewhere already.
    # One that is being updated may give way to a copy that has the spec already, as after a rollback.
    if runs and current and mine and (current.spec in ("", instance.spec) or runs_as(instance.app, mine.spec, mine.manifest)):
        return None
    right = {copy.name for copy in copies if copy.running and runs_as(instance.app, copy.spec, copy.manifest)}
    ranked = sorted(copies, key=lambda copy: (copy.name in right, copy.running, copy.generation, copy.name))
    if not ranked or (current is not None and ranked[-1].name not in right):
        return None
    best = ranked[-1]
    spec = instance.spec if best.name in right else best.spec
    return Placement(best.node, best.name, max(generation, best.generation), spec=spec)


def goes_on(instance: Instance, place: Placement, fleet: Fleet) -> bool:
    """Whether the container at this place runs and nothing is started for it: a changed job would run again at once."""
    mine = copy_at(place, fleet.copies.get(instance.name, ()))
    if mine is None or not mine.running:
        return False
    return policy_of(instance.app).condition == ALWAYS or runs_as(instance.app, mine.spec, mine.manifest)


def as_found(copies: Sequence[Container], generation: int) -> Placement:
    """The placement of an app of which nothing is known but its copies: the one that runs, and of these the newest."""
    best = max(copies, key=lambda copy: (copy.running, copy.generation, copy.name))
    return Placement(best.node, best.name, max(generation, best.generation), spec=best.spec)
