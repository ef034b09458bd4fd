"""The words for what the control loop sees and does: events from turns of nodes and from the ends of steps. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from controllers.reconciler import name_is_taken
from duckconf.actions import Action, Remove, Restart, Start
from duckconf.codec import spec_hash
from duckconf.errors import DuckconfError, NotFound
from duckconf.events import Event
from duckconf.leaving import Where
from duckconf.plan import Step
from duckconf.report import LOST, READY, UNREADABLE, NodeView
from duckconf.told import IDS

STEP_FAILED = "failed"


def turn(node: str, now: NodeView) -> Event:
    """What became of a node."""
    if now.status == READY:
        return Event("node-back", f"{node}: ready again", node=node)
    if now.status == LOST:
        return Event("node-lost", f"{node}: lost ({now.reason}); rescheduling its apps", node=node)
    if now.status == UNREADABLE:
        words = f"{node}: {now.reason}; its apps count as running, nothing is done there"
        return Event("node-unreadable", words, node=node)
    return Event("node-silent", f"{node}: unreachable ({now.reason}); its apps count as running until node_timeout", node=node)


DONE: Mapping[type[Action], tuple[str, str]] = {
    Start: ("started", "started"),
    Restart: ("restarted", "started again"),
    Remove: ("removed", "removed"),
}


class Failure(NamedTuple):
    """What makes a failed step the same as the one before: the instance that should run (`of`), its spec, and the words, but for
    the ids in them. A removal is of no instance."""

    of: str
    spec: str
    words: str


def failure_of(step: Step, event: Event) -> Failure:
    spec = spec_hash(step.action.app) if isinstance(step.action, Start) else ""
    return Failure("" if isinstance(step.action, Remove) else step.instance, spec, IDS.sub("", event.message))


def outcome(step: Step, failure: DuckconfError | None, seconds: float) -> Event:
    """How a step ended. A name that is taken is no failure: the next try has another one. Nor is a container that somebody
    removed meanwhile."""
    if name_is_taken(step, failure):
        taken = f"{step.action.container} is the name of another container; the next attempt uses a new name"
        return Event("name-taken", taken, step.app, step.action.node)
    if isinstance(failure, NotFound):
        return Event("already-gone", f"{step.action.container} is not on {step.action.node} any more", step.app, step.action.node)
    if failure is not None:
        return Event(STEP_FAILED, f"{step.action} failed: {failure}", step.app, step.action.node)
    kind, verb = DONE[type(step.action)]
    return Event(kind, f"{verb} on {step.action.node} in {seconds:.2f} s: {step.reason}", step.app, step.action.node)


def late(containers: Collection[Where]) -> Iterable[Event]:
    """Those that are stopped although a front has them still."""
    for node, container in containers:
        words = f"{container} on {node} is stopped although a front still has it: its last requests did not end in time"
        yield Event("front-late", words, node=node)
