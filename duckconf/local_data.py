"""Which data of an app lies on a node, and which node an instance is bound to by it. Pure; used by the loop and by agents mode.

A named volume and a path of the node that may be written bind an instance to the node where it first ran: anywhere else it would
start empty. A path that is only read, and memory (tmpfs), bind nothing. Only a person may accept the loss (`./inv move`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.errors import BadInput, Conflict, Fault
from duckconf.fleet_seen import NEVER_RAN, Fleet, Placement
from duckconf.instance import Instance
from duckconf.model import App
from duckconf.naming import app_of
from duckconf.place_kinds import GLOBAL


@dataclass(frozen=True)
class Held:
    """The data of an instance: the volumes and paths that it has on `node`. `move` is the number of the last request to move it
    that has been carried out. `seen` is false where it was only placed there before the node fell silent: it may have run."""

    node: str
    sources: tuple[str, ...]
    move: int = 0
    seen: bool = True


@dataclass(frozen=True)
class Move:
    """A person accepts the loss of what an instance has on `source`: it runs on `target` from now on, "" for any node. A higher
    number is a later request."""

    source: str
    target: str = ""
    number: int = 1


def sources_of(app: App) -> tuple[str, ...]:
    """The volumes and paths of a node that have data of the app."""
    return tuple(source for volume in app.volumes if (source := _source(volume)))


def binding(app: App) -> tuple[str, ...]:
    """Those that bind an instance: one of mode global has the data of its own node anyway."""
    return sources_of(app) if app.volumes and app.mode != GLOBAL else ()


def held_by(instance: Instance, held: Mapping[str, Held]) -> Held | None:
    """What the instance has on a node; None for data of something else that had its name."""
    found = held.get(instance.name)
    return found if found is not None and set(found.sources) & set(binding(instance.app)) else None


def _source(volume: str) -> str:
    source, _, rest = volume.partition(":")
    read_only = "ro" in rest.rpartition(":")[2].split(",")
    return "" if source.startswith("/") and read_only else source


def shown(sources: Sequence[str]) -> str:
    return ", ".join(f"path {source}" if source.startswith("/") else f"volume {source}" for source in sources)


def waits(instance: Instance, *why: str) -> str:
    """What an instance that is bound by its data waits for, and the command that accepts the loss."""
    what = f"waits for {instance.bound}, which has its data ({instance.data}): {', '.join(why)}"
    return f"{what}; to start it elsewhere without the data: ./inv move {instance.name} --accept-data-loss"


def kept(instance: Instance, node: str, data: str, to: str = "") -> str:
    """Why an instance stays on a node that its app's pattern does not mean. `to` is the node that `move` needs, if any."""
    target = f" --to {to}" if to else ""
    loss = f"to start it elsewhere without the data: ./inv move {instance.name}{target} --accept-data-loss"
    return f"{node} is not in {instance.app.on}, and has its data ({data}), so that it stays there; {loss}"


def with_data(
    desired: Desired,
    fleet: Fleet,
    placements: Mapping[str, Placement],
    held: Mapping[str, Held],
    moves: Mapping[str, Move],
) -> tuple[Desired, dict[str, Held]]:
    """The desired state with each instance that has data bound to the node of it, and what is to be remembered. Data is
    remembered also while its app is stopped, as long as its node is in the inventory."""
    instances, now = dict(desired.instances), _seen_meanwhile(desired, fleet, held)
    for name, instance in desired.instances.items():
        sources = binding(instance.app)
        if not sources:
            continue
        before, move = held_by(instance, held), moves.get(name)
        if before is not None and move is not None and is_moving(before, move):
            instances[name] = replace(instance, bound=move.target, leaves=move.source)
            place = placements.get(name)
            if place is not None and _is_carried_out(move, place, fleet.copies.get(name, ())):
                now[name] = Held(place.node, sources, move.number)
            continue
        node, seen = _home(before, placements.get(name), fleet.copies.get(name, ()), fleet)
        if node:
            now[name] = Held(node, sources, before.move if before else move.number if move else 0, seen)
            instances[name] = replace(instance, bound=node, data=shown(sources))
        elif before is not None:
            del now[name]
    return replace(desired, instances=instances), without_gone(now, desired, fleet.nodes)


