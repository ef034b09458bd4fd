"""The reconciler's judgement: one pass from what was sensed to the steps to take, and what each outcome teaches it.

It has no thread, no clock and no connection: `cycle.py` gives it those. All times are seconds of the caller's clock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Union

from controllers.placements import Book
from duckconf import backoff
from duckconf.actions import Remove, Start
from duckconf.backoff import Tries
from duckconf.codec import spec_hash
from duckconf.decision import Decision, Memory, decide, next_generation
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.errors import DuckconfError, EngineRefused, NodeFailure, NodeFull, NotFound
from duckconf.health import Health, judge, next_verdict
from duckconf.naming import declared_app
from duckconf.overview import AppView, overview
from duckconf.placement import Fleet, Placement
from duckconf.plan import Step

# Seconds for which a node that had no space for an app gets no other one, if another node fits.
FULL_FOR = 60.0

Heard = tuple[float, tuple[Container, ...]]


@dataclass(frozen=True)
class Verdict:
    """What one pass decided, with the rows that show it."""

    decision: Decision
    apps: tuple[AppView, ...]


@dataclass
class Reconciler:
    """The control loop of one cluster, but for its effects."""

    cluster: str
    book: Book
    node_timeout: float
    health: Health = field(default_factory=Health)
    tries: dict[str, Tries] = field(default_factory=dict)
    removals: dict[tuple[str, str], Tries] = field(default_factory=dict)
    full_until: dict[str, float] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)
    specs: dict[str, str] = field(default_factory=dict)
    settled_at: dict[str, float] = field(default_factory=dict)

    def decide(
        self,
        desired: Desired,
        nodes: Collection[str],
        heard: Mapping[str, Heard],
        cordoned: Collection[str],
        now: float,
        oldest_open: float = float("inf"),
        draining: Collection[str] = (),
    ) -> Verdict:
        """`heard` has for each node that answered when it was asked, and its containers; `oldest_open` is when the
        oldest look that is not answered yet was asked for; `draining` nodes are emptied.

        Apps of returned steps are busy until `settle` is called for each step. Raises OSError when placements cannot
        be kept; nothing is to be done then.
        """
        self.health = judge(self.health, nodes, {node: asked for node, (asked, _) in heard.items()}, now, self.node_timeout)
        views: dict[str, Union[tuple[Container, ...], None]] = {node: heard[node][1] if node in heard else None for node in nodes}
        fleet = Fleet(tuple(nodes), views, self.health.lost, cordoned, draining, full=self.without_space(now))
        certain = self.book.certain or all(node in heard or node in self.health.lost for node in nodes)
        self._look_after(desired, fleet, now)
        memory = Memory(self.book.placements, self.tries, certain, self._unsettled(heard, oldest_open), self.removals)
        decision = decide(self.cluster, desired, fleet, memory, now)
        self._remember(decision.placements, certain)
        steps = decision.plan.steps
        self.busy |= {step.app for step in steps}
        self.specs.update({step.app: spec_hash(desired.apps[step.app]) for step in steps if step.app in desired.apps})
        return Verdict(decision, overview(desired, fleet, decision, memory))

    def settle(self, step: Step, failure: DuckconfError | None, now: float, *, last: bool) -> None:
        """A step has ended; `last` when no other step of its app is under way."""
        if last:
            self.busy.discard(step.app)
            self.settled_at[step.app] = now
        if isinstance(step.action, Remove):
            self._settle_removal(step.action, failure, now)
            return
        spec = self.specs.get(step.app, "")
        tries = self.tries.get(step.app)
        if tries is None or tries.spec != spec:
            tries = Tries(spec)
        if failure is None:
            self.tries[step.app] = backoff.after_start(tries, now)
            if isinstance(step.action, Start):
                self.full_until.pop(step.action.node, None)
        elif isinstance(failure, NodeFull):
            self.full_until[step.action.node] = now + FULL_FOR
            self.tries[step.app] = _at_once(tries, backoff.after_refusal(tries, now, failure.message), now)
        elif not isinstance(failure, (NodeFailure, NotFound)):
            refused = backoff.after_refusal(tries, now, str(failure))
            if name_is_taken(step, failure):
                self._rename(step.app)
                refused = _at_once(tries, refused, now)
            self.tries[step.app] = refused

    def without_space(self, now: float) -> set[str]:
        """Nodes that had no space for an app a short while ago."""
        return {node for node, end in self.full_until.items() if end > now}

    def wake_after(self, heard: Collection[str], now: float) -> float | None:
        """Seconds until something is due without an event: an app held back, a silent node."""
        waits = [tries.not_before - now for tries in (*self.tries.values(), *self.removals.values()) if tries.not_before > now]
        verdict = next_verdict(self.health, heard, now, self.node_timeout)
        return min([*waits, *([] if verdict is None else [verdict])], default=None)

    def _settle_removal(self, action: Remove, failure: DuckconfError | None, now: float) -> None:
        where = (action.node, action.container)
        if isinstance(failure, EngineRefused):
            self.removals[where] = backoff.after_refusal(self.removals.get(where, Tries("")), now, failure.message)
        elif failure is None:
            self.removals.pop(where, None)

    def _unsettled(self, heard: Mapping[str, Heard], oldest_open: float) -> set[str]:
        """Apps with an action under way, or one that ended after the oldest of these looks was asked for."""
        oldest = min((asked for asked, _ in heard.values()), default=oldest_open)
        self.settled_at = {app: when for app, when in self.settled_at.items() if when >= min(oldest, oldest_open)}
        return self.busy | {app for app, when in self.settled_at.items() if when >= oldest}

    def _look_after(self, desired: Desired, fleet: Fleet, now: float) -> None:
        if desired.complete:
            for name in [name for name in self.tries if name not in desired.apps and name not in desired.unreadable]:
                del self.tries[name]
        seen = {(copy.node, copy.name) for copies in fleet.copies.values() for copy in copies}
        self.removals = {
            where: past for where, past in self.removals.items() if where in seen or fleet.views.get(where[0]) is None
        }
        for name, tries in self.tries.items():
            if any(copy.running for copy in fleet.copies.get(name, ())):
                self.tries[name] = backoff.after_look(tries, now)

    def _rename(self, app: str) -> None:
        """Something that is not ours to remove, such as the copy on a silent node, has the container's name."""
        if app in self.book.placements:
            place, generation = self.book.placements[app], next_generation(self.book.placements, Fleet((), {}))
            container = f"{declared_app(self.cluster, app)}.{generation}"
            self._remember({**self.book.placements, app: Placement(place.node, container, generation)}, self.book.certain)

    def _remember(self, placements: Mapping[str, Placement], certain: bool) -> None:
        """On disk only once they are certain: a file would make the next process believe that they are all there are."""
        if certain:
            self.book.keep(placements)
            self.book.certain = True
        else:
            self.book.placements = placements


def _at_once(before: Tries, refused: Tries, now: float) -> Tries:
    """Under another name or on another node it may do: the first time there is nothing to wait for."""
    return refused if before.strikes else replace(refused, not_before=now)


def name_is_taken(step: Step, failure: DuckconfError | None) -> bool:
    """Whether the engine refused only the container's name, which another node's copy may hold on a shared engine."""
    return isinstance(failure, EngineRefused) and failure.conflict and step.action.container in failure.message
