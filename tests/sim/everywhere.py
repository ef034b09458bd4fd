"""Apps that are bound to nodes among faults: those of mode global, and those with data. What people do to them, and what must
always hold of their instances."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.local_data import Held, sources_of, without_gone
from duckconf.model import App
from duckconf.naming import app_of
from duckconf.place_kinds import GLOBAL
from duckconf.placement import Placement

if TYPE_CHECKING:
    from tests.sim.faults import Faults

# No other app has one of these names, so that each ran with its data whenever it ran.
DATA_NAMES = ("x", "y", "z")


def change_mode(faults: Faults) -> str:
    """An app gets one instance on each node, or one in all again."""
    world = faults.world
    apps = world.person.apps
    names = sorted(name for name, app in apps.items() if not (app.restart or name in DATA_NAMES))
    if not names:
        return ""
    name = world.dice.choice(names)
    if apps[name].mode == GLOBAL:
        apps[name] = replace(apps[name], mode="")
    else:
        apps[name] = replace(apps[name], mode=GLOBAL, replicas=1, ports=())
    world.tell_loop()
    return f"{name} is {apps[name].mode or 'replicated'}"


def give_data(faults: Faults) -> str:
    """An app that has a volume from its first start on."""
    world = faults.world
    name = world.dice.choice(DATA_NAMES)
    world.person.apps[name] = App(world.dice.choice(("web:1", "web:2")), name, volumes=(f"{name}:/data",))
    world.tell_loop()
    return name


# Often, among all that else happens.
EVERYWHERE: Mapping[str, Callable[[Faults], str]] = {f"everywhere {number}": change_mode for number in range(3)}

WITH_DATA: Mapping[str, Callable[[Faults], str]] = {f"data {number}": give_data for number in range(3)}


def note_data(known: dict[str, str], heard: Mapping[str, Sequence[Container]], desired: Desired, nodes: Sequence[str]) -> None:
    """Where an instance with data was first seen after it ran. That of a withdrawn app ends with its node."""
    kept = without_gone({name: Held(node, ()) for name, node in known.items()}, desired, nodes)
    for name in known.keys() - kept.keys():
        del known[name]
    for node, containers in sorted(heard.items()):
        for copy in containers:
            wanted = desired.instances.get(copy.instance)
            if wanted is not None and wanted.app.name in DATA_NAMES and sources_of(wanted.app) and copy.running:
                known.setdefault(copy.instance, node)


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
