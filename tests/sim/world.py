"""The simulator's `World`: nodes that answer late, twice as late or never, on a fake clock and a seeded dice.

It only fakes what lies around the cycle; what the nodes are told goes through the real actuator.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Union

from controllers.cycle import Look, Setpoint
from duckconf.actions import Pin
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.errors import DuckconfError, Unreachable, Unreadable
from duckconf.events import Event
from duckconf.facts import Facts
from duckconf.inventory import Host, Inventory
from duckconf.leaving import NO_FRONT, Fronted
from duckconf.local_data import Move
from duckconf.overview import AppView
from duckconf.pins import Question
from duckconf.plan import Step
from duckconf.reach.nodes.actuator import execute
from duckconf.reach.nodes.identify import Answered
from duckconf.reach.state.placements import FILE_NAME
from duckconf.rebalancing import MANUAL
from duckconf.report import Report, report_from_json
from tests.sim.engines import CLUSTER, CRASHING, JOB, KILLED, REFUSED, SHAKY, Box, Engine, Hand
from tests.sim.front import Front
from tests.sim.node import Node
from tests.sim.person import Person
from tests.sim.timeline import Timeline
from tests.sim.under_way import LAST_WORDS, Job, Seen
from tests.sim.watch import Watch

HANDS = 5
DEADLINE = 2.5
LONG_DEADLINE = 40.0


class Killed(BaseException):
    """The loop's process ends here, wherever that is."""


