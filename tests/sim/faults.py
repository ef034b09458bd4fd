"""What can go wrong, and what people do meanwhile. Each seed draws which of it happens, and how often."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Union

from duckconf.codec import spec_hash
from duckconf.model import App
from duckconf.naming import app_labels
from tests.sim.engines import CLUSTER, CRASHING, ENDLESS, REFUSED, Box
from tests.sim.node import Node
from tests.sim.world import SimWorld

NAMES = tuple("abcdefgh")
NODES_OWN = (
    "Error: cannot listen on the TCP port: listen tcp4 :8080: bind: address already in use",
    "Error: statfs /data: no such file or directory",
    "Error: writing blob: write /var/lib/containers/storage/overlay: no space left on device",
)


class Faults:
    """Draws from the world's dice and does it to the world."""

    def __init__(self, world: SimWorld, *, kinds: Kinds) -> None:
        self.world = world
        self.dice = world.dice
        self._kinds = kinds
        self._mood = {name: self.dice.choice((0, 0, 1, 1, 1, 3, 8)) for name in self._kinds}

    def begin(self) -> None:
        """The first desired state, and now and then apps that already run as another mode left them."""
        for name in NAMES[: self.dice.randrange(6)]:
            self.world.person.apps[name] = self.app(name)
            if self.dice.random() < 0.2:
                self._leave_running(name)

    def strike(self) -> None:
        """Plan a few faults for the next seconds."""
        for _ in range(self.dice.choice((0, 0, 1, 1, 2))):
            kind = self.dice.choices(tuple(self._mood), tuple(self._mood.values()))[0] if any(self._mood.values()) else ""
            if kind:
                self.world.timeline.after(self.dice.uniform(0, 8), partial(self._do, kind))

    def end(self) -> None:
        """All is well again; what people left lying around stays."""
        world = self.world
        world.calm = True
        world.mend_disk()
        for node in world.nodes.values():
            node.frozen_until = node.unplugged_until = node.down_until = node.garbled_until = world.now()
            node.slowness = 1.0
            node.engine.stubborn.clear()
            node.engine.refusing.clear()
            world.thaw(node)
            for box in node.engine.boxes.values():
                if box.state == "paused":
                    box.turn("running", world.now())
        world.removed.clear()
        world.cordons.clear()
        world.drains.clear()
        world.person.slips.clear()
        world.person.missing = False
        world.person.cut = None
        world.person.apps = {name: replace(app, paused=False) for name, app in world.person.apps.items()}
        world.note("fault", "everything is well again")
        world.wake()

    def _do(self, kind: str) -> None:
        if not self.world.calm:
            done = self._kinds[kind](self)
            if done:
                self.world.note("fault", f"{kind}: {done}")

    def _leave_running(self, app: str) -> None:
        node = self.node()
        labels = app_labels(CLUSTER, app, spec_hash(self.world.person.apps[app]))
        box = node.engine.make(f"left-{app}", node.name, labels, "left")
        box.turn("running", self.world.now())

    def node(self) -> Node:
        return self.world.nodes[self.dice.choice(sorted(self.world.nodes))]

    def ours(self) -> Union[Box, None]:
        boxes = {id(box): box for node in self.world.nodes.values() for box in node.engine.boxes.values() if box.ours}
        return self.dice.choice(list(boxes.values())) if boxes else None

    def app(self, name: str) -> App:
        ports = (f"{self.dice.choice((8080, 8081))}:80",) if self.world.ported and self.dice.random() < 0.4 else ()
        return App(self.image(), name, ports=ports)

    def image(self) -> str:
        return self.dice.choice(("web:1", "web:1", "web:2", "web:3", "web:4", f"{REFUSED}:1", f"{CRASHING}:1", f"{ENDLESS}:1"))

    def after(self, seconds: float, event: Callable[[], object]) -> None:
        self.world.timeline.after(seconds, event)


Kinds = Mapping[str, Callable[[Faults], str]]
