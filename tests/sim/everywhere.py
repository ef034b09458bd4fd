"""Apps of mode global among faults: people change the mode of an app, and what must always hold of its instances."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.naming import app_of
from duckconf.place_kinds import GLOBAL
from duckconf.placement import Placement

if TYPE_CHECKING:
    from tests.sim.faults import Faults


def change_mode(faults: Faults) -> str:
    """An app gets one instance on each node, or one in all again."""
    world = faults.world
    apps = world.person.apps
    names = sorted(name for name, app in apps.items() if not app.restart)
    if not names:
        return ""
    name = world.dice.choice(names)
    if apps[name].mode == GLOBAL:
        apps[name] = replace(apps[name], mode="")
    else:
        apps[name] = replace(apps[name], mode=GLOBAL, replicas=1, ports=())
    world.tell_loop()
    return f"{name} is {apps[name].mode or 'replicated'}"


# Often, among all that else happens.
EVERYWHERE: Mapping[str, Callable[[Faults], str]] = {f"everywhere {number}": change_mode for number in range(3)}


def why_not_there(instance: str, node: str, desired: Desired, places: Mapping[str, Placement], draining: Collection[str]) -> str:
    """What is wrong with a start of an instance of a global app, "" when nothing is."""
    siblings = [name for name in desired.instances if app_of(name) == app_of(instance) and name in places]
    here = [name for name in siblings if places[name].node == node]
    if here != [instance]:
        return f"where {here} are placed"
    return "on a node that is emptied" if node in draining else ""


def is_alone(instance: str, containers: Sequence[Container]) -> bool:
    """Whether it is the only instance of its app among these."""
    return not any(copy.app == app_of(instance) and copy.instance != instance for copy in containers)
