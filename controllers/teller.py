"""What the control loop tells of its passes: events and lines of its log, each once. It decides nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence

from controllers.news import STEP_FAILED, Failure, failure_of, outcome, turn
from controllers.sensed import NOT_YET, Sensed
from duckconf.brake import mended
from duckconf.counts import counted
from duckconf.desired import Desired
from duckconf.ended import Over
from duckconf.errors import DuckconfError
from duckconf.events import Event
from duckconf.naming import app_of
from duckconf.overview import PENDING, AppView
from duckconf.picture import COMPARATOR, SENSOR, SETPOINT
from duckconf.plan import UNDER_WAY, Plan, Step
from duckconf.report import LOST, READY, UNREACHABLE, NodeView
from duckconf.told import Told

# Of which it is known that they were told.
MOST_FAILURES = 1000


def told_of_pass(sensed: Sensed, desired: Desired, plan: Plan) -> dict[str, str]:
    """What a pass did before it acts, by step, in words."""
    heard, silent = sensed.heard, sensed.silent
    running = sum(container.running for _, containers in heard.values() for container in containers)
    nodes = len(heard) + len(silent) + len(sensed.unreadable)
    return {
        SENSOR: f"{nodes - len(silent)} of {counted(nodes, 'node')} answer, {counted(running, 'app')} running",
        SETPOINT: f"{counted(len(desired.instances), 'instance')} desired",
        COMPARATOR: f"{len(plan.steps)} to do" if plan.steps else "nothing to do",
    }


class Teller:
    """Of one cluster's loop. Steps end in any thread; all else is called by the one of the passes."""

    def __init__(self, tell: Callable[[Event], None], say: Callable[[str, str], None]) -> None:
        self._tell = tell
        self._say = say
        self._lock = threading.Lock()
        self._nodes: dict[str, NodeView] = {}
        self._faults: tuple[str, ...] = ()
        self._waits_told = Told()
        self._said: tuple[object, ...] = ()
        self._failures: dict[tuple[str, str], Failure] = {}

    def tell_of_step(self, step: Step, failure: DuckconfError | None, seconds: float) -> None:
        """A failure is told once for each reason until the step succeeds, not at each try."""
        event, where = outcome(step, failure, seconds), (step.action.node, step.action.container)
        with self._lock:
            before = self._failures.pop(where, None)
            if failure is not None and event.kind == STEP_FAILED:
                self._failures[where] = failure_of(step, event)
            known = before is not None and self._failures.get(where) == before
        if not known:
            self._tell(event)

    def forget_failures(self, desired: Desired) -> None:
        """An app that is declared again begins anew."""
        with self._lock:
            old = [where for where, known in self._failures.items() if desired.complete and known.of not in desired.instances]
            # A container that cannot be removed is nobody's.
            for where in [where for where in old if self._failures[where].of]:
                del self._failures[where]
            while len(self._failures) > MOST_FAILURES:
                del self._failures[next(iter(self._failures))]

    def say(self, sensed: Sensed, desired: Desired, faults: Sequence[str], plan: Plan, lost: Collection[str]) -> None:
        """The pass in words, when it has something to do or something new to say."""
        notes = [f"{name}: {note}" for name, note in plan.notes.items() if note != UNDER_WAY]
        silent, words = sensed.silent, told_of_pass(sensed, desired, plan)
        if not plan.steps and any(reason == NOT_YET and self._is_ready(node) for node, reason in silent.items()):
            # A node that is only slow in this pass: the next one knows better, and a busy machine has many such passes.
            return
        said = (tuple(sorted(silent)), tuple(sorted(sensed.unreadable)), tuple(faults), tuple(notes), frozenset(lost))
        if not plan.steps and said == self._said:
            return
        self._said = said
        say = self._say
        say("SENSOR", words[SENSOR])
        for node, (_, reason) in sorted(sensed.unreadable.items()):
            say("SENSOR", f"{node} {reason}")
        for node, reason in sorted(silent.items()):
            say("SENSOR", f"{node} is {LOST if node in lost else UNREACHABLE}: {reason}")
        say("SETPOINT", words[SETPOINT])
        for fault in faults:
            say("SETPOINT", fault)
        say("COMPARATOR", words[COMPARATOR])
        for note in notes:
            say("COMPARATOR", note)

    def _is_ready(self, node: str) -> bool:
        return node in self._nodes and self._nodes[node].status == READY

    def tell_of_nodes(self, nodes: Sequence[str], sensed: Sensed, lost: Collection[str]) -> dict[str, NodeView]:
        """What became of the nodes, and how each is now."""
        before = self._nodes
        views = sensed.views(before, lost)
        self._nodes = {node: views[node] for node in nodes}
        for node, view in self._nodes.items():
            if node in before and view.status != before[node].status:
                self._tell(turn(node, view))
        return self._nodes

    def tell_of_faults(self, faults: Sequence[str]) -> None:
        for fault in faults:
            if fault not in self._faults:
                self._tell(Event("bad-state", fault))
        if self._faults and not faults:
            self._tell(Event("state-mended", mended(self._faults)))
        self._faults = tuple(faults)

    def tell_of_unplaced(self, views: Sequence[AppView]) -> None:
        # What is declared again while its container is being removed waits for that alone.
        waiting = [view for view in views if view.state == PENDING and view.desired == "yes" and view.note != UNDER_WAY]
        for name, why in [(view.instance, view.note) for view in waiting]:
            if self._waits_told.is_news(app_of(name), why):
                self._tell(Event("pending", why, app_of(name), instance=name))
        # Told once for each reason until all of its instances run, not at each try.
        self._waits_told.keep({view.app for view in views if view.desired == "yes" and view.state != "running"})

    def tell_of_ends(self, ended: Mapping[str, Over]) -> None:
        """Once: after that, the placement has the record."""
        for name, over in ended.items():
            if over.is_news:
                kind = "job-failed" if over.end.code else "job-done"
                words = f"{name}: {over.end.state}" + (f", {over.why}" if over.end.code else "")
                self._tell(Event(kind, words, app_of(name), over.place.node))