def _seen_meanwhile(desired: Desired, fleet: Fleet, held: Mapping[str, Held]) -> dict[str, Held]:
    """An app that is stopped, or whose row cannot be read, may be without its container when it is declared again: what was
    only believed of it is seen while the container is there."""
    others = {name: data for name, data in held.items() if not data.seen and name not in desired.instances}
    seen = {name: replace(data, seen=True) for name, data in others.items() if _has_run(fleet.copies.get(name, ()), data.node)}
    return {**held, **seen}


def without_gone(held: Mapping[str, Held], desired: Desired, nodes: Collection[str]) -> dict[str, Held]:
    """Without the data of withdrawn apps on nodes that have left the inventory."""
    declared = {*map(app_of, (*desired.instances, *desired.kept)), *desired.empty, *desired.everywhere, *desired.unreadable}
    return {name: data for name, data in held.items() if not desired.complete or app_of(name) in declared or data.node in nodes}


def check_move(name: str, held: Held, to: str, nodes: Sequence[str], *, accepted: bool) -> None:
    """Raises BadInput for a node that there is not, Conflict for what a person has to decide first."""
    if to and to not in nodes:
        raise BadInput(Fault("to", f"should be a node: {', '.join(nodes)}; got {to}"))
    if to == held.node:
        raise Conflict(f"{name} has its data on {to} already", "name another node, or none to let placement choose")
    if not set(nodes) - {held.node}:
        raise Conflict(f"{name} cannot leave {held.node}: it is the only node", "add another one first: ./inv add-node")
    if not accepted:
        what = f"{name} has its data ({shown(held.sources)}) on {held.node}, and starts without it anywhere else"
        target = f" --to {to}" if to else ""
        raise Conflict(
            what, f"copy the data first if it is needed; to accept the loss: ./inv move {name}{target} --accept-data-loss"
        )


def why_it_keeps(instance: Instance, node: str, held: Mapping[str, Held]) -> str:
    """Why an instance that has data elsewhere is not placed on this node, "" when it may be."""
    data = held_by(instance, held) if node and instance.app.volumes else None
    if data is None or data.node == node:
        return ""
    return f"{instance.name} has its data ({shown(data.sources)}) on {data.node}, and would start without it on {node}"


def is_moving(held: Held, move: Move | None) -> bool:
    """Whether a person accepted the loss of this data, and the instance does not run elsewhere yet."""
    return move is not None and move.number > held.move and move.source == held.node


def _is_carried_out(move: Move, place: Placement, copies: Sequence[Container]) -> bool:
    """Whether the instance has run where the move has placed it. A copy on any other node is one that an earlier move left."""
    ran = any(copy.node == place.node and copy.state not in NEVER_RAN for copy in copies)
    return place.node != move.source and move.target in ("", place.node) and ran


def _home(before: Held | None, place: Placement | None, copies: Sequence[Container], fleet: Fleet) -> tuple[str, bool]:
    """The node that has the data of the instance, and whether it was seen to have run: where it is remembered or placed, if a
    container of it is there or nothing is seen of the node, or else where its newest container is; "" when it never ran. What was
    only believed of a node does not count any more when the node answers."""
    if before is not None and before.seen:
        return before.node, True
    believed = before.node if before is not None else place.node if place is not None else ""
    if believed and _has_run(copies, believed):
        return believed, True
    if believed and fleet.views.get(believed) is None:
        return believed, False
    ran = [copy for copy in copies if copy.state not in NEVER_RAN]
    return (max(ran, key=lambda copy: (copy.running, copy.generation, copy.name)).node, True) if ran else ("", False)


def _has_run(copies: Sequence[Container], node: str) -> bool:
    return any(copy.node == node and copy.state not in NEVER_RAN for copy in copies)


def held_to_json(held: Mapping[str, Held]) -> dict[str, Any]:
    return {
        name: [data.node, list(data.sources), data.move, *([] if data.seen else [False])] for name, data in sorted(held.items())
    }


def held_from_json(content: Any) -> dict[str, Held]:
    """Raises ValueError, TypeError or AttributeError for what is none."""
    return {
        str(name): Held(str(node), tuple(str(source) for source in sources), int(move), all(seen))
        for name, (node, sources, move, *seen) in content.items()
    }
