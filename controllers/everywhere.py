"""The scheduler's part in apps of mode global: which nodes get an instance, and which lose theirs. Pure.

The state has the node of each slot, which is the memory of it. A node that is not ready, or has no room, gets its instance later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from controllers.schedule import Schedule
from duckconf.globally import slots, wanted_nodes
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
            if slot not in before and (why := _unfit(app, rows[node], rooms.get(node), sites)):
                unfit.append(why)
            elif slot not in before:
                rooms[node].given.add(app)
                changes[slot] = node
        told = {"name": app.name, "revision": str(entry["revision"])}
        bindings += [{**told, "slot": slot, "node": node} for slot, node in sorted(changes.items())]
        if unfit or not found:
            reasons[app.name] = "; ".join(unfit) or no_fit(_closed_to(app, rows, sites))
    return Schedule(tuple(bindings), reasons)


def _unfit(app: App, row: Mapping[str, Any], room: Room | None, sites: Sites) -> str:
    node = str(row["name"])
    if room is None:
        return bound_unfit(node, [_why_shut(row)], {})
    if refusal := room.refuses(app):
        return bound_unfit(node, (), {node: refusal})
    why = lacks(app, node, room.facts, room.given, 0, sites)
    return bound_unfit(node, [why], {}) if why else ""


def _why_shut(row: Mapping[str, Any]) -> str:
    return "cordoned" if row["cordoned"] else str(row["status"]) if row["status"] != READY else FULL


def _closed_to(app: App, rows: Mapping[str, Mapping[str, Any]], sites: Sites) -> Counter[str]:
    return Counter("cordoned" if sites.allows(app, node) else f"not in {app.on}" for node in rows)
