"""Apps of mode global in agents mode: what the scheduler is told of them, and the nodes that wait for their instance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api.stores.nodes import NodeBook
from api.stores.placed import PlacedIndex
from duckconf.codec import revision, to_json
from duckconf.globally import slots, wanted_nodes
from duckconf.instance import slots_of
from duckconf.model import PLACEMENT, App
from duckconf.overview import UNDECIDED


def told(index: PlacedIndex) -> Iterator[dict[str, Any]]:
    """Each app with the node of each slot."""
    for app in tuple(index.everywhere.values()):
        fields = {name: value for name, value in to_json(index.resolve(app)).items() if name not in PLACEMENT}
        yield {**fields, "revision": revision(app), "slots": {str(one.slot): one.node for one in slots_of(app)}}


def waiting(app: App, index: PlacedIndex, nodes: NodeBook) -> list[dict[str, Any]]:
    """The instances that the app should have and that have no place yet, as they are shown; one for an app that has none."""
    before = {one.slot: one.node for one in slots_of(app)}
    closed = {name for name, node in nodes.nodes.items() if node.cordoned}
    wanted = wanted_nodes(app, tuple(nodes.nodes), index.sites, closed, set(before.values()))
    missing = {slot: node for slot, node in slots(wanted, before).items() if slot not in before}
    note = index.notes.get(app.name, UNDECIDED)
    places = missing or ({} if before else {1: ""})
    return [{"slot": slot, "node": "", "status": "pending", "note": _about(node, note)} for slot, node in sorted(places.items())]


def _about(node: str, note: str) -> str:
    """The part of the scheduler's reason that is about this node."""
    return next((part for part in note.split("; ") if node and part.startswith(f"{node} ")), note)
