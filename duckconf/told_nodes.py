"""The nodes as `GET /nodes` of the api-server tells of them, as rooms for instances. Pure. Scheduler and tasks read them here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from duckconf.facts import facts_from_json
from duckconf.ports import parse_held
from duckconf.refusal import Refusal, by_node, refusal_from_json, with_siblings
from duckconf.spreading import FULL, Given, Room

READY = "ready"


def rooms_of(nodes: Sequence[Mapping[str, Any]]) -> tuple[list[Room], Counter[str]]:
    """Those that are ready, have space and are not cordoned may get instances; the others are counted, by why."""
    rooms: list[Room] = []
    known = {str(node["name"]): facts_from_json(node) for node in nodes}
    refusals = by_node(with_siblings(_refusals(nodes), known))
    misfits: Counter[str] = Counter()
    for node in nodes:
        if node["cordoned"]:
            misfits["cordoned"] += 1
        elif node["status"] != READY:
            misfits[str(node["status"])] += 1
        elif node["full"]:
            misfits[FULL] += 1
        else:
            name = str(node["name"])
            rooms.append(Room(name, int(node["apps"]), _given(node), refusals.get(name, {}), known[name]))
    return rooms, misfits


def _given(node: Mapping[str, Any]) -> Given:
    reserved = node.get("reserved", {})
    ports = [parse_held(text) for text in node.get("ports", ())]
    return Given(ports, float(reserved.get("cpus", 0)), int(reserved.get("memory", 0)))


def _refusals(nodes: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Refusal]:
    """What the nodes' agents said that their engines refuse for now."""
    told = [refusal_from_json(str(node["name"]), entry, 0.0) for node in nodes for entry in node.get("refusals", ())]
    return {(refusal.node, refusal.app): refusal for refusal in told}
