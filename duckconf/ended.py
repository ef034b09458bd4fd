"""Which instances are over: their container has ended, and their restart policy leaves it at that. Pure.

The exited container is the memory of it. Where it cannot be seen, the record of the end that stands beside the placement is.
An instance that is over has no part in placement: it is not moved, not drained and not started elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from duckconf.backoff import Tries
from duckconf.codec import runs_as, spec_hash
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.instance import Instance
from duckconf.placement import ALIVE, Fleet, Placement
from duckconf.restart import End, policy_of, read_end, recorded, restarts, why_over


@dataclass(frozen=True)
class Over:
    """An instance that ended, where, and why it is not started again. `is_news` when nobody has a record of it yet; `keeps` is
    the container there that stays, "" for none."""

    place: Placement
    end: End
    why: str
    is_news: bool
    keeps: str


def ended(
    desired: Desired,
    fleet: Fleet,
    placements: Mapping[str, Placement],
    tries: Mapping[str, Tries],
    busy: Collection[str] = (),
) -> dict[str, Over]:
    """By instance. One that an action is under way for is not judged."""
    found: dict[str, Over] = {}
    for name, instance in desired.instances.items():
        if (instance.app.restart or instance.app.restart_policy) and name not in busy:
            over = _judge(instance, placements.get(name), fleet, tries.get(name))
            if over is not None:
                found[name] = over
    return found


def _judge(instance: Instance, place: Placement | None, fleet: Fleet, tries: Tries | None) -> Over | None:
    app, copies = instance.app, fleet.copies.get(instance.name, ())
    record = (place.end if place is not None else "") or instance.ended
    mine = next((copy for copy in copies if place is not None and (copy.node, copy.name) == (place.node, place.container)), None)
    right = mine is not None and runs_as(app, mine.spec, mine.manifest)
    if mine is not None and right:
        if mine.state in ALIVE:
            return None
        if (over := _over(instance, mine, place, _end_of(mine, instance, record, tries), record)) is not None:
            return over
    if (known := recorded(app, record)) is not None:
        # A command that came late may have put a container of another spec in place of the one that ended.
        where = replace(place or Placement(instance.node, "", instance.generation), end=record)
        return Over(where, known, why_over(app, known), is_news=False, keeps=where.container if mine is None or right else "")
    return _found(instance, copies, place, record, tries) if mine is None else None


def _found(
    instance: Instance, copies: Sequence[Container], place: Placement | None, record: str, tries: Tries | None
) -> Over | None:
    """By a copy that is not the placed one, of which there is none to be seen: the newest that ended, while none is alive."""
    if any(copy.state in ALIVE for copy in copies):
        return None
    for copy in sorted(copies, key=lambda copy: (copy.generation, copy.name), reverse=True):
        over = _over(instance, copy, place, _end_of(copy, instance, record, tries), record)
        if over is not None:
            return over
    return None


def _end_of(copy: Container, instance: Instance, record: str, tries: Tries | None) -> End | None:
    if copy.exit_code is None or not runs_as(instance.app, copy.spec, copy.manifest):
        return None
    before, spec = read_end(record), spec_hash(instance.app)
    known = before.restarts if before is not None and (before.spec, before.code) == (spec, copy.exit_code) else 0
    return End(spec, copy.exit_code, max(known, restarts(instance.app, tries)))


def _over(instance: Instance, copy: Container, place: Placement | None, end: End | None, record: str) -> Over | None:
    if end is None or not policy_of(instance.app).leaves(end):
        return None
    generation = max(copy.generation, place.generation if place is not None else instance.generation)
    where = Placement(copy.node, copy.name, generation, str(end))
    return Over(where, end, why_over(instance.app, end), is_news=str(end) != record, keeps=copy.name)
