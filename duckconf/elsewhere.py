"""Why an instance is where it is, and which other nodes could take it. Pure, for `explain`; nothing is decided by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from duckconf.desired import Desired
from duckconf.fleet_seen import Fleet, Placement
from duckconf.instance import Instance
from duckconf.local_data import Held, held_by, shown
from duckconf.place_kinds import GLOBAL
from duckconf.placement import Load, why_not
from duckconf.together import unit_of, with_unit


@dataclass(frozen=True)
class Place:
    """`reasons` are sentences; `others` has the reason of every other node that cannot take it, "" for one that can."""

    node: str = ""
    reasons: tuple[str, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)
    bound: bool = False
    """Whether it has data that lies on one node."""


def places(
    desired: Desired, fleet: Fleet, placements: Mapping[str, Placement], data: Mapping[str, Held], app: str
) -> dict[str, Place]:
    """Of the instances of an app."""
    load = Load(fleet.sites)
    kept = {name: place for name, place in placements.items() if name in desired.instances and not place.end}
    for name, place in kept.items():
        load.add(place.node, desired.instances[name].app)
    mine = {name: one for name, one in desired.instances.items() if one.app.name == app}
    return {name: _place(one, desired, fleet, kept, load, held_by(one, data)) for name, one in mine.items()}


def _place(one: Instance, desired: Desired, fleet: Fleet, kept: Mapping[str, Placement], load: Load, held: Held | None) -> Place:
    here = kept[one.name].node if one.name in kept else ""
    others = {node: "" for node in fleet.nodes if node != here}
    # Of itself it is no further instance.
    if here:
        load.leave(here, one.app)
    seeker, needs = with_unit(replace(one, bound=""), desired.instances, kept, fleet)
    for node in others:
        elsewhere = f"its data is on {held.node}" if held is not None and node != held.node else ""
        unit = f"its stack is on {seeker.bound}" if seeker.bound and node != seeker.bound else ""
        others[node] = elsewhere or unit or why_not(node, replace(one, bound=""), fleet, load, needs)
    if here:
        load.back(here, one.app)
    return Place(here, tuple(_reasons(one, here, fleet, held, seeker.bound)), others, held is not None)


def _reasons(one: Instance, here: str, fleet: Fleet, held: Held | None, unit: str) -> list[str]:
    app = one.app
    found = []
    if app.on:
        nodes = sorted(fleet.sites.meant(app.on))
        found.append(f"{app.name} runs on {app.on} only: {', '.join(nodes) or 'no node'}.")
    if held is not None:
        found.append(f"Its data ({shown(held.sources)}) is on {held.node}, and it starts nowhere else without it.")
    elif app.mode == GLOBAL:
        found.append(f"{app.name} has one instance on every node that it may run on.")
    elif unit:
        found.append(f"It shares the network of {unit_of(app)}, and all that do so run on one node: {unit}.")
    elif here:
        zones = "the zone, and in it " if len(set(fleet.sites.zones.values())) > 1 else ""
        fewest = f"the fewest instances of {app.name}, then the fewest in all" if app.replicas > 1 else "the fewest instances"
        found.append(
            f"Placement took {zones}the node with {fewest}; it stays there until the node is lost, drained or refuses it."
        )
    return found
