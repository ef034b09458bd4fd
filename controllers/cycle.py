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

from controllers.news import STEP_FAILED, Failure, failure_of, late, outcome, turn
from controllers.reconciler import Outcome, Reconciler, Verdict
from controllers.sensed import NOT_YET, Sensed
from duckconf.actions import Pin
from duckconf.brake import mended
from duckconf.counts import counted
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.errors import DuckconfError, NotSupported, Unreadable
from duckconf.events import Event
from duckconf.facts import Facts
from duckconf.inventory import Host, Inventory
from duckconf.leaving import Where
from duckconf.naming import app_of
from duckconf.node_name import misnamed
from duckconf.overview import PENDING, AppView
from duckconf.pins import Question
from duckconf.plan import UNDER_WAY, Step
from duckconf.reach.nodes.identify import Answered
from duckconf.refusal import active
from duckconf.report import LOST, UNREACHABLE, NodeView, Report
from duckconf.rollout import FAILED
from duckconf.told import Told
from duckconf.twins import twins

# Seconds. A node slower than this is left out of the pass; its answer starts the next one.
PATIENCE = 0.5
# Of which it is known that they were told.
MOST_FAILURES = 1000

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

    def fronted(self) -> Collection[Where]:
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
        self._nodes: dict[str, NodeView] = {}
        self._faults: tuple[str, ...] = ()
        self._waits_told = Told()
        self._heard: Collection[str] = ()
        self._said: tuple[object, ...] = ()
        self._failures: dict[tuple[str, str], Failure] = {}
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
        self._tell_of_nodes(inventory.nodes, sensed)
        self._tell_of_faults(setpoint.faults)
        self._forget_failures(setpoint.desired)
        self._tell_of_unplaced(verdict)
        self._tell_of_ends(verdict)
        turns = verdict.decision.turn.events if verdict.decision.turn is not None else ()
        for event in (*turns, *late(verdict.decision.late)):
            world.tell(event)
        self._say(sensed, setpoint, verdict)
        first_words = self._tell_of_updates(verdict)
        for step in verdict.decision.plan.steps:
            world.say("ACTUATOR", str(step))
            where = (step.action.node, step.action.container)
            first_words.pop(where, self._act)(step)
        for tell in first_words.values():
            tell(None)
        for question in verdict.questions:
            self._ask(question)
        rollouts = verdict.decision.rollouts
        self._publish(Report(self._nodes, verdict.apps, tuple(setpoint.faults), tries, refusals, world.now(), rollouts))

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
            if failure is None:
                self._world.say("ACTUATOR", f"done in {seconds:.2f} s: {step.action}")
            else:
                self._world.say("ACTUATOR", f"{step.action} failed: {failure}")
            self._tell_of_step(step, failure, seconds)
            self._world.wake()

        self._world.act(step, done)

    def _tell_of_step(self, step: Step, failure: DuckconfError | None, seconds: float) -> None:
        """A failure is told once for each reason until the step succeeds, not at each try."""
        event, where = outcome(step, failure, seconds), (step.action.node, step.action.container)
        with self._lock:
            before = self._failures.pop(where, None)
            if failure is not None and event.kind == STEP_FAILED:
                self._failures[where] = failure_of(step, event)
            known = before is not None and self._failures.get(where) == before
        if not known:
            self._world.tell(event)

    def _forget_failures(self, desired: Desired) -> None:
        """An app that is declared again begins anew."""
        with self._lock:
            old = [where for where, known in self._failures.items() if desired.complete and known.of not in desired.instances]
            # A container that cannot be removed is nobody's.
            for where in [where for where in old if self._failures[where].of]:
                del self._failures[where]
            while len(self._failures) > MOST_FAILURES:
                del self._failures[next(iter(self._failures))]

    def _ask(self, question: Question) -> None:
        def answered(pin: Pin | None, failure: DuckconfError | None) -> None:
            with self._lock:
                self._reconciler.images.learn(question, pin, self._world.now(), heard=failure is None)
            self._world.wake()

        self._world.identify(question, answered)

    def _say(self, sensed: Sensed, setpoint: Setpoint, verdict: Verdict) -> None:
        """The pass in words, when it has something to do or something new to say."""
        plan, lost = verdict.decision.plan, self._reconciler.health.lost
        notes = [f"{name}: {note}" for name, note in plan.notes.items() if note != UNDER_WAY]
        heard, silent = sensed.heard, sensed.silent
        said = (tuple(sorted(silent)), tuple(sorted(sensed.unreadable)), tuple(setpoint.faults), tuple(notes), lost)
        if not plan.steps and said == self._said:
            return
        self._said = said
        say = self._world.say
        running = sum(container.running for _, containers in heard.values() for container in containers)
        nodes = len(heard) + len(silent) + len(sensed.unreadable)
        say("SENSOR", f"{nodes - len(silent)} of {counted(nodes, 'node')} answer, {counted(running, 'app')} running")
        for node, (_, reason) in sorted(sensed.unreadable.items()):
            say("SENSOR", f"{node} {reason}")
        for node, reason in sorted(silent.items()):
            say("SENSOR", f"{node} is {LOST if node in lost else UNREACHABLE}: {reason}")
        say("SETPOINT", f"{counted(len(setpoint.desired.instances), 'instance')} desired")
        for fault in setpoint.faults:
            say("SETPOINT", fault)
        say("COMPARATOR", f"{len(plan.steps)} to do" if plan.steps else "nothing to do")
        for note in notes:
            say("COMPARATOR", note)

    def _tell_of_nodes(self, nodes: Sequence[str], sensed: Sensed) -> None:
        before = self._nodes
        views = sensed.views(before, self._reconciler.health.lost)
        self._nodes = {node: views[node] for node in nodes}
        for node, view in self._nodes.items():
            if node in before and view.status != before[node].status:
                self._world.tell(turn(node, view))

    def _tell_of_faults(self, faults: Sequence[str]) -> None:
        for fault in faults:
            if fault not in self._faults:
                self._world.tell(Event("bad-state", fault))
        if self._faults and not faults:
            self._world.tell(Event("state-mended", mended(self._faults)))
        self._faults = tuple(faults)

    def _tell_of_unplaced(self, verdict: Verdict) -> None:
        # What is declared again while its container is being removed waits for that alone.
        waiting = [view for view in verdict.apps if view.state == PENDING and view.desired == "yes" and view.note != UNDER_WAY]
        for name, why in [(view.instance, view.note) for view in waiting]:
            if self._waits_told.is_news(app_of(name), why):
                self._world.tell(Event("pending", why, app_of(name), instance=name))
        # Told once for each reason until all of its instances run, not at each try.
        self._waits_told.keep({view.app for view in verdict.apps if view.desired == "yes" and view.state != "running"})

    def _tell_of_ends(self, verdict: Verdict) -> None:
        """Once: after that, the placement has the record."""
        for name, over in verdict.decision.over.items():
            if over.is_news:
                kind = "job-failed" if over.end.code else "job-done"
                words = f"{name}: {over.end.state}" + (f", {over.why}" if over.end.code else "")
                self._world.tell(Event(kind, words, app_of(name), over.place.node))

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
