"""Instances that find each other by name run on one node: those whose `network_mode` is a stack's. Pure.

The first of them that has a place decides; one that has data on a node decides before the others. Where none has a place, they go
where all of them fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from duckconf.instance import Instance
from duckconf.model import App
from duckconf.naming import STACK_MODE
from duckconf.shared_network import owner_of
from duckconf.sizes import size_in_bytes

if TYPE_CHECKING:
    # What it reads of the nodes comes after the engine's command lines, which ask for an app's stack.
    from duckconf.fleet_seen import Fleet, Placement


def unit_of(app: App) -> str:
    """The stack whose network the app is in, or shares by another app; "" for one that runs wherever it fits."""
    if owner_of(app):
        return app.stack
    return app.network_mode[len(STACK_MODE) :] if app.network_mode.startswith(STACK_MODE) else ""


def members(unit: str, instances: Iterable[Instance]) -> list[Instance]:
    return [one for one in instances if unit_of(one.app) == unit] if unit else []


def anchor(instance: Instance, others: Iterable[Instance], nodes: Mapping[str, str]) -> str:
    """The node where the others of its unit are, "" where none has a place. `nodes` are the places that count, by instance."""
    unit = sorted(members(unit_of(instance.app), others), key=lambda one: (not one.data, one.app.name, one.slot))
    bound = next((one.bound for one in unit if one.data and one.name != instance.name), "")
    return bound or next((nodes[one.name] for one in unit if one.name != instance.name and one.name in nodes), "")


def gathered(instances: Mapping[str, Instance], kept: Mapping[str, Placement], fleet: Fleet) -> Mapping[str, Instance]:
    """The instances with those of each unit bound to one node, where they are on several, as after services that ran apart were
    put into one network: the others leave theirs, one at a time. Where two have data on different nodes, all stay. A job that is
    done has no part in it."""
    units: dict[str, list[Instance]] = {}
    for name, one in instances.items():
        if unit_of(one.app) and name in kept and not kept[name].end:
            units.setdefault(unit_of(one.app), []).append(one)
    if not units:
        return instances
    found = dict(instances)
    for unit in units.values():
        home = home_of(unit, {one.name: kept[one.name].node for one in unit if _may_stay(one, kept[one.name].node, fleet)})
        for one in unit if home and fleet.views.get(home) is not None else ():
            if not (one.bound or one.leaves):
                seen = [kept[one.name].node, *(copy.node for copy in fleet.copies.get(one.name, ()))]
                found[one.name] = replace(one, bound=home, leaves=next((node for node in seen if node != home), ""))
    return found


def home_of(unit: Iterable[Instance], nodes: Mapping[str, str]) -> str:
    """The node where all of a unit belong, "" where it has one place already or no common one."""
    members = sorted(unit, key=lambda one: (one.app.name, one.slot))
    data = {one.bound for one in members if one.data}
    if len(data) > 1 or len(members) < 2:
        return ""
    return next(iter(data), "") or next((nodes[one.name] for one in members if one.name in nodes), "")


def _may_stay(one: Instance, node: str, fleet: Fleet) -> bool:
    return node in fleet.nodes and node not in fleet.lost and not fleet.repels(node, one)


def with_unit(
    instance: Instance, instances: Mapping[str, Instance], kept: Mapping[str, Placement], fleet: Fleet
) -> tuple[Instance, App | None]:
    """Bound to where the others of its stack are and stay; where none has a place, with what all of them want of a node."""
    if not unit_of(instance.app) or instance.bound:
        return instance, None
    others = members(unit_of(instance.app), instances.values())
    open_nodes = set(fleet.nodes) - set(fleet.lost)
    placed = [(one, kept[one.name].node) for one in others if one.name in kept]
    node = anchor(instance, others, {one.name: at for one, at in placed if at in open_nodes and not fleet.repels(at, one)})
    return (replace(instance, bound=node), None) if node else (instance, needs_of_unit(instance, others))


def needs_of_unit(instance: Instance, others: Iterable[Instance]) -> App:
    """The app of the instance with what all of its unit want of a node: ports, and what is set aside."""
    unit = [one.app for one in members(unit_of(instance.app), others)]
    if len(unit) < 2:
        return instance.app
    memory = sum(size_in_bytes(app.reserve_memory) for app in unit)
    return replace(
        instance.app,
        ports=tuple(dict.fromkeys(port for app in unit for port in app.ports)),
        reserve_cpus=sum(app.reserve_cpus for app in unit),
        reserve_memory=str(memory) if memory else "",
    )
