"""The reconciler's judgement: one pass from what was sensed to the steps to take, and what each outcome teaches it.

It has no thread, no clock and no connection: `cycle.py` gives it those. All times are seconds of the caller's clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Union

from controllers.images import Images
from duckconf import backoff
from duckconf.actions import Remove, Restart
from duckconf.backoff import Tries
from duckconf.balance_seen import Wish
from duckconf.deadline import with_waits
from duckconf.decision import Decision, Memory, decide, next_generation
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.errors import DuckconfError, EngineRefused, NodeFailure, NodeRefused, NotFound
from duckconf.facts import Facts
from duckconf.globally import with_slots
from duckconf.health import Health, judge, next_verdict
from duckconf.healthcheck import UNHEALTHY
from duckconf.instance import Instance
from duckconf.leaving import NO_FRONT, Fronted, Where
from duckconf.naming import app_of, declared_container
from duckconf.overview import AppView, overview
from duckconf.pins import Pinned, Question, given, pinned
from duckconf.placement import Fleet, Placement
from duckconf.plan import Step
from duckconf.reach.state.data import Data
from duckconf.reach.state.placements import Book
from duckconf.reach.state.rebalances import Rebalances
from duckconf.reach.state.revisions import Revisions
from duckconf.rebalancing import MANUAL
from duckconf.refusal import Refusal, active, after_success, refused, remembered, with_siblings
from duckconf.restart import lives_after, policy_of
from duckconf.rollout import Revision
from duckconf.sites import NOWHERE, Sites

Heard = tuple[float, tuple[Container, ...]]


@dataclass(frozen=True)
class Outcome:
    """A revision that this pass judged, with node and name of the containers that were made from it."""

    app: str
    revision: Revision
    note: str
    containers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What one pass decided, with the rows that show it."""

    decision: Decision
    apps: tuple[AppView, ...]
    outcomes: tuple[Outcome, ...] = ()
    questions: tuple[Question, ...] = ()
    """What is to be asked now; each answer is for `images`."""


