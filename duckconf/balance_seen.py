"""What the control loop sees of its cluster, put before the decision on a rebalance, and what that means for placements. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.fleet_seen import ALIVE, copy_at
from duckconf.healthcheck import UNHEALTHY
from duckconf.instance import Instance
from duckconf.placement import Assignment, Fleet, Placement
from duckconf.readiness import Readiness
from duckconf.rebalancing import AUTO, MANUAL, Progress, Sight, Turn, with_nodes
from duckconf.refusal import by_node
from duckconf.rollout import History, last_good
from duckconf.spreading import Given, Room

if TYPE_CHECKING:
    from duckconf.decision import Memory


@dataclass(frozen=True)
class Wish:
    """The number of the last request, whether the loop may rebalance by itself, and how far it is."""

    asked: int = 0
    mode: str = MANUAL
    progress: Progress = field(default_factory=Progress)
    preview: bool = False
    """Whether somebody wants to know what would move."""

    @property
    def due(self) -> bool:
        """Whether it matters what may move."""
        progress = self.progress
        return self.preview or self.asked > progress.done or bool(progress.owed or progress.moving)


def followed(wish: Wish, fleet: Fleet) -> Wish:
    """The wish with what the nodes say: one that returns or joins may be reason enough."""
    if wish.mode != AUTO:
        return wish
    nodes = Sight(rooms=_rooms((), fleet), away=_away(fleet))
    return replace(wish, progress=with_nodes(wish.progress, wish.mode, nodes))


def sight(
    desired: Desired,
    fleet: Fleet,
    placements: Mapping[str, Placement],
    memory: Memory,
    history: Mapping[str, History],
    ready: Collection[tuple[str, str]],
    held: Collection[str],
    readiness: Readiness,
) -> Sight:
    """`desired` has the spec that each instance runs now, `placements` where they belong, but for jobs that are over; what is
    `held` may not be started now."""
    wanted = {name: instance for name, instance in desired.instances.items() if name in placements}
    instances = [replace(instance, node=placements[name].node) for name, instance in wanted.items()]
    mine = {name: copy_at(placements[name], fleet.copies.get(name, ())) for name in wanted}
    settled = {
        name
        for name, copy in mine.items()
        if copy is not None and (copy.node, copy.name) in ready and len(fleet.copies[name]) == 1 and name not in memory.busy
    }
    failed = {name for name, copy in mine.items() if copy is not None and _has_failed(copy)}
    moving = memory.rebalance.progress.moving if memory.rebalance is not None else ()
    failed |= {name for name in moving if name in wanted and _is_late(wanted[name], readiness)}
    waits = next(_why_not_now(desired, wanted, mine, fleet, memory, history, ready, held), "")
    tries = {name: past.strikes for name, past in memory.tries.items()}
    away, rooms = _away(fleet), _rooms(instances, fleet)
    unsafe = next(_why_unsafe(instances, fleet), "")
    return Sight(instances, settled, rooms, fleet.sites, tries, failed, held, away, waits, unsafe)


def relocated(assignment: Assignment, turn: Turn, base_name: Mapping[str, str], fleet: Fleet, generation: int) -> Assignment:
    """The placements with the moves that begin now, and with what returns to where it came from."""
    placements = dict(assignment.placements)
    targets = {**{move.name: move.target for move in turn.moves}, **turn.back}
    for number, (name, node) in enumerate(targets.items(), generation):
        # What is there goes on, or is replaced.
        there = [copy.name for copy in fleet.copies.get(name, ()) if copy.node == node]
        container = there[0] if there else f"{base_name[name]}.{number}"
        placements[name] = replace(placements[name], node=node, container=container, generation=number)
    stops = frozenset(move.name for move in turn.moves if not move.starts_first)
    return Assignment(placements, assignment.reasons, stops)


def _away(fleet: Fleet) -> set[str]:
    silent = (node for node in fleet.nodes if fleet.views.get(node) is None and node not in fleet.lost)
    return {*fleet.full, *silent}


def _rooms(instances: Collection[Instance], fleet: Fleet) -> list[Room]:
    given: dict[str, Given] = {}
    for one in instances:
        given.setdefault(one.node, Given()).add(one.app)
    counts, refusals = Counter(one.node for one in instances), by_node(fleet.refusals)
    shut = {*fleet.cordoned, *fleet.draining, *fleet.full}
    return [
        Room(node, counts[node], given.get(node, Given()), refusals.get(node, {}), fleet.fact(node))
        for node in fleet.nodes
        if node not in shut and fleet.views.get(node) is not None
    ]


def _why_not_now(
    desired: Desired,
    wanted: Mapping[str, Instance],
    mine: Mapping[str, Container | None],
    fleet: Fleet,
    memory: Memory,
    history: Mapping[str, History],
    ready: Collection[tuple[str, str]],
    held: Collection[str],
) -> Iterator[str]:
    """Why nothing may move now, the first reason first."""
    if not memory.certain:
        yield "not all nodes have answered yet"
    if not desired.complete:
        yield "the desired state cannot be read as a whole"
    for name in sorted(memory.busy):
        yield f"an action on {name} is under way"
    for app, past in sorted(history.items()):
        if past and not past[-1].outcome and last_good(past) is not None and not _rests(app, wanted):
            yield f"{app} is being updated"
    for name in sorted(wanted):
        copy = mine[name]
        if copy is None or not copy.running or _has_failed(copy) or name in held:
            # It is held back, or waits for a person: nobody knows for how long.
            continue
        others = [other for other in fleet.copies.get(name, ()) if other is not copy]
        if others:
            yield f"{name} has another container on {others[0].node}"
        if (copy.node, copy.name) not in ready:
            yield f"{name} is not ready yet"


def _rests(app: str, wanted: Mapping[str, Instance]) -> bool:
    """Whether its update is paused, or it has no instance that could be updated."""
    return all(instance.app.paused for instance in wanted.values() if instance.app.name == app)


def _why_unsafe(instances: Collection[Instance], fleet: Fleet) -> Iterator[str]:
    for node in fleet.nodes:
        if fleet.views.get(node) is None:
            yield f"{node} does not answer"
    for node in fleet.nodes:
        if node in fleet.draining and any(one.node == node for one in instances):
            yield f"{node} is being drained"


def _is_late(instance: Instance, readiness: Readiness) -> bool:
    left = readiness.left(instance.name, instance.spec, instance.app)
    return left is not None and left <= 0


def _has_failed(copy: Container) -> bool:
    """It ended or does not serve; one that is held still by somebody has not."""
    return copy.health == UNHEALTHY if copy.running else copy.state not in ALIVE
