"""The control loop's cycle: SENSOR, SETPOINT, COMPARATOR, ACTUATOR, one pass after the other.

It owns no thread, no clock and no connection: all of that is its `World`, which `loop.py` makes of SSH and files, and
the simulator of a seeded dice. Wake-ups carry nothing: each pass looks at it all.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import NamedTuple, Protocol

from controllers.news import late
from controllers.reconciler import Outcome, Reconciler, Verdict
from controllers.sensed import NOT_YET, Sensed
from controllers.teller import Teller, told_of_pass
from duckconf.actions import Pin
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.errors import DuckconfError, NotSupported, Unreadable
from duckconf.events import Event
from duckconf.facts import Facts
from duckconf.inventory import Host, Inventory
from duckconf.leaving import Fronted
from duckconf.node_name import misnamed
from duckconf.overview import AppView
from duckconf.pins import Question
from duckconf.plan import Step
from duckconf.reach.nodes.identify import Answered
from duckconf.refusal import active
from duckconf.report import Report
from duckconf.rollout import FAILED
from duckconf.twins import twins

# Seconds. A node slower than this is left out of the pass; its answer starts the next one.
PATIENCE = 0.5

Look = Future[tuple[Container, ...]]


class Setpoint(NamedTuple):
    """What should run, and in words what could not be read of it."""

    desired: Desired
    faults: Sequence[str] = ()


class World(Protocol):
    """Everything around the cycle. Only `look` and `act` reach a node, and neither waits for it."""

    def now(self) -> float:
        """Seconds of a clock that never goes back."""

    def inventory(self) -> Inventory: ...
    def cordoned(self) -> Collection[str]: ...
    def draining(self) -> Collection[str]: ...
    def setpoint(self) -> Setpoint: ...
    def asked(self) -> Mapping[str, int]:
        """How often a person asked that a node be tried again."""

    def fronted(self) -> Fronted:
        """The containers that a front may send requests to."""

    def serve(self, desired: Desired, views: Sequence[AppView]) -> None:
        """Have the fronts send requests to what is ready. Waits for nobody."""

    def facts(self) -> Mapping[str, Facts]:
        """What is known of the nodes, in the order of the inventory. Asks nobody."""

    def look(self, host: Host) -> Look:
        """Begin to ask a node for its containers; the future fails with a NodeFailure."""

    def rest(self, looks: Sequence[Look], seconds: float) -> None:
        """Return when all are done, or after `seconds`."""

    def act(self, step: Step, done: Callable[[DuckconfError | None], None]) -> None:
        """Begin a step; `done` is called once, from any thread, with the failure if there was one."""

    def last_words(self, node: str, container: str, done: Callable[[str], None]) -> None:
        """Begin to read the last lines that a container printed; `done` is called once, from any thread, with "" for none."""

    def identify(self, question: Question, done: Answered) -> None:
        """Begin to ask a node about an image; `done` is called once, from any thread."""

    def wake(self) -> None:
        """Ask for another pass, soon."""

    def say(self, step: str, text: str) -> None: ...
    def passed(self, words: dict[str, str], heard: Collection[str]) -> None:
        """A pass has decided: what sensor, setpoint and comparator did, and who was heard."""

    def acts(self, step: Step, words: str, *, done: bool) -> None:
        """A step begins, or has ended; from any thread."""

    def tell(self, event: Event) -> None: ...
    def publish(self, report: Report) -> None: ...


class Cycle:
    """The passes of one cluster's loop. `once` is called by one thread."""

    def __init__(self, world: World, reconciler: Reconciler) -> None:
        self._world = world
        self._reconciler = reconciler
        self._lock = threading.Lock()
        self._open_steps: Counter[str] = Counter()
        self._asked: dict[str, tuple[float, Look]] = {}
        self._teller = Teller(world.tell, world.say)
        self._heard: Collection[str] = ()
        self._published: Report | None = None

    def once(self) -> None:
        """One pass. Raises OSError when placements cannot be written; nothing was done then."""
        world = self._world
        inventory = world.inventory()
        sensed = self._sense(inventory.node_hosts())
        setpoint = world.setpoint()
        cordoned, draining = world.cordoned(), world.draining()
        with self._lock:
            oldest = min((asked for asked, _ in self._asked.values()), default=float("inf"))
            now, nodes = world.now(), inventory.nodes
            verdict = self._reconciler.decide(
                setpoint.desired,
                nodes,
                sensed.heard,
                cordoned,
                now,
                oldest,
                draining,
                world.facts(),
                world.asked(),
                sensed.asked,
                inventory.sites,
                inventory.rebalance,
                world.fronted(),
            )
            self._open_steps.update(step.instance for step in verdict.decision.plan.steps)
            tries = dict(self._reconciler.tries)
            refusals = tuple(active(self._reconciler.refusals, now).values())
        world.serve(verdict.decision.desired or setpoint.desired, verdict.apps)
        self._heard = (*sensed.heard, *sensed.unreadable)
        views = self._teller.tell_of_nodes(inventory.nodes, sensed, self._reconciler.health.lost)
        self._teller.tell_of_faults(setpoint.faults)
        self._teller.forget_failures(setpoint.desired)
        self._teller.tell_of_unplaced(verdict.apps)
        self._teller.tell_of_ends(verdict.decision.over)
        for event in (*(verdict.decision.turn.events if verdict.decision.turn else ()), *late(verdict.decision.late)):
            world.tell(event)
        world.passed(told_of_pass(sensed, setpoint.desired, verdict.decision.plan), sensed.heard)
        self._teller.say(sensed, setpoint.desired, setpoint.faults, verdict.decision.plan, self._reconciler.health.lost)
        rollouts = verdict.decision.rollouts
        views = {node: replace(view, demo=inventory.hosts[node].demo) for node, view in views.items()}
        # Before anything is done: whoever reads which instances are ready must not be sent to one that is being stopped.
        self._publish(Report(views, verdict.apps, tuple(setpoint.faults), tries, refusals, world.now(), rollouts))
        first_words = self._tell_of_updates(verdict)
        for step in verdict.decision.plan.steps:
            world.say("ACTUATOR", str(step))
            where = (step.action.node, step.action.container)
            first_words.pop(where, self._act)(step)
        for tell in first_words.values():
            tell(None)
        for question in verdict.questions:
            self._ask(question)

    def due(self) -> float | None:
        """Seconds until a pass is due without a wake-up, beside the loop's interval; None when nothing is."""
        with self._lock:
            return self._reconciler.wake_after(self._heard, self._world.now())

    def _sense(self, hosts: Sequence[Host]) -> Sensed:
        """One slow look is waited for in one pass at most."""
        names = {host.name for host in hosts}
        for gone in [name for name in self._asked if name not in names]:
            del self._asked[gone]
        asked_now = []
        for host in hosts:
            if host.name not in self._asked:
                self._asked[host.name] = (self._world.now(), self._world.look(host))
                asked_now.append(self._asked[host.name][1])
        self._world.rest(asked_now, PATIENCE)
        sensed = Sensed({}, {}, {})
        for host in hosts:
            asked, look = self._asked[host.name]
            if not look.done():
                sensed.silent[host.name] = NOT_YET
                if look in asked_now:
                    look.add_done_callback(lambda _: self._world.wake())
                continue
            del self._asked[host.name]
            failure = look.exception()
            if failure is None:
                sensed.heard[host.name] = (asked, look.result())
            elif isinstance(failure, Unreadable):
                sensed.unreadable[host.name] = (asked, f"answers, but its answer cannot be read: {failure.reason}")
            elif isinstance(failure, NotSupported):
                # It was not even asked: what the inventory says of it tells nothing of what runs there.
                sensed.unreadable[host.name] = (asked, f"is not asked: {failure.reason}")
            elif isinstance(failure, DuckconfError):
                sensed.silent[host.name] = getattr(failure, "reason", failure.message)
            else:
                raise failure
        for node, same in twins(self._world.facts()).items():
            if sensed.heard.pop(node, None) is not None:
                sensed.silent[node] = same.reason
        for node, other in misnamed(self._world.facts()).items():
            if (answer := sensed.heard.pop(node, None)) is not None:
                sensed.unreadable[node] = (answer[0], f"{other.reason} ({other.remedy})")
        return sensed

    def _act(self, step: Step) -> None:
        begun = self._world.now()
        self._world.acts(step, str(step), done=False)

        def done(failure: DuckconfError | None) -> None:
            seconds = self._world.now() - begun
            with self._lock:
                self._open_steps[step.instance] -= 1
                last = self._open_steps[step.instance] == 0
                if last:
                    del self._open_steps[step.instance]
                try:
                    self._reconciler.settle(step, failure, self._world.now(), last=last)
                except OSError as error:
                    self._world.say("ACTUATOR", f"placements cannot be written: {error}")
            words = f"done in {seconds:.2f} s: {step.action}" if failure is None else f"{step.action} failed: {failure}"
            self._world.say("ACTUATOR", words)
            self._world.acts(step, words, done=True)
            self._teller.tell_of_step(step, failure, seconds)
            self._world.wake()

        self._world.act(step, done)

    def _ask(self, question: Question) -> None:
        def answered(pin: Pin | None, failure: DuckconfError | None) -> None:
            with self._lock:
                self._reconciler.images.learn(question, pin, self._world.now(), heard=failure is None)
            self._world.wake()

        self._world.identify(question, answered)

    def _tell_of_updates(self, verdict: Verdict) -> dict[tuple[str, str], Callable[[Step | None], None]]:
        """Tell how updates ended. What a failed container said last is read before it is removed: its step waits for that."""
        waiting: dict[tuple[str, str], Callable[[Step | None], None]] = {}
        for ended in verdict.outcomes:
            if ended.revision.outcome != FAILED:
                if ended.revision.number > 1:
                    self._world.tell(Event("update-done", f"{ended.app}: revision {ended.revision.number} runs", ended.app))
            elif ended.containers:
                waiting[ended.containers[0]] = partial(self._tell_of_failure, ended)
            else:
                self._tell_of_failure(ended, None, "")
        return waiting

    def _tell_of_failure(self, outcome: Outcome, step: Step | None, words: str | None = None) -> None:
        if words is None:
            node, container = outcome.containers[0]
            self._world.last_words(node, container, partial(self._tell_of_failure, outcome, step))
            return
        app = outcome.app
        said = f"; its last output: {words}" if words else ""
        self._world.tell(Event("update-failed", f"{app}: {outcome.note}{said}", app))
        if step is not None:
            self._act(step)

    def _publish(self, report: Report) -> None:
        if self._published is None or replace(report, clock=self._published.clock) != self._published:
            self._published = report
            self._world.publish(report)