@dataclass
class Reconciler:
    """The control loop of one cluster, but for its effects."""

    cluster: str
    book: Book
    node_timeout: float
    health: Health = field(default_factory=Health)
    tries: dict[str, Tries] = field(default_factory=dict)
    removals: dict[tuple[str, str], Tries] = field(default_factory=dict)
    missed: dict[tuple[str, str], Tries] = field(default_factory=dict)
    """Containers that were seen and then not found: a moment later none is seen, or the node's two answers differ."""
    refusals: dict[tuple[str, str], Refusal] = field(default_factory=dict)
    asked: Mapping[str, int] | None = None
    history: Revisions | None = None
    """The revisions of the apps; None where another process decides on updates."""
    rebalances: Rebalances | None = None
    """What is asked for and done of them; None where another process decides on that."""
    data: Data | None = None
    """Which node has the data of each instance; None where another process decides on placement."""
    only_mine: bool = False
    """Whether this loop sees one node's share only: an app that is not in it may come back."""
    images: Images = field(default_factory=Images)
    busy: set[str] = field(default_factory=set)
    starting: set[Where] = field(default_factory=set)
    meant: dict[str, Instance] = field(default_factory=dict)
    settled_at: dict[str, float] = field(default_factory=dict)
    leaving: Mapping[Where, float] = field(default_factory=dict)
    """Since when containers leave the fronts; who begins anew gives them their whole time."""
    _due: float | None = None
    looked_too_early: set[str] = field(default_factory=set)
    """Apps that the last pass left alone because a look of it was older than the end of their action."""

    def decide(
        self,
        desired: Desired,
        nodes: Collection[str],
        heard: Mapping[str, Heard],
        cordoned: Collection[str],
        now: float,
        oldest_open: float = float("inf"),
        draining: Collection[str] = (),
        facts: Mapping[str, Facts] = MappingProxyType({}),
        asked: Mapping[str, int] = MappingProxyType({}),
        unreadable: Mapping[str, float] = MappingProxyType({}),
        sites: Sites = NOWHERE,
        rebalance: str = MANUAL,
        fronted: Fronted = NO_FRONT,
    ) -> Verdict:
        """`heard` has for each node that answered when it was asked, and its containers. `unreadable` has when each node was
        asked whose answer cannot be read: its containers are unknown, and it is never lost. `oldest_open` is when the oldest
        look that is not answered yet was asked for. `asked` is how often a person asked for each node to be tried again.

        Instances of the returned steps are busy until `settle` is called for each step. Raises OSError when something cannot be
        kept; nothing is to be done then.
        """
        before = self.health.lost
        answered = {**{node: when for node, (when, _) in heard.items()}, **unreadable}
        self.health = judge(self.health, nodes, answered, now, self.node_timeout)
        self._try_again(desired, nodes, asked, before - self.health.lost, now)
        views: dict[str, Union[tuple[Container, ...], None]] = {node: heard[node][1] if node in heard else None for node in nodes}
        refusals = with_siblings(active(self.refusals, now), facts)
        fleet = Fleet(tuple(nodes), views, self.health.lost, cordoned, draining, refusals, facts, sites, tuple(unreadable))
        unsettled = self._unsettled(heard, oldest_open)
        desired = with_slots(desired, fleet, self.book.placements, unsettled)
        certain = self.book.certain or all(node in heard or node in self.health.lost for node in nodes)
        self._look_after(desired, fleet, now)
        memory = self._memory(certain, unsettled, rebalance, fronted)
        decision = decide(self.cluster, desired, fleet, memory, now)
        self.leaving = decision.leaving
        decision, found = self._pinned(decision, fleet, decision.desired or desired, memory.busy)
        outcomes = self._kept(decision, fleet, certain, now)
        self._begin(decision.plan.steps, (decision.desired or desired).instances)
        # Only when nothing can fail any more: each question that is given is asked. While there is something to do, nobody is
        # kept busy with what only helps later.
        questions = self.images.to_ask(found.questions, () if decision.plan.steps else found.more, now)
        return Verdict(decision, overview(desired, fleet, decision, memory), outcomes, questions)

    def _try_again(
        self, desired: Desired, nodes: Collection[str], asked: Mapping[str, int], returned: Collection[str], now: float
    ) -> None:
        """Nodes that have returned, and those of which a person asked it, are tried again at once."""
        again = {node for node, number in asked.items() if self.asked is not None and number != self.asked.get(node)}
        self.asked = asked
        self._review(desired, nodes, {*returned, *again}, now)
        self._end_pauses(again, now)

    def _memory(self, certain: bool, unsettled: Collection[str], rebalance: str, fronted: Fronted) -> Memory:
        return Memory(
            self.book.placements,
            self.tries,
            certain,
            unsettled,
            self.removals,
            self.missed,
            self.history.revisions if self.history is not None else None,
            Wish(self.rebalances.asked(), rebalance, self.rebalances.progress) if self.rebalances is not None else None,
            self.data.held if self.data is not None else None,
            self.data.moves() if self.data is not None else {},
            fronted,
            self.leaving,
            self.starting,
        )

    def _kept(self, decision: Decision, fleet: Fleet, certain: bool, now: float) -> tuple[Outcome, ...]:
        """Note all that the decision changes before anything is done; the revisions that it judged. Raises OSError."""
        if self.data is not None:
            self.data.keep(decision.data)
        outcomes = self._judged(decision, fleet)
        self.tries = with_waits(self.tries, decision, fleet, now)
        self._remember(decision.placements, certain)
        if self.rebalances is not None and decision.turn is not None:
            self.rebalances.keep(decision.turn.progress)
        self._due = None if decision.due is None else now + decision.due
        return outcomes

    def _begin(self, steps: Sequence[Step], wanted: Mapping[str, Instance]) -> None:
        self.busy |= {step.instance for step in steps}
        self.starting |= {(step.action.node, step.action.container) for step in steps if not isinstance(step.action, Remove)}
        self.meant.update({step.instance: wanted[step.instance] for step in steps if step.instance in wanted})

    def settle(self, step: Step, failure: DuckconfError | None, now: float, *, last: bool) -> None:
        """A step has ended; `last` when no other step of its instance is under way."""
        name = step.instance
        self.starting.discard((step.action.node, step.action.container))
        if last:
            self.busy.discard(name)
            self.settled_at[name] = now
        if isinstance(failure, NotFound):
            # Somebody removed it meanwhile, which is neither a crash nor a refusal: the next look shows what there is.
            where = (step.action.node, step.action.container)
            self.missed[where] = backoff.after_refusal(self.missed.get(where, Tries("")), now, failure.message)
            return
        if isinstance(step.action, Remove):
            self._settle_removal(step.action, failure, now)
            return
        app, generation = self.meant[name].app, self.meant[name].generation
        spec = self.meant[name].spec
        tries = self.tries.get(name)
        if tries is None or tries.spec != spec:
            tries = Tries(spec) if tries is None else Tries(spec, waits=tries.waits, awaited=tries.awaited)
        tries = backoff.after_try(tries, same_container=isinstance(step.action, Restart))
        if failure is None:
            self.tries[name] = backoff.after_start(tries, now, policy_of(app).pause, step.action.node)
            self.refusals = after_success(self.refusals, step.action.node, step.app, spec)
        elif isinstance(failure, NodeRefused):
            where = (step.action.node, step.app)
            self.refusals[where] = refused(self.refusals.get(where), app, failure, now, generation)
        elif not isinstance(failure, NodeFailure):
            denied = backoff.after_refusal(tries, now, str(failure))
            if name_is_taken(step, failure):
                self._rename(name)
                denied = _at_once(tries, denied, now)
            self.tries[name] = denied

    def _pinned(self, decision: Decision, fleet: Fleet, desired: Desired, busy: Collection[str]) -> tuple[Decision, Pinned]:
        """The decision with the image of each start, and with it what is to be asked for that."""
        if self.history is None:
            self.images.forget({app_of(name) for name in desired.instances})
            found = given(decision.plan, fleet, desired.instances, self.images.learned, self.images.absent)
            return replace(decision, plan=found.plan), found
        starting = {(self.meant[name].app.name, self.meant[name].spec) for name in busy if name in self.meant}
        self.images.forget(decision.history.keys())
        found = pinned(decision.plan, fleet, decision.history, self.images.learned, self.images.absent, starting)
        return replace(decision, plan=found.plan, history=found.history), found

    def _judged(self, decision: Decision, fleet: Fleet) -> tuple[Outcome, ...]:
        """Keep the revisions; those whose outcome is new. Raises OSError."""
        history = decision.history
        if self.history is None or history == self.history.revisions:
            return ()
        known = {(app, item.number): item.outcome for app, past in self.history.revisions.items() for item in past}
        news = [
            Outcome(app, past[-1], decision.rollouts.get(app, ""), tuple(_made_from(past[-1].spec, app, fleet)))
            for app, past in history.items()
            if past and past[-1].outcome and past[-1].outcome != known.get((app, past[-1].number))
        ]
        self.history.keep(history)
        return tuple(news)

    def wake_after(self, heard: Collection[str], now: float) -> float | None:
        """Seconds until something is due without an event: an app held back or refused, a silent node, a newer look."""
        if self.looked_too_early:
            return 0.0
        paused = (*self.tries.values(), *self.removals.values(), *self.missed.values())
        waits = [tries.not_before - now for tries in paused if tries.not_before > now]
        waits += [refusal.until - now for refusal in self.refusals.values() if refusal.until > now]
        waits += [self._due - now] if self._due is not None and self._due > now else []
        verdict = next_verdict(self.health, heard, now, self.node_timeout)
        return min([*waits, *([] if verdict is None else [verdict])], default=None)

    def _review(self, desired: Desired, nodes: Collection[str], returned: Collection[str], now: float) -> None:
        """Forget refusals that no longer count. With nobody elsewhere to ask, one that is withdrawn is forgotten too."""
        gone: set[str] = set()
        if desired.complete and not self.only_mine:
            wanted = {app_of(name) for name in (*desired.instances, *desired.kept, *desired.everywhere)}
            gone = {app for _, app in self.refusals} - wanted - desired.unreadable
        self.refusals = remembered(self.refusals, now, nodes=nodes, returned=returned, withdrawn=gone)

    def _end_pauses(self, nodes: Collection[str], now: float) -> None:
        """A person asked: an instance whose last start the engine of one of these nodes refused is tried at once."""
        for name, past in self.tries.items():
            place = self.book.placements.get(name)
            if past.words and place is not None and place.node in nodes:
                self.tries[name] = replace(past, not_before=now)

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
        self.looked_too_early = {app for app, when in self.settled_at.items() if when >= oldest}
        return self.busy | self.looked_too_early

    def _look_after(self, desired: Desired, fleet: Fleet, now: float) -> None:
        if desired.complete:
            for name in [name for name in self.tries if name not in desired.instances and not desired.is_unreadable(name)]:
                del self.tries[name]
        seen = {(copy.node, copy.name) for copies in fleet.copies.values() for copy in copies}
        for pauses in (self.removals, self.missed):
            for where in [where for where in pauses if where not in seen and fleet.views.get(where[0]) is not None]:
                del pauses[where]
        for name, tries in self.tries.items():
            lives = any(copy.running and copy.health != UNHEALTHY for copy in fleet.copies.get(name, ()))
            if lives and name in desired.instances:
                self.tries[name] = backoff.after_look(tries, now, lives_after(desired.instances[name].app))

    def _rename(self, instance: str) -> None:
        """Something that is not ours to remove, such as the copy on a silent node, has the container's name."""
        if instance in self.book.placements:
            place, generation = self.book.placements[instance], next_generation(self.book.placements, Fleet((), {}))
            container = f"{declared_container(self.cluster, instance)}.{generation}"
            self._remember(
                {**self.book.placements, instance: replace(place, container=container, generation=generation)}, self.book.certain
            )

    def _remember(self, placements: Mapping[str, Placement], certain: bool) -> None:
        """On disk only once they are certain: a file would make the next process believe that they are all there are."""
        if certain:
            self.book.keep(placements)
            self.book.certain = True
        else:
            self.book.placements = placements


def _made_from(spec: str, app: str, fleet: Fleet) -> Iterator[tuple[str, str]]:
    """Node and name of the containers, those in trouble first."""
    found = [copy for copies in fleet.copies.values() for copy in copies if copy.app == app and copy.spec == spec]
    return ((copy.node, copy.name) for copy in sorted(found, key=lambda copy: (copy.ready, copy.running)))


def _at_once(before: Tries, refused: Tries, now: float) -> Tries:
    """Under another name or on another node it may do: the first time there is nothing to wait for."""
    return refused if before.strikes else replace(refused, not_before=now)


def name_is_taken(step: Step, failure: DuckconfError | None) -> bool:
    """Whether the engine refused only the container's name, which another node's copy may hold on a shared engine."""
    return isinstance(failure, EngineRefused) and failure.conflict and step.action.container in failure.message
