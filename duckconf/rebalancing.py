"""A rebalance as it goes on: from what was asked for, what is seen and what is under way follow the next moves. Pure.

Both modes decide here: the control loop and the scheduler put what they see into a `Sight`. The progress is kept by whoever
decides, so that any process may be killed at any time: the next one goes on with the move that is under way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from duckconf.counts import counted
from duckconf.events import Event
from duckconf.instance import Instance
from duckconf.json_values import text, whole
from duckconf.patterns import some_of
from duckconf.policies import policy_of
from duckconf.rebalance import UNEVEN, Move, moves, why_bound
from duckconf.sites import NOWHERE, Sites
from duckconf.spreading import Room

MANUAL = "manual"
AUTO = "auto"


@dataclass(frozen=True)
class Way:
    """An instance on its way from one node to another; `tries` are its starts before."""

    source: str
    target: str
    tries: int = 0


@dataclass(frozen=True)
class Progress:
    """`done` is the number of the last request that was carried out, `owed` why one is due without a request. `moving` are the
    instances on their way, `left` those that did not come up elsewhere: they stay until the rebalance is over. `known` are the
    nodes that could take instances, empty where nobody rebalances by itself. `waits` says why nothing moves now, and `result`
    what the last one came to: it is kept with `done`, so that nobody sees the end of a request without its words."""

    done: int = 0
    owed: str = ""
    moving: Mapping[str, Way] = field(default_factory=dict)
    left: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    waits: str = ""
    moved: int = 0
    result: str = ""

    def to_json(self) -> dict[str, Any]:
        moving = {name: [way.source, way.target, way.tries] for name, way in sorted(self.moving.items())}
        told = {"done": self.done, "owed": self.owed, "moving": moving, "left": list(self.left), "known": list(self.known)}
        return told | {"waits": self.waits, "moved": self.moved, "result": self.result}


def progress_from_json(data: Any) -> Progress:
    """Raises KeyError, TypeError, ValueError or AttributeError for something that is none."""
    moving = {name: Way(text(source), text(target), whole(tries)) for name, (source, target, tries) in data["moving"].items()}
    left, known = (tuple(map(text, _listed(data[key]))) for key in ("left", "known"))
    result, owed, waits = text(data.get("result", "")), text(data["owed"]), text(data["waits"])
    return Progress(whole(data["done"]), owed, moving, left, known, waits, whole(data["moved"]), result)


def _listed(value: Any) -> list[Any]:
    """Raises ValueError; text would be taken for its letters."""
    if not isinstance(value, list):
        raise ValueError(f"should be a list, got {value!r}")
    return value


@dataclass(frozen=True)
class Sight:
    """What is seen. `instances` are all that have a place, but for jobs that are over; those in `settled` are ready there, and
    nowhere else. `tries` are the starts of each, of `failed` ones the last was in vain, and `held` ones may not be started now.
    `rooms` are the nodes that may take an instance, `away` those that do not answer for now and may come back with what they
    have. `busy` says why nothing may move now, and `unsafe` why nothing may move without a person who asks for it."""

    instances: Sequence[Instance] = ()
    settled: Collection[str] = ()
    rooms: Sequence[Room] = ()
    sites: Sites = NOWHERE
    tries: Mapping[str, int] = field(default_factory=dict)
    failed: Collection[str] = ()
    held: Collection[str] = ()
    away: Collection[str] = ()
    busy: str = ""
    unsafe: str = ""

    def moves(self, left: Collection[str] = ()) -> Iterator[Move]:
        """What moves, one after the other, until the nodes are level or nothing may move."""
        stay = {one.name for one in self.instances if one.name not in self.settled} | {*self.held, *left}
        return moves(self.instances, self.rooms, self.sites, stay)


@dataclass(frozen=True)
class Turn:
    """What follows from one look: `moves` begin now, and instances in `back` return to the node that they came from."""

    progress: Progress
    moves: tuple[Move, ...] = ()
    back: Mapping[str, str] = field(default_factory=dict)
    events: tuple[Event, ...] = ()


def take_turn(progress: Progress, asked: int, mode: str, sight: Sight) -> Turn:
    """`asked` is the number of the last request; with the `mode` AUTO, a node that returns or joins is reason enough."""
    progress, back, events = _followed(progress, sight)
    progress = with_nodes(progress, mode, sight)
    if not (asked > progress.done or progress.owed):
        return Turn(replace(progress, waits=""), (), back, events)
    by_itself = asked <= progress.done
    returns = "; ".join(f"{name} returns to {node}" for name, node in sorted(back.items()))
    waits = returns or _on_their_way(progress) or sight.busy or (sight.unsafe if by_itself else "")
    if waits:
        return Turn(replace(progress, waits=waits), (), back, events)
    chosen = _next(sight, progress.left, 1 if by_itself else 0)
    if not chosen:
        result = _result(progress, sight)
        if progress.moved or not by_itself:
            events += (Event("balanced", result),)
        return Turn(replace(progress, done=asked, owed="", left=(), waits="", moved=0, result=result), (), back, events)
    begun = {move.name: Way(move.source, move.target, sight.tries.get(move.name, 0)) for move in chosen}
    events += tuple(
        Event("rebalancing", f"{move.name} {move.source} → {move.target}: {move.reason}", move.instance.app.name, move.target)
        for move in chosen
    )
    moving = {**progress.moving, **begun}
    return Turn(replace(progress, moving=moving, waits=""), chosen, back, events)


def uneven(sight: Sight) -> list[dict[str, Any]]:
    """The nodes that a rebalance would give instances to, with how many they run of all."""
    planned = list(sight.moves())
    counts = {room.node: room.instances for room in sight.rooms}
    of = sum(counts.values())
    return [{"node": node, "instances": counts[node], "of": of} for node in dict.fromkeys(move.target for move in planned)]


def bound(sight: Sight) -> dict[str, str]:
    """The instances that never move, with the reason, on nodes that have too many of them."""
    counts = {room.node: room.instances for room in sight.rooms}
    full = min(counts.values(), default=0) + UNEVEN
    return {one.name: why for one in sight.instances if counts.get(one.node, 0) >= full and (why := why_bound(one.app))}


def _followed(progress: Progress, sight: Sight) -> tuple[Progress, dict[str, str], tuple[Event, ...]]:
    """What became of the instances on their way. One that did not come up returns to where it came from."""
    placed = {one.name: one for one in sight.instances}
    moving, back, events, left = dict(progress.moving), {}, [], set(progress.left)
    for name, way in progress.moving.items():
        one = placed.get(name)
        tried = sight.tries.get(name, 0) > way.tries
        if one is None:
            del moving[name]
        elif one.node == way.target and name in sight.settled:
            del moving[name]
            events.append(Event("rebalanced", f"{name} {way.source} → {way.target}: it is ready", one.app.name, way.target))
        elif one.node != way.target or (name in sight.failed and tried):
            del moving[name]
            if one.node == way.target:
                back[name] = way.source
            if tried:
                left.add(name)
                words = f"{name} did not come up on {way.target} and returns to {way.source}"
                events.append(Event("rebalance-failed", words, one.app.name, way.target))
    done = sum(event.kind == "rebalanced" for event in events)
    now = replace(progress, moving=moving, left=tuple(sorted(left)), moved=progress.moved + done)
    return now, back, tuple(events)


def with_nodes(progress: Progress, mode: str, sight: Sight) -> Progress:
    """A node that could take no instances before, and can now, is a reason to rebalance. At the first look all are known."""
    if mode != AUTO:
        return replace(progress, known=(), owed="") if progress.known or progress.owed else progress
    open_now = [room.node for room in sight.rooms]
    new = [node for node in open_now if node not in progress.known] if progress.known else []
    known = tuple(sorted({*open_now, *(node for node in progress.known if node in sight.away)}))
    why = f"{some_of(new)} can take instances" if new else progress.owed
    return replace(progress, known=known, owed=why)


def _on_their_way(progress: Progress) -> str:
    return "; ".join(f"{name} is on its way to {way.target}" for name, way in sorted(progress.moving.items()))


def _next(sight: Sight, left: Collection[str], most: int) -> tuple[Move, ...]:
    """The first move, and with it others of the same app, as many as its updates replace at once; a `most` of 0 is no limit."""
    chosen: list[Move] = []
    for move in sight.moves(left):
        app = move.instance.app
        if chosen and (
            app.name != chosen[0].instance.app.name or len(chosen) >= policy_of(app.update_config, app.replicas).parallelism
        ):
            break
        chosen.append(move)
        if most and len(chosen) >= most:
            break
    return tuple(chosen)


def _result(progress: Progress, sight: Sight) -> str:
    counts = Counter({room.node: room.instances for room in sight.rooms})
    what = f"{counted(progress.moved, 'instance')} moved" if progress.moved else "nothing moved"
    now = ", ".join(f"{node} runs {count}" for node, count in counts.items()) if len(counts) < 8 else ""
    apart = max(counts.values(), default=0) - min(counts.values(), default=0)
    level = "the nodes are level" if apart < UNEVEN else f"the nodes differ by {apart}, and nothing else can move"
    return f"{what}: {level}" + (f" ({now})" if now else "")
