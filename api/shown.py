"""How the API shows an app in agents mode: what is declared, and what the nodes last reported of its instances."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from api import everywhere
from api.declared import as_a_whole
from api.stores.nodes import READY, UNREADABLE, NodeBook, Seen
from api.stores.placed import PlacedIndex
from duckconf import codec
from duckconf.codec import to_json
from duckconf.instance import Instance
from duckconf.local_data import kept, shown, waits
from duckconf.model import PLACEMENT, App
from duckconf.overview import PENDING, UNDECIDED
from duckconf.pins import digest_of
from duckconf.place_kinds import GLOBAL
from duckconf.restart import recorded, why_over


def shown_app(app: App, index: PlacedIndex, nodes: NodeBook) -> dict[str, Any]:
    """The app with what the nodes last reported of its instances."""
    spec = {name: value for name, value in to_json(app).items() if name not in PLACEMENT}
    present = codec.spec_hash(index.resolve(app))
    instances = [_instance(instance, present, index, nodes) for instance in index.instances(app.name)]
    instances += everywhere.waiting(app, index, nodes) if app.mode == GLOBAL else []
    entry = {"name": app.name, **spec, "revision": codec.revision(app), **as_a_whole(instances)}
    return entry | ({"rollout": rollout} if (rollout := index.updates.get(app.name)) else {})


def _waiting(instance: Instance, present: str, index: PlacedIndex) -> dict[str, Any]:
    """Of an instance without a place, with the container that serves until it has one."""
    why, serves = index.notes.get(instance.name, UNDECIDED), index.serving(instance)
    if serves is None:
        return {"status": PENDING, "note": why}
    node, seen = serves
    note = f"{why}; its container on {node} runs on until it has another place"
    return {"status": PENDING, "note": note, "serves": node, **_observed(instance, seen, present, index)}


def _observed(instance: Instance, seen: Seen, present: str, index: PlacedIndex) -> dict[str, Any]:
    """What its node tells of a container, whatever its state is."""
    entry = {"container": seen.container, "started": seen.started, "restarts": seen.restarts}
    entry |= {"ready": seen.ready, "updated": seen.spec == present, "image_id": seen.image_id}
    entry |= {"image": _image_of(instance, seen, index)}
    entry |= {"digest": digest_of(index.past(instance.app.name), seen.image_id)} if seen.image_id else {}
    entry |= {"published": list(seen.ports)} if seen.ports else {}
    return entry | ({"health": seen.health} if seen.health else {})


def _image_of(instance: Instance, seen: Seen, index: PlacedIndex) -> str:
    """As its revision names it; as the engine does where that is not known any more."""
    if seen.spec == instance.spec:
        return instance.app.image
    past = index.past(instance.app.name)
    return next((item.app.image for item in past if item.spec == seen.spec), seen.image)


def _instance(instance: Instance, present: str, index: PlacedIndex, nodes: NodeBook) -> dict[str, Any]:
    """`present` is the hash of the spec that the app has now."""
    node, seen = instance.node, index.seen(instance)
    entry: dict[str, Any] = {"slot": instance.slot, "node": node}
    entry |= {"generation": instance.generation} if instance.generation else {}
    there = {"container": seen.container} if seen is not None else {}
    end = recorded(instance.app, instance.ended)
    if end is not None and not (seen is not None and seen.running):
        why = {"note": why_over(instance.app, end)} if end.code else {}
        return entry | {"status": end.state, "restarts": end.restarts, **there, **why}
    if not node:
        return entry | _waiting(instance, present, index)
    held = index.data.of(instance)
    bound = replace(instance, bound=node, data=shown(held.sources)) if held is not None else None
    if node not in nodes.nodes:
        note = waits(bound, "not in the inventory") if bound else f"{node} is not in the inventory"
        return entry | {"status": "lost", "note": note}
    status = nodes.status(node)
    if status == UNREADABLE:
        note = f"{node} answers, but its answer cannot be read: {nodes.nodes[node].unreadable}"
        return entry | {"status": "unreadable", "note": note, **there}
    if status != READY:
        silent = f"no heartbeat for {nodes.age(node):.0f} s"
        return entry | {"status": "unreachable", "note": waits(bound, silent) if bound else f"{node}: {silent}", **there}
    refusal = nodes.refusal(node, instance.app) if nodes.nodes[node].refusals else None
    if refusal is not None and (seen is None or not seen.running):
        entry["refused"] = refusal.reason
    if seen is None:
        return entry | {"status": "starting", **({"note": f"{node} refuses it: {refusal.reason}"} if refusal else {})}
    entry |= {"status": seen.state, **_observed(instance, seen, present, index)}
    if not index.sites.allows(instance.app, node):
        if held is not None:
            return entry | {"note": kept(instance, node, shown(held.sources), "NODE")}
        return entry | {"note": f"{node} is not in {instance.app.on}; {index.notes.get(instance.name, 'it moves')}"}
    return entry | ({"note": seen.note} if seen.note else {})
