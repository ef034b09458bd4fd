"""What an instance waits for before it is started: the apps of its `depends_on`, each started, healthy or completed. Pure.

It holds up starts, also those of an update. What runs is not ended because something that it depends on is not there any more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from duckconf.codec import runs_as
from duckconf.depends_kind import COMPLETED, HEALTHY, STARTED
from duckconf.desired import Desired
from duckconf.ended import Over
from duckconf.fleet_seen import Fleet, Placement, copy_at
from duckconf.instance import Instance

CONDITIONS: Mapping[str, str] = {STARTED: "run", HEALTHY: "be healthy", COMPLETED: "be done"}


def waiting(
    desired: Desired,
    fleet: Fleet,
    placements: Mapping[str, Placement],
    over: Mapping[str, Over],
    ready: Collection[tuple[str, str]],
    updating: Collection[str] = (),
) -> dict[str, str]:
    """The instances that may not be started yet, each with what it waits for. `updating` are apps whose update is under way. An
    app of which nothing is known here, as on a node that does not run it, is not waited for."""
    if not any(instance.app.depends_on for instance in desired.instances.values()):
        return {}
    by_app: dict[str, list[Instance]] = {}
    for instance in desired.instances.values():
        by_app.setdefault(instance.app.name, []).append(instance)

    def holds(one: Instance, condition: str) -> bool:
        place = placements.get(one.name)
        if one.name in over or condition == COMPLETED:
            return one.name in over and (condition == STARTED or over[one.name].end.code == 0)
        copy = copy_at(place, fleet.copies.get(one.name, ()))
        if copy is None or place is None or not copy.running or not runs_as(one.app, copy.spec, copy.manifest):
            return False
        return condition == STARTED or (place.node, place.container) in ready

    def reasons(instance: Instance) -> Iterable[str]:
        for name, condition in instance.app.depends_on.items():
            some = by_app.get(name, [])
            if name in updating or not all(holds(one, condition) for one in some):
                yield f"{name} to {CONDITIONS[condition]}"

    return {
        name: f"waits for {', '.join(found)}"
        for name, instance in desired.instances.items()
        if instance.app.depends_on and (found := list(reasons(instance)))
    }
