"""Where an app goes. Pure: nodes, counts and turns come in, a node and a reason come out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from duckconf.adoption import adopted_place, goes_on
from duckconf.codec import runs_as
from duckconf.engine_output import Container
from duckconf.facts import UNKNOWN, Facts
from duckconf.fleet_seen import ALIVE as ALIVE
from duckconf.fleet_seen import Fleet as Fleet
from duckconf.fleet_seen import Placement as Placement
from duckconf.fleet_seen import Views as Views
from duckconf.fleet_seen import copy_at
from duckconf.instance import Instance
from duckconf.local_data import kept as data_keeps
from duckconf.local_data import waits
from duckconf.model import App
from duckconf.naming import app_of, slot_of
from duckconf.place_kinds import GLOBAL
from duckconf.ports import Port, conflict
from duckconf.rollout import starts_first
from duckconf.sites import NOWHERE, Sites
from duckconf.spreading import FULL, Given, bound_unfit, host_ports, lacks, no_fit, round_robin
from duckconf.together import unit_of, with_unit

# Of an instance that stays as it is because no node takes it as it should be.
NO_ROOM = "cannot be updated: "

# Of one that waits for nodes that the loop has not heard since it began.
UNHEARD = "which did not answer yet"

# In the sentence of `no_fit`, the nodes that are not heard now: a busy one often is again a moment later.
SILENT = ("suspect", "unreachable")


@dataclass(frozen=True)
class Assignment:
    """Placements for the instances that have one, and for those that could not get one the reason. Those in `stops` move, and
    their old copy ends before the new one starts."""

    placements: Mapping[str, Placement]
    reasons: Mapping[str, str] = field(default_factory=dict)
    stops: Collection[str] = ()


@dataclass
class Load:
    """What the nodes have already: instances in all, instances of each app on each node and in each zone, and what is given
    away of them."""

    sites: Sites = NOWHERE
    instances: Counter[str] = field(default_factory=Counter)
    siblings: dict[str, Counter[str]] = field(default_factory=dict)
    in_zone: dict[str, Counter[str]] = field(default_factory=dict)
    given: dict[str, Given] = field(default_factory=dict)

    def add(self, node: str, app: App) -> None:
        self.instances[node] += 1
        self._count(node, app, 1)
        self.given.setdefault(node, Given()).add(app)

    def leave(self, node: str, app: App) -> None:
        """One instance fewer. What was given to it stays given away for now: it may still have it."""
        self.instances[node] -= 1
        self._count(node, app, -1)

    def back(self, node: str, app: App) -> None:
        """One that had left is counted again."""
        self.instances[node] += 1
        self._count(node, app, 1)

    def order(self, app: App, node: str) -> tuple[int, int, int]:
        """The lowest is the best place for one more instance of `app`: zones come first."""
        in_zone = self.in_zone.get(app.name, NONE)[self.sites.zone(node)]
        return in_zone, self.siblings.get(app.name, NONE)[node], self.instances[node]

    def lacks(self, app: App, node: str, facts: Facts) -> str:
        return lacks(app, node, facts, self.given.get(node, NOTHING), self.siblings.get(app.name, NONE)[node], self.sites)

    def _count(self, node: str, app: App, by: int) -> None:
        if app.replicas > 1:
            self.siblings.setdefault(app.name, Counter())[node] += by
            self.in_zone.setdefault(app.name, Counter())[self.sites.zone(node)] += by


NONE: Counter[str] = Counter()
NOTHING = Given()


def spread(
    instance: Instance, fleet: Fleet, load: Load, turn: int, prefer: str = "", needs: App | None = None
) -> tuple[str, str]:
    """The node in the zone with the fewest instances of the app, of these the one with the fewest of it, then with the fewest
    in all, ties by turn, and ""; or "" and why no node fits. `prefer` is taken when it fits. One that is bound to a node goes
    nowhere else. `needs` is what it wants of a node, with others that go with it."""
    app = instance.app
    misfits: Counter[str] = Counter()
    refused: dict[str, str] = {}
    fit: list[str] = []
    for node in (instance.bound,) if instance.bound else fleet.nodes:
        refusal = fleet.refusal(node, instance)
        if why := _shut(node, instance, fleet):
            misfits[why] += 1
        elif refusal is not None:
            refused[node] = refusal.reason
        elif why := load.lacks(needs or app, node, fleet.facts.get(node, UNKNOWN)):
            misfits[why] += 1
        else:
            fit.append(node)
    if not fit:
        return "", _unfit(instance, misfits, refused)
    if prefer in fit:
        return prefer, ""
    best = min(load.order(app, node) for node in fit)
    return next(node for node in round_robin(fleet.nodes, turn) if node in fit and load.order(app, node) == best), ""


def names_silent(reason: str) -> bool:
    """Whether an instance has no place also because nodes are not heard now, by the reason that `spread` gave."""
    return any(f"{word}{end}" in f"{reason};" for word in SILENT for end in ",;")


def why_not(node: str, instance: Instance, fleet: Fleet, load: Load, needs: App | None = None) -> str:
    """Why the instance cannot be placed on this node, "" when it can."""
    refusal = fleet.refusal(node, instance)
    refused = f"it refuses it: {refusal.reason}" if refusal is not None else ""
    lacking = load.lacks(needs or instance.app, node, fleet.facts.get(node, UNKNOWN))
    return _shut(node, instance, fleet) or refused or lacking


def _shut(node: str, instance: Instance, fleet: Fleet) -> str:
    """Why the node takes no new instance, in the sentence of `no_fit`."""
    if node not in fleet.nodes:
        return "not in the inventory"
    if node == instance.leaves:
        return "that it leaves"
    if node in fleet.cordoned:
        return "cordoned"
    if node in fleet.full:
        return FULL
    if fleet.views.get(node) is None:
        return "unreadable" if node in fleet.unreadable else "unreachable"
    return ""


def _unfit(instance: Instance, misfits: Mapping[str, int], refused: Mapping[str, str]) -> str:
    if instance.data:
        return waits(instance, *(f"it refuses it: {reason}" for reason in refused.values()), *misfits)
    return bound_unfit(instance.bound, misfits, refused) if instance.bound else no_fit(misfits, refused)


def assign(
    instances: Mapping[str, Instance],
    fleet: Fleet,
    placements: Mapping[str, Placement],
    base_name: Mapping[str, str],
    next_generation: int,
    *,
    certain: bool,
    busy: Collection[str] = (),
) -> Assignment:
    """A placement for every instance: the one it has while that node is not lost, a copy that already runs, or a new one.
    From nodes that are draining, or that its app's pattern does not mean, one instance at a time moves: the next one when the
    new copy runs.

    `base_name` is the container name of each first placement. Without `certain` (our memory was lost), an instance that is not
    seen running may do so on a node that is not heard yet, and waits.
    """
    known = {name: (one, placements[name]) for name, one in instances.items() if name in placements}
    kept = {name: place for name, (one, place) in known.items() if name in busy or not _misplaced(one, place)}
    moving = any(_on_its_way(instances[name], place, fleet) for name, place in kept.items())
    silent = [node for node in fleet.nodes if fleet.views.get(node) is None and node not in fleet.lost]
    places = _Places(instances, fleet, kept, next_generation, clear=certain or not silent)
    for name in sorted(instances, key=_turn):
        instance, current = instances[name], kept.get(name)
        if name in busy:
            continue
        at_home = current is not None and current.node in fleet.nodes and current.node not in fleet.lost
        leaves = at_home and not moving and _may_leave(instance, kept[name], fleet)
        adopted = adopted_place(instance, current, fleet, places.generation)
        unsure = silent if current is None and not certain else []
        if adopted is not None and (not unsure or goes_on(instance, adopted, fleet)):
            places.settle(name, adopted)
            places.update(instance, base_name[name])
        elif at_home and not leaves and not places.must_leave(instance):
            if renamed := _in_place(instance, kept[name], fleet):
                places.settle(name, renamed)
            if instance.data and not fleet.sites.allows(instance.app, instance.bound):
                places.reasons[name] = data_keeps(instance, instance.bound, instance.data)
            places.update(instance, base_name[name])
        elif unsure:
            places.reasons[name] = f"not placed: it may run on {', '.join(unsure)}, {UNHEARD}"
        elif chosen := places.elsewhere(instance, base_name[name], leaves=leaves, at_home=at_home):
            moving = moving or leaves
            places.settle(name, chosen)
        elif name in kept and at_home:
            places.update(instance, base_name[name])
    return Assignment(kept, places.reasons)


def _misplaced(instance: Instance, place: Placement) -> bool:
    """Whether it cannot be where it is placed, so that the place does not hold: away from its data, which could not be read when
    it was placed, or on another node than the one that its slot of an app of mode global has. One that a person lets leave its
    data for another node is on one of the two."""
    leaves = bool(instance.leaves and instance.bound) and place.node != instance.leaves
    own = instance.app.mode == GLOBAL and bool(instance.bound)
    return (bool(instance.data) or leaves or own) and place.node != instance.bound


def _turn(name: str) -> tuple[str, int]:
    return app_of(name), slot_of(name)


class _Places:
    """The placements of one decision while it is made: `kept` changes with each that is settled."""

    def __init__(
        self, instances: Mapping[str, Instance], fleet: Fleet, kept: dict[str, Placement], generation: int, *, clear: bool
    ) -> None:
        """Without `clear`, what is wanted may run on a node that is not heard yet, and nothing that runs is replaced."""
        self._clear = clear
        self._instances = instances
        self._fleet = fleet
        self._kept = kept
        self._load = Load(fleet.sites)
        self.generation = generation
        self.reasons: dict[str, str] = {}
        self._held: dict[str, dict[str, tuple[Port, ...]]] = {}
        for name, placement in kept.items():
            self._load.add(placement.node, instances[name].app)
            self._hold(name)

    def must_leave(self, instance: Instance) -> bool:
        """Whether it cannot run where it is: its node refuses it, or another app that runs there has its port."""
        here = self._kept[instance.name]
        return _turned_away(here, instance, self._fleet) or self._crowded_out(instance, here)

    def _crowded_out(self, instance: Instance, here: Placement) -> bool:
        """Whether the app does not run because another one that runs on its node has a port that it wants."""
        held = self._held.get(here.node)
        if not held or not instance.app.ports or _runs(instance.name, here, self._fleet):
            return False
        wanted = host_ports(instance.app)
        return any(conflict(wanted, ports) for other, ports in held.items() if other != instance.name)

    def _hold(self, name: str) -> None:
        """Note the ports that the instance has where it is, if it runs there: few do of those that have trouble."""
        app, place = self._instances[name].app, self._kept[name]
        if app.ports and _runs(name, place, self._fleet) and (ports := host_ports(app)):
            self._held.setdefault(place.node, {})[name] = ports

    def elsewhere(self, instance: Instance, base_name: str, *, leaves: bool, at_home: bool) -> Placement | None:
        """A new place, None when there is none: the reason is noted then."""
        name, current = instance.name, self._kept.get(instance.name)
        copies = self._fleet.copies.get(name, ())
        seeker, needs = with_unit(instance, self._instances, self._kept, self._fleet)
        node, reason = spread(seeker, self._fleet, self._load, self.generation, needs=needs)
        if node:
            # A stale copy on that node, which may hold the app's port, is replaced.
            there = [copy.name for copy in copies if copy.node == node]
            container = base_name if current is None else f"{base_name}.{self.generation}"
            return Placement(node, there[0] if there else container, self.generation, spec=instance.spec)
        if current is None or not at_home:
            self.reasons[name] = reason
        elif leaves:
            self.reasons[name] = f"cannot leave {current.node}: {reason}"
        elif _turned_away(current, instance, self._fleet) and not any(copy.node == current.node for copy in copies):
            # Nothing of it is anywhere: it waits without a place until a node takes it.
            self._held.get(current.node, {}).pop(name, None)
            self._load.leave(self._kept.pop(name).node, instance.app)
            self.reasons[name] = reason
        return None

    def update(self, instance: Instance, base_name: str) -> None:
        """Note that it should run another spec from now on: beside its present container where its app starts first, else in
        place. Where no node has room for both, and on a node that does not answer, nothing changes."""
        here = self._kept[instance.name]
        if here.spec == instance.spec or self._fleet.views.get(here.node) is None:
            return
        mine = _copy_at(here, instance.name, self._fleet)
        right = mine is not None and runs_as(instance.app, mine.spec, mine.manifest)
        if not (right or self._clear):
            return
        serves = mine is not None and mine.running and not right
        if not (here.spec and serves and starts_first(instance.app)):
            self._kept[instance.name] = replace(here, spec=instance.spec)
            return
        # Beside its own old container it is no further instance of its app.
        self._load.leave(here.node, instance.app)
        beside = replace(instance, bound=instance.bound or here.node) if unit_of(instance.app) else instance
        node, reason = spread(beside, self._fleet, self._load, self.generation, here.node)
        self._load.back(here.node, instance.app)
        stays = here.node not in self._fleet.draining or instance.data
        if not node and here.node in self._fleet.cordoned and stays:
            # A cordon keeps new instances away, and this one is there already.
            node = here.node
        if node:
            self.settle(instance.name, Placement(node, f"{base_name}.{self.generation}", self.generation, spec=instance.spec))
        else:
            self.reasons[instance.name] = f"{NO_ROOM}{reason}"

    def settle(self, name: str, chosen: Placement) -> None:
        app = self._instances[name].app
        if name in self._kept:
            self._load.leave(self._kept[name].node, app)
            self._held.get(self._kept[name].node, {}).pop(name, None)
        self._kept[name] = chosen
        self._load.add(chosen.node, app)
        self._hold(name)
        self.generation = max(self.generation, chosen.generation) + 1


def _may_leave(instance: Instance, place: Placement, fleet: Fleet) -> bool:
    """A silent node's apps count as running there, also where they should leave it."""
    return fleet.repels(place.node, instance) and fleet.views.get(place.node) is not None


