"""Apps that are bound to nodes among faults: those of mode global, and those with data. What people do to them, and what must
always hold of their instances."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.fleet_seen import NEVER_RAN
from duckconf.local_data import Held, Move, is_moving, sources_of, without_gone
from duckconf.model import App
from duckconf.naming import app_of
from duckconf.place_kinds import GLOBAL
from duckconf.placement import Placement
from duckconf.reach.state.data import FILE_NAME as DATA
from duckconf.reach.state.data import read_held

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


def accept_loss(faults: Faults) -> str:
    """A person lets an instance start elsewhere without its data, as `./inv move --accept-data-loss` does."""
    world = faults.world
    held = read_held(world.disk / DATA)
    nodes = sorted(world.nodes)
    names = sorted(name for name in held if app_of(name) in DATA_NAMES and held[name].node in nodes and len(nodes) > 1)
    if not names:
        return ""
    name = world.dice.choice(names)
    source = held[name].node
    if is_moving(held[name], world.moves.get(name)):
        del world.moves[name]
        world.tell_loop()
        return f"{name} stays on {source}"
    target = world.dice.choice(("", *(node for node in nodes if node != source)))
    world.moves[name] = Move(source, target, held[name].move + 1)
    world.watch.homes.accepted.setdefault(name, set()).add(world.moves[name])
    world.tell_loop()
    return f"{name} leaves {source} for {target or 'another node'}"


# Often, among all that else happens.
EVERYWHERE: Mapping[str, Callable[[Faults], str]] = {f"everywhere {number}": change_mode for number in range(3)}

WITH_DATA: Mapping[str, Callable[[Faults], str]] = {f"data {number}": give_data for number in range(3)}


MOVES: Mapping[str, Callable[[Faults], str]] = {f"move {number}": accept_loss for number in range(3)}


@dataclass
class Homes:
    """The node where each instance with data was first seen after it ran, or runs since a person accepted the loss."""

    of: dict[str, str] = field(default_factory=dict)
    accepted: dict[str, set[Move]] = field(default_factory=dict)
    """All that people accepted since then: what was begun for one of them may be carried out after the next."""

    unsaved: set[str] = field(default_factory=set)
    """What was seen first since the last pass that has written what it knows: who cannot write and is killed knows nothing."""
    believed: set[str] = field(default_factory=set)
    """Those that were only placed there, on a node that has not answered since."""
    ending: Collection[str] = ()
    """What the last pass should have forgotten. It may have died before."""

    def note(
        self,
        heard: Mapping[str, Sequence[Container]],
        desired: Desired,
        nodes: Sequence[str],
        held: Mapping[str, Held],
        places: Mapping[str, Placement],
    ) -> None:
        """Data of a withdrawn app ends with its node. `held` is what the loop knew before this pass."""
        unknown = {*self.ending, *self.unsaved}
        self.of = {name: node for name, node in self.of.items() if name in held or name not in unknown}
        # Of those, what the loop only believed before it believes again.
        self.believed |= {name for name in self.unsaved if name in self.of and not held[name].seen}
        before = set(self.of)
        kept = without_gone({name: Held(node, ()) for name, node in self.of.items()}, desired, nodes)
        self.ending = self.of.keys() - kept.keys()
        for name, home in self.of.items():
            node = held[name].node if name in held else home
            if node != home and self.left(name, node):
                self.of[name] = node
                # The next one may have been accepted before this look showed that the one before was carried out.
                self.accepted[name] = {move for move in self.accepted.pop(name) if move.source == node}
        ran = [copy for _, found in sorted(heard.items()) for copy in found if copy.state not in NEVER_RAN]
        self._believe_no_longer(heard, {(copy.instance, copy.node) for copy in ran})
        for copy in ran:
            wanted = desired.instances.get(copy.instance)
            if wanted is not None and wanted.app.name in DATA_NAMES and sources_of(wanted.app) and copy.instance not in self.of:
                known = held.get(copy.instance) or places.get(copy.instance)
                # Where it is placed, or was before a move that a person took back, it may have run before that node fell silent.
                unseen = known is not None and known.node not in heard
                # Of two that run, the placed one is meant.
                placed = known is not None and any((other.instance, other.node) == (copy.instance, known.node) for other in ran)
                self.of[copy.instance] = known.node if known is not None and (unseen or placed) else copy.node
                self.believed |= {copy.instance} if unseen else set()
        self.unsaved = self.of.keys() & {*self.unsaved, *(self.of.keys() - before)}

    def _believe_no_longer(self, heard: Collection[str], ran: Collection[tuple[str, str]]) -> None:
        """A node that answers shows whether it was right."""
        for name in sorted(self.believed):
            if name not in self.of or self.of[name] in heard:
                self.believed.discard(name)
                if name in self.of and (name, self.of[name]) not in ran:
                    del self.of[name]

    def left(self, instance: str, node: str) -> str:
        """The node that it may leave for this one, because a person accepted that; "" for none."""
        home = self.of.get(instance, "")
        moves = self.accepted.get(instance, ())
        return home if any(move.source == home != node and move.target in ("", node) for move in moves) else ""


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
