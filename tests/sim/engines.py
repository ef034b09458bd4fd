"""Fake container engines: nodes that share one (the demo) or have one each. They obey names, labels and ports.

`Hand` is the `Runner` that the real actuator gets; no time passes inside a command.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Union

from duckconf.command import Command, Completed
from duckconf.engine_output import Container
from duckconf.errors import BadInput, Fault, Unreachable
from duckconf.healthcheck import UNHEALTHY
from duckconf.naming import (
    LABEL_APP,
    LABEL_CLUSTER,
    LABEL_GENERATION,
    LABEL_MANIFEST,
    LABEL_NODE,
    LABEL_SLOT,
    LABEL_SPEC,
    instance_name,
)

CLUSTER = "sim"
REFUSED = "refused"
CRASHING = "crashing"
ENDLESS = "endless"
# Runs, and its check never has a verdict.
STUCK = "stuck"
# Ends by itself: with 0, or now and then with 1.
JOB = "job"
SHAKY = "shaky"
KILLED = 137


@dataclass
class Box:
    """A container. `node` is its label, "" for one that no wrapper started; `since` is when it began to be as it is,
    `doer` the job that did it, None for a person."""

    number: int
    name: str
    node: str
    labels: Mapping[str, str]
    image: str
    ports: frozenset[str] = frozenset()
    state: str = "created"
    since: float = 0.0
    doer: Any = None
    exit_code: Union[int, None] = None
    runs: int = 0
    health: str = ""
    """The verdict of its check, "" without one."""
    checks: int = 0
    sick: bool = False
    """Whether it is unhealthy again after a restart."""

    @property
    def ours(self) -> bool:
        return self.labels.get(LABEL_CLUSTER) == CLUSTER

    @property
    def app(self) -> str:
        return self.labels.get(LABEL_APP, "")

    @property
    def slot(self) -> int:
        return int(self.labels.get(LABEL_SLOT, "1"))

    @property
    def instance(self) -> str:
        return instance_name(self.app, self.slot) if self.app else ""

    @property
    def spec(self) -> str:
        return self.labels.get(LABEL_SPEC, "")

    def turn(self, state: str, now: float, doer: Any = None, code: Union[int, None] = None) -> None:
        """`code` is that of an end that somebody saw."""
        self.state, self.since, self.doer, self.exit_code = state, now, doer, code

    def seen(self) -> Container:
        generation = int(self.labels.get(LABEL_GENERATION, "0"))
        return Container(
            str(self.number),
            self.name,
            self.node,
            self.app,
            self.spec,
            self.image,
            self.state,
            self.since,
            generation,
            slot=self.slot,
            health=self.health if self.state == "running" else "",
            said="its check failed 3 times in a row: exit code 1" if self.health == UNHEALTHY else "",
            exit_code=self.exit_code,
            manifest=self.labels.get(LABEL_MANIFEST, ""),
            image_id=self.image,
        )


@dataclass
class Engine:
    """All containers of one engine by name. `stubborn` containers cannot be removed for now."""

    boxes: dict[str, Box] = field(default_factory=dict)
    stubborn: set[str] = field(default_factory=set)
    refusing: dict[tuple[str, str], str] = field(default_factory=dict)
    """Node and app ("" for every app) to the words in which the engine refuses to start it there for now."""
    made: int = 0

    def of_node(self, node: str) -> list[Box]:
        return [box for box in self.boxes.values() if box.node == node]

    def listing(self, node: str) -> tuple[Container, ...]:
        """What the sensor reads there."""
        return tuple(box.seen() for box in sorted(self.of_node(node), key=lambda box: box.name) if box.ours)

    def make(self, name: str, node: str, labels: Mapping[str, str], image: str, ports: frozenset[str] = frozenset()) -> Box:
        self.made += 1
        self.boxes[name] = Box(self.made, name, node, labels, image, ports)
        return self.boxes[name]


@dataclass
class Hand:
    """The commands of one action on one node. The connection breaks at command number `breaks_at`, done or not."""

    engine: Engine
    node: str
    now: float
    job: Any
    touched: Callable[[Any, Box], None]
    started: Callable[[Box], None]
    breaks_at: int = -1
    then_done: bool = False

    def run(self, command: Command) -> Completed:
        if command.argv[1] == "logs":
            return Completed(0, "", "")
        self.breaks_at -= 1
        broken = self.breaks_at == -1
        if broken and not self.then_done:
            raise Unreachable(self.node, "the connection broke", may_have_run=True)
        verbs = {"run": self._run, "inspect": self._inspect, "start": self._start, "stop": self._stop, "rm": self._remove}
        done = self._beside() if command.argv[0] == "sh" else verbs[command.argv[1]](command.argv)
        if broken:
            raise Unreachable(self.node, "the connection broke", may_have_run=True)
        return done

    def _run(self, argv: Sequence[str]) -> Completed:
        name, options = argv[4], [item for item in argv[5:] if item.startswith("--")]
        # An image by what it is: its name here.
        image = next(item for item in argv[5:] if not item.startswith("--")).removeprefix("sha256:")
        labels = dict(item.removeprefix("--label=").split("=", 1) for item in options if item.startswith("--label="))
        published = [item.removeprefix("--publish=") for item in options if item.startswith("--publish=")]
        ports = frozenset(item.partition(":")[0] for item in published if ":" in item)
        if image.startswith(ENDLESS):
            raise BadInput(Fault("", "the command is longer than a shell takes"))
        if image.startswith(REFUSED):
            return Completed(125, "", f"Error: {image}: image not known")
        refused = self._refuses(labels.get(LABEL_APP, ""))
        if refused is not None:
            return refused
        there = self.engine.boxes.get(name)
        if there is not None and (there.node != self.node or name in self.engine.stubborn):
            return Completed(125, "", f'Error: the container name "{name}" is already in use by {there.number}')
        if there is not None:
            self.touched(self.job, there)
        return self._begin(self.engine.make(name, self.node, labels, image, ports))

    def _start(self, argv: Sequence[str]) -> Completed:
        box = self.engine.boxes.get(argv[2])
        if box is None:
            return Completed(125, "", f"Error: no such container {argv[2]}")
        self.touched(self.job, box)
        return self._refuses(box.app) or self._begin(box)

    def _refuses(self, app: str) -> Completed | None:
        words = self.engine.refusing.get((self.node, app)) or self.engine.refusing.get((self.node, ""))
        return Completed(126, "", words) if words else None

    def _begin(self, box: Box) -> Completed:
        for other in self.engine.boxes.values():
            if other is not box and other.state in ("running", "paused", "stopping") and other.ports & box.ports:
                return Completed(126, "", "Error: rootlessport listen tcp 0.0.0.0: bind: address already in use")
        if box.state != "running":
            box.turn("running", self.now, self.job)
            self.started(box)
        return Completed(0, f"{box.number}\n", "")

    def _inspect(self, argv: Sequence[str]) -> Completed:
        box = self.engine.boxes.get(argv[-1])
        return (
            Completed(125, "", "no such container")
            if box is None
            else Completed(0, json.dumps({**box.labels, LABEL_NODE: box.node}), "")
        )

    def _beside(self) -> Completed:
        """All of the engine, past the wrapper."""
        boxes = [box for box in self.engine.boxes.values() if box.ours]
        lines = [json.dumps([box.name, box.state, {**box.labels, LABEL_NODE: box.node}]) for box in boxes]
        return Completed(0, "\n".join(lines), "")

    def _stop(self, argv: Sequence[str]) -> Completed:
        box = self.engine.boxes[argv[2]]
        self.touched(self.job, box)
        if box.state == "running":
            box.turn("exited", self.now, self.job, KILLED)
        return Completed(0, "", "")

    def _remove(self, argv: Sequence[str]) -> Completed:
        name = argv[-1]
        if name in self.engine.stubborn:
            return Completed(125, "", f"Error: container {name}: device or resource busy")
        if name in self.engine.boxes:
            self.touched(self.job, self.engine.boxes[name])
            del self.engine.boxes[name]
        return Completed(0, "", "")
