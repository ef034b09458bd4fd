"""The scheduler's part in what is bound to nodes: apps of mode global, and instances with data. Pure.

The state has the node of each slot, which is the memory of it. A node that is not ready, or has no room, gets its instance later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from controllers.schedule import Schedule
from duckconf.globally import slots, wanted_nodes
from duckconf.instance import Instance
from duckconf.local_data import waits
from duckconf.model import App, parse_app
from duckconf.sites import NOWHERE, Sites
from duckconf.spreading import FULL, Room, bound_unfit, lacks, no_fit
from duckconf.told_nodes import READY, rooms_of

# Of an app as `GET /apps?nodeName=` tells of it, beside its fields.
TOLD = ("revision", "slots")


def schedule_everywhere(
    entries: Sequence[Mapping[str, Any]], nodes: Sequence[Mapping[str, Any]], sites: Sites = NOWHERE
) -> Schedule:
    """`entries` are the apps of mode global, each with the node of each slot; `nodes` are rows of `GET /nodes`. The reasons are
    by app. Raises BadInput, KeyError or ValueError for what is none."""
    rooms = {room.node: room for room in rooms_of(nodes)[0]}
    rooms = {node: replace(room, given=replace(room.given, ports=list(room.given.ports))) for node, room in rooms.items()}
    rows = {str(row["name"]): row for row in nodes}
    closed = {name for name, row in rows.items() if row["cordoned"]}
    bindings: list[dict[str, Any]] = []
    reasons: dict[str, str] = {}
    for entry in sorted(entries, key=lambda told: str(told["name"])):
        app = parse_app({key: value for key, value in entry.items() if key not in TOLD}, placed=True)
        before = {int(slot): str(node) for slot, node in entry["slots"].items()}
        found = slots(wanted_nodes(app, tuple(rows), sites, closed, set(before.values())), before)
        changes = {slot: "" for slot in before if slot not in found}
        unfit: list[str] = []
        for slot, node in found.items():
            if slot not in before and (why := unfit_for(app, rows[node], rooms.get(node), sites)):
                unfit.append(bound_unfit(node, [why], {}))
            elif slot not in before:
                rooms[node].given.add(app)
                changes[slot] = node
        told = {"name": app.name, "revision": str(entry["revision"])}
        bindings += [{**told, "slot": slot, "node": node} for slot, node in sorted(changes.items())]
        if unfit or not found:
            reasons[app.name] = "; ".join(unfit) or no_fit(_closed_to(app, rows, sites))
    return Schedule(tuple(bindings), reasons)


def unfit_for(app: App, row: Mapping[str, Any] | None, room: Room | None, sites: Sites) -> str:
    """Why the node of this row, which may be no node any more, does not fit; "" when it does."""
    if row is None:
        return "not in the inventory"
    if room is None:
        return _why_shut(row)
    refusal = room.refuses(app)
    return f"it refuses it: {refusal}" if refusal else lacks(app, room.node, room.facts, room.given, 0, sites)


def schedule_bound(
    instances: Sequence[Instance], nodes: Sequence[Mapping[str, Any]], revisions: Mapping[str, str], sites: Sites = NOWHERE
) -> Schedule:
    """Instances that have data on a node, or the others of their stack, go there or wait for it."""
    rooms, rows = {room.node: room for room in rooms_of(nodes)[0]}, {str(row["name"]): row for row in nodes}
    bindings: list[dict[str, Any]] = []
    reasons: dict[str, str] = {}
    for one in sorted(instances, key=lambda instance: (instance.app.name, instance.slot)):
        why = unfit_for(one.app, rows.get(one.bound), rooms.get(one.bound), sites)
        if why:
            reasons[one.name] = waits(one, why) if one.data else bound_unfit(one.bound, [why], {})
        else:
            rooms[one.bound].given.add(one.app)
            told = {"name": one.app.name, "slot": one.slot, "node": one.bound}
            bindings.append({**told, "revision": revisions.get(one.app.name, "")})
    return Schedule(tuple(bindings), reasons)


def _why_shut(row: Mapping[str, Any]) -> str:
    return "cordoned" if row["cordoned"] else str(row["status"]) if row["status"] != READY else FULL


def _closed_to(app: App, rows: Mapping[str, Mapping[str, Any]], sites: Sites) -> Counter[str]:
    return Counter("cordoned" if sites.allows(app, node) else f"not in {app.on}" for node in rows)
