"""An instance is one container of an app: what placement, comparator, tries and reports speak of. Pure.

Its name is the app's for slot 1 and APP.SLOT for the others. No app's name has a dot, so the two are never mixed up.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from duckconf.codec import spec_hash
from duckconf.model import App
from duckconf.naming import instance_name
from duckconf.place_kinds import GLOBAL
from duckconf.told_image import ToldImage

T = TypeVar("T")


@dataclass(frozen=True)
class Instance:
    """Slot `slot` (from 1) of `app`, which has the spec that this container is made from.

    `node` ("" for none), `generation` and `meant` are its placement where that is part of the state (agents mode): the higher
    generation is the newer decision, and `meant` is the hash of the spec that it was placed to run.
    """

    app: App
    slot: int = 1
    node: str = ""
    generation: int = 0
    ended: str = ""
    """The record of its end, "" for one that is not known to be over."""
    meant: str = ""
    bound: str = ""
    """The only node that it may run on, "" where placement is free to choose."""
    data: str = ""
    """In words, what it has on the node that it is bound to: it goes on there also when that node is emptied."""
    leaves: str = ""
    """A node that it should leave, whatever it has there."""
    image: ToldImage | None = None
    """Which image it runs, where another process finds that out (agents mode)."""

    @property
    def name(self) -> str:
        return instance_name(self.app.name, self.slot)

    @functools.cached_property
    def spec(self) -> str:
        return spec_hash(self.app)


def instances_of(apps: Iterable[App]) -> dict[str, Instance]:
    """All instances that the apps should have, by name."""
    return {instance.name: instance for app in apps for instance in slots_of(app)}


def slots_of(app: App) -> list[Instance]:
    """The instances of one app, by slot, each with its own placement. One of mode global has those that are placed."""
    return [instance for instance in _all_slots(app) if instance.node or app.mode != GLOBAL]


def _all_slots(app: App, count: int = 0) -> list[Instance]:
    """Also those that an app of mode global has no more, and up to the number `count` those that it is about to get."""
    placed_somehow = app.node or app.generation or app.ended or app.spec
    bare = replace(app, node=(), generation=(), ended=(), spec=()) if placed_somehow else app
    return [
        Instance(
            bare,
            slot,
            _at(app.node, slot, ""),
            _at(app.generation, slot, 0),
            _at(app.ended, slot, ""),
            _at(app.spec, slot, ""),
        )
        for slot in range(1, (max(len(app.node), count) if app.mode == GLOBAL else app.replicas) + 1)
    ]


def placed(app: App, nodes: Mapping[int, str], generation: int, spec: str = "") -> App:
    """The app with these slots on these nodes, "" for none. A slot that moves has this generation from then on, and runs
    anew there: what it was meant to run, or `spec` where nothing was noted."""
    places = _all_slots(app, max(nodes, default=0))
    for slot, node in nodes.items():
        if 0 < slot <= len(places) and places[slot - 1].node != node:
            before = places[slot - 1]
            # A slot that is not placed keeps the generation, so that the next one is higher.
            number, meant = (generation, before.meant or spec) if node else (before.generation, before.meant)
            meant = "" if app.mode == GLOBAL and not node else meant
            places[slot - 1] = replace(before, node=node, generation=number, ended="", meant=meant)
    return _with_places(app, places)


def meant_to_run(app: App, specs: Mapping[int, str]) -> App:
    """The app with the hash of the spec that each of these slots runs from now on."""
    return _with_places(app, [replace(one, meant=specs.get(one.slot, one.meant)) for one in _all_slots(app)])


def _with_places(app: App, places: list[Instance]) -> App:
    while app.mode == GLOBAL and places and not places[-1].node:
        places.pop()
    rows = [(one.node, one.generation, one.ended, one.meant) for one in places]
    where, numbers, ends, specs = (tuple(column) for column in zip(*rows)) if rows else ((), (), (), ())
    return replace(
        app,
        node=where if any(where) else (),
        generation=numbers if any(numbers) else (),
        ended=ends if any(ends) else (),
        spec=specs if any(specs) else (),
    )


def with_end(app: App, slot: int, record: str) -> App:
    """The app with the record of how this slot ended."""
    known = {**{instance.slot: instance.ended for instance in slots_of(app)}, slot: record}
    return replace(app, ended=tuple(known.get(number, "") for number in range(1, max(known) + 1)))


def _at(values: tuple[T, ...], slot: int, default: T) -> T:
    return values[slot - 1] if slot <= len(values) else default
