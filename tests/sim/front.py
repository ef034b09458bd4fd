"""A front of the simulator: a Caddy that outlives the loop, and the keeper in the loop that tells it. Decisions are real ones.

It has dice of its own, so that the seeds of runs without it keep their meaning.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Union

from duckconf.actions import Remove, Start
from duckconf.desired import Desired
from duckconf.front_seen import Telling
from duckconf.instance import Instance
from duckconf.leaving import Fronted, Where
from duckconf.model import App
from duckconf.overview import AppView
from duckconf.plan import Step
from tests.sim.engines import Box
from tests.sim.under_way import Violation

if TYPE_CHECKING:
    from tests.sim.world import SimWorld

# Seconds until Caddy has what it is told, and until the last requests to what has left end. Some take longer than they may.
TOLD_WITHIN = 0.5
LAST_REQUESTS = 12.0


@dataclass
class Front:
    """`sends` are the containers that it sends requests to, `parked` those whose last requests are under way."""

    world: SimWorld
    dice: random.Random
    sends: frozenset[Where] = frozenset()
    parked: set[Where] = field(default_factory=set)
    wanted: Union[frozenset[Where], None] = None
    _telling: Telling = field(default_factory=Telling)
    _routed: dict[int, tuple[App, App]] = field(default_factory=dict)

    def begin_again(self) -> None:
        """The loop is another process."""
        self._telling, self.wanted = Telling(), None

    def with_routes(self, desired: Desired) -> Desired:
        """Every app has a route."""
        return replace(desired, instances={name: self._with_route(one) for name, one in desired.instances.items()})

    def _with_route(self, one: Instance) -> Instance:
        known = self._routed.get(id(one.app))
        if known is None or known[0] is not one.app:
            known = self._routed[id(one.app)] = (one.app, replace(one.app, routes=(f"{one.app.name}.example.org",)))
        return replace(one, app=known[1])

    def fronted(self) -> Fronted:
        if self.wanted is None:
            return Fronted(told=False)
        return Fronted(self.sends | self.parked | self.wanted)

    def serve(self, views: Sequence[AppView]) -> None:
        told = self._telling.look(views, self.world.now())
        if told is None:
            return
        wanted = frozenset((copy.node, copy.container) for copy in told.ready)
        self._check_alive(wanted, views)
        if wanted != self.wanted:
            self.wanted = wanted
            process = self.world.process
            self.world.timeline.after(self.dice.uniform(0.01, TOLD_WITHIN), lambda: self._load(wanted, process))

    def _load(self, wanted: frozenset[Where], process: int) -> None:
        if process != self.world.process or wanted != self.wanted:
            return
        leaves = self.sends - wanted
        self.sends = wanted
        self.parked = (self.parked | leaves) - wanted
        for where in sorted(leaves):
            self.world.timeline.after(self.dice.uniform(0.01, LAST_REQUESTS), lambda where=where: self._ended(where))  # type: ignore[misc]
        self.world.wake()

    def _ended(self, where: Where) -> None:
        self.parked.discard(where)
        self.world.wake()

    # What must always hold.

    def issued(self, step: Step, routed: bool, box: Union[Box, None]) -> None:
        """An instance leaves the front before it is stopped, whatever the loop has forgotten."""
        where = (step.action.node, step.action.container)
        stops = isinstance(step.action, (Remove, Start)) and box is not None and box.state == "running"
        if stops and routed and where in self.sends:
            raise Violation(f"{step.action} while the front sends requests there")

    def _check_alive(self, wanted: frozenset[Where], views: Sequence[AppView]) -> None:
        """It never has only others of an app while one is known to be ready."""
        ready: dict[str, set[Where]] = {}
        for view in views:
            if view.ready and not view.leaving:
                ready.setdefault(view.app, set()).add((view.node, view.container))
        for app, there in ready.items():
            if not there & wanted:
                raise Violation(f"{app} is ready as {sorted(there)}, and the front is not told of it")

    def check_rest(self, boxes: Collection[Box], hopeful: Collection[str]) -> None:
        """In the end it has what runs of the apps that can run, and nothing that does not."""
        running = {(box.node, box.name): box.app for box in boxes if box.state == "running"}
        if dead := self.sends - running.keys():
            raise Violation(f"the front sends requests to {sorted(dead)}, which do not run")
        if missing := [where for where, app in running.items() if app in hopeful and where not in self.sends]:
            raise Violation(f"{sorted(missing)} run, and the front does not know them")