def _on_its_way(instance: Instance, place: Placement, fleet: Fleet) -> bool:
    """Whether it has left a node that it should leave and does not run at its new place yet."""
    return (
        not fleet.repels(place.node, instance)
        and any(fleet.repels(copy.node, instance) for copy in fleet.copies.get(instance.name, ()))
        and not _runs(instance.name, place, fleet)
    )


def _in_place(instance: Instance, current: Placement, fleet: Fleet) -> Placement | None:
    """Over the copy that the node has under another name, when there is none under the placed one: it may hold the
    port that the app wants, and would go only once the placed one runs. A port that the engine chooses is held by nobody."""
    there = [copy.name for copy in fleet.copies.get(instance.name, ()) if copy.node == current.node]
    if not host_ports(instance.app) or not there or current.container in there:
        return None
    return replace(current, container=there[0])


def _turned_away(place: Placement, instance: Instance, fleet: Fleet) -> bool:
    """Whether the app's node refuses it as it should run now. What runs there like that stays, and one that has a copy there has
    found its space. An old copy of another spec serves until the new one is ready elsewhere."""
    if fleet.views.get(place.node) is None:
        return False
    there = [copy for copy in fleet.copies.get(instance.name, ()) if copy.node == place.node]
    right = any(copy.state in ALIVE and runs_as(instance.app, copy.spec, copy.manifest) for copy in there)
    return (fleet.refusal(place.node, instance) is not None and not right) or (place.node in fleet.full and not there)


def _runs(name: str, place: Placement, fleet: Fleet) -> bool:
    mine = _copy_at(place, name, fleet)
    return mine is not None and mine.running


def _copy_at(place: Placement, name: str, fleet: Fleet) -> Container | None:
    """The container of an instance at its place."""
    return copy_at(place, fleet.copies.get(name, ()))