class SimWorld:
    """One cluster, its nodes, its person and its loop's process, which may be killed and started again."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.dice = random.Random(seed)
        self.timeline = Timeline()
        self.trace: list[str] = []
        names = [f"n{number}" for number in range(1, self.dice.choice((1, 2, 3, 3, 4, 5, 6)) + 1)]
        self.shared = Engine() if self.dice.random() < 0.5 else None
        self.nodes = {name: Node(name, self.shared or Engine()) for name in names}
        self.person = Person()
        self.cordons: set[str] = set()
        self.drains: set[str] = set()
        self.drains_read: frozenset[str] = frozenset()
        self.removed: set[str] = set()
        self.strangers: list[Box] = []
        self.calm = False
        self.rebalance = MANUAL
        self.moves: dict[str, Move] = {}
        """What people accepted to lose."""
        self.begins: Callable[[Box], None] = lambda box: None
        """What else happens when a container starts."""
        self.woken = False
        self.process = 0
        self.dies_in = -1
        self.forgetful = False
        # A host port is held once per engine, and each node can serve it only where it has an engine of its own.
        self.ported = self.shared is None and self.dice.random() < 0.3
        self.looks: dict[str, Seen] = {}
        self.front: Union[Front, None] = None
        self.groups: Mapping[str, Sequence[str]] = {}
        self.zones: Mapping[str, str] = {}
        self._inventory: Union[tuple[object, Inventory], None] = None
        self.watch = Watch(self)
        self.disk = folder / "disk"
        self.disk.mkdir()
        self.report: Union[Report, None] = None

    def note(self, who: str, text: str) -> None:
        self.trace.append(f"{self.timeline.now:9.3f} {who:<10} {text}")

    # What the cycle calls.

    def now(self) -> float:
        return self.timeline.now

    def inventory(self) -> Inventory:
        self._may_die()
        told = (frozenset(self.removed), self.rebalance)
        if self._inventory is None or self._inventory[0] != told:
            hosts = {name: Host(name, "192.0.2.1", zone=self.zones.get(name, "")) for name in self.nodes if name not in told[0]}
            made = Inventory(hosts, tuple(hosts), cluster=CLUSTER, groups=self.groups, rebalance=self.rebalance)
            self._inventory = (told, made)
        self.watch.begun(self._inventory[1])
        return self._inventory[1]

    def cordoned(self) -> Collection[str]:
        self._may_die()
        return frozenset(self.cordons | self.drains)

    def draining(self) -> Collection[str]:
        self.drains_read = frozenset(self.drains)
        return self.drains_read

    def asked(self) -> Mapping[str, int]:
        return {}

    def facts(self) -> Mapping[str, Facts]:
        return {}

    def setpoint(self) -> Setpoint:
        self._may_die()
        setpoint = self.person.setpoint()
        if self.front is not None:
            setpoint = setpoint._replace(desired=self.front.with_routes(setpoint.desired))
        self.watch.sensed(self.looks, setpoint.desired)
        return setpoint

    def look(self, host: Host) -> Look:
        self._may_die()
        node: Node = self.nodes[host.name]
        future: Look = Future()
        seen = self.looks[host.name] = Seen(self.now(), future)
        deadline = LONG_DEADLINE if self._happens(0.05) else DEADLINE

        def arrive() -> None:
            if self._reaches(node, arrive):
                seen.taken = self.now()
                garbled = node.garbled_until > self.now()
                found = Unreadable(node.name, "another program speaks") if garbled else node.engine.listing(node.name)
                self.timeline.after(self._trip(node), lambda: self._answer(future, node, found))
            elif node.down_until > self.now():
                self._answer(future, node, Unreachable(node.name, "connection refused"))

        self.timeline.after(self._trip(node), arrive)
        self.timeline.after(deadline, lambda: self._answer(future, node, Unreachable(node.name, "does not answer")))
        return future

    def fronted(self) -> Fronted:
        return self.front.fronted() if self.front is not None else NO_FRONT

    def serve(self, desired: Desired, views: Sequence[AppView]) -> None:
        if self.front is not None:
            self.front.serve(views)

    def rest(self, looks: Sequence[Look], seconds: float) -> None:
        self._may_die()
        self.timeline.run(seconds, lambda: all(look.done() for look in looks))

    def act(self, step: Step, done: Callable[[DuckconfError | None], None]) -> None:
        self._may_die()
        node = self.nodes[step.action.node]
        job = Job(step, self.process, done)
        self.watch.issued(job)
        if self.front is not None:
            wanted = self.watch.desired.instances.get(step.instance)
            box = node.engine.boxes.get(step.action.container)
            self.front.issued(step, wanted is not None and bool(wanted.app.routes), box)
        node.queue.append(job)
        self._begin_next(node)

    def last_words(self, node: str, container: str, done: Callable[[str], None]) -> None:
        process = self.process
        self.watch.read_first[node, container] = (self.now(), self.watch.looks)
        self.timeline.after(self.dice.uniform(0.01, LAST_WORDS), lambda: done("ended") if process == self.process else None)

    def identify(self, question: Question, done: Answered) -> None:
        """Every engine has every image that can be had; a node that is away does not answer in time."""
        process, node = self.process, self.nodes[question.node]

        def answer() -> None:
            away = node.frozen_until > self.now() or node.down_until > self.now() or node.unplugged_until > self.now()
            failure = Unreachable(node.name, "does not answer") if away else None
            box = node.engine.boxes.get(question.container)
            image = box.image if box is not None else question.image.removeprefix("sha256:")
            there = image and not away and not image.startswith(REFUSED)
            if process == self.process:
                done(Pin(image, ()) if there else None, failure)

        self.timeline.after(self.dice.uniform(0.01, 0.5), answer)

    def wake(self) -> None:
        self.woken = True

    def passed(self, words: dict[str, str], heard: Collection[str]) -> None:
        """Nobody looks."""

    def acts(self, step: Step, words: str, *, done: bool) -> None:
        """Nobody looks."""

    def say(self, step: str, text: str) -> None:
        self.note(step, text)
        self._may_die()

    def tell(self, event: Event) -> None:
        self.note("event", f"{event.kind}: {event.message}")
        self.watch.told(event)

    def publish(self, report: Report) -> None:
        self._may_die()
        self.report = report

    # What the process has and loses.

    def mend_disk(self) -> None:
        away = self.disk.with_name("away")
        if away.exists():
            away.rename(self.disk)

    def last_report(self) -> Union[Report, None]:
        return report_from_json(json.loads(json.dumps(self.report.to_json()))) if self.report is not None else None

    def bury(self) -> None:
        """The process is gone: what waits for a hand is lost, what is on its way may arrive or not."""
        self.process += 1
        self.dies_in = -1
        self.mend_disk()
        if self.forgetful:
            self.forgetful = False
            self.note("fault", "what was placed where is forgotten")
            (self.disk / FILE_NAME).unlink(missing_ok=True)
            self.watch.forget()
        for node in self.nodes.values():
            node.queue.clear()
            node.working = 0
        if self.front is not None:
            self.front.begin_again()
        for job in self.watch.open_jobs():
            job.dropped = self._happens(0.4)
        self.watch.begin_again()

    def _may_die(self) -> None:
        self.dies_in -= 1
        if self.dies_in == 0 and not self.calm:
            raise Killed

    # What an action meets.

    def _begin_next(self, node: Node) -> None:
        if node.working >= HANDS or not node.queue:
            return
        node.working += 1
        job = node.queue.popleft()
        if not self.calm and self._happens(0.04):
            self._lose(node, job)
        else:
            self.timeline.after(self._effort(node), lambda: self._arrive(node, job))

    def _lose(self, node: Node, job: Job) -> None:
        """The connection breaks on the way: the loop hears of it before the effect, if there is one at all."""
        late = self._happens(0.5)
        self._end(node, job, Unreachable(node.name, "the connection broke", may_have_run=late or self._happens(0.5)), DEADLINE)
        if late:
            self.timeline.after(DEADLINE + self.dice.uniform(0, 30), lambda: self._take_effect(node, job))

    def _arrive(self, node: Node, job: Job) -> None:
        if self._reaches(node, lambda: self._take_effect(node, job)):
            failure = self._take_effect(node, job)
            if not self.calm and self._happens(0.04):
                self._end(node, job, Unreachable(node.name, "the answer was lost", may_have_run=True), DEADLINE)
            else:
                self._end(node, job, failure, self._trip(node))
        else:
            self._end(node, job, Unreachable(node.name, "does not answer", may_have_run=True), DEADLINE)

    def _take_effect(self, node: Node, job: Job) -> Union[DuckconfError, None]:
        if job.dropped:
            return None
        breaks = -1 if self.calm or not self._happens(0.04) else self.dice.randrange(3)
        hand = Hand(node.engine, node.name, self.now(), job, self.watch.touched, self._started, breaks, self._happens(0.5))
        failure = None
        try:
            execute(job.step.action, CLUSTER, hand)
        except DuckconfError as error:
            failure = error
        self.note("effect", f"{job.step.action}: {failure or 'done'}")
        return failure

    def _end(self, node: Node, job: Job, failure: Union[DuckconfError, None], seconds: float) -> None:
        def end() -> None:
            if job.process == self.process:
                node.working -= 1
                self.watch.ended(job, failure)
                job.done(failure)
                self._begin_next(node)

        self.timeline.after(seconds, end)

    def _started(self, box: Box) -> None:
        self.begins(box)
        if box.image.startswith(CRASHING):
            self.timeline.after(self.dice.uniform(0.05, 3), lambda: self.crash(box))
        if box.image.startswith((JOB, SHAKY)):
            self.work(box)

    def work(self, box: Box) -> None:
        """A job goes on until it ends by itself, unless something else ends it before."""
        box.runs += 1
        run = box.runs

        def end() -> None:
            if box.runs != run:
                return
            if box.state == "paused":
                self.timeline.after(1.0, end)
            elif box.state == "running":
                fails = box.image.startswith(SHAKY) and not self.calm and self._happens(0.6)
                box.turn("exited", self.now(), code=int(fails))
                self.note("job", f"{box.name} on {box.node} ends with {int(fails)}")
                self.tell_loop(self.nodes.get(box.node))

        self.timeline.after(self.dice.uniform(0.05, 20), end)

    def crash(self, box: Box) -> None:
        if box.state == "running":
            box.turn("exited", self.now(), code=KILLED)
            self.note("fault", f"{box.name} on {box.node} crashes")
            self.tell_loop(self.nodes.get(box.node))

    def tell_loop(self, node: Union[Node, None] = None) -> None:
        """The engine's or the file's event, which may get lost; the loop looks anyway in a while."""
        away = node is not None and max(node.frozen_until, node.unplugged_until, node.down_until) > self.now()
        if not away and (self.calm or self._happens(0.9)):
            self.timeline.after(self.dice.uniform(0.01, 0.1), self.wake)

    # How long things take, and whether they arrive.

    def _reaches(self, node: Node, again: Callable[[], object]) -> bool:
        if node.frozen_until > self.now() and not (node.unplugged_until > self.now() or node.down_until > self.now()):
            if self._happens(0.7):
                node.inbox.append(again)
            return False
        return max(node.frozen_until, node.unplugged_until, node.down_until) <= self.now()

    def thaw(self, node: Node) -> None:
        if node.frozen_until <= self.now():
            inbox, node.inbox = node.inbox, []
            self.dice.shuffle(inbox)
            for held in inbox:
                self.timeline.after(self.dice.uniform(0, 0.3), held)

    def _answer(self, future: Look, node: Node, answer: Union[tuple[Container, ...], DuckconfError]) -> None:
        if future.done():
            return
        if not isinstance(answer, Unreachable) and max(node.frozen_until, node.unplugged_until) > self.now():
            return
        if isinstance(answer, DuckconfError):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    def _trip(self, node: Node) -> float:
        usual = self.dice.uniform(0.005, 0.1) * node.slowness
        return usual if self.calm or self._happens(0.95) else usual + self.dice.uniform(0, 3)

    def _effort(self, node: Node) -> float:
        usual = self.dice.uniform(0.1, 0.8) * node.slowness
        return usual if self.calm or self._happens(0.95) else usual + self.dice.uniform(0, 60)

    def _happens(self, probability: float) -> bool:
        return self.dice.random() < probability
