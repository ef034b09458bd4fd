"""What must always hold, checked at every step against the truth, which the loop does not see.

Two containers may be in each other's way for a moment, and a right one may be started anew, only where the loop could
not know better; each such exception stands beside its rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Union

from controllers.reconciler import Reconciler
from duckconf.actions import Remove, Restart, Start
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.errors import DuckconfError
from duckconf.events import Event
from duckconf.globally import with_slots
from duckconf.health import BRAKE_FROM
from duckconf.healthcheck import UNHEALTHY
from duckconf.instance import Instance, instances_of
from duckconf.inventory import Inventory
from duckconf.model import App
from duckconf.naming import app_of
from duckconf.placement import Fleet, Placement
from duckconf.policies import policy_of
from duckconf.rebalancing import Way
from duckconf.rollout import starts_first
from tests.sim.engines import Box
from tests.sim.everywhere import Homes, is_alone, why_not_there
from tests.sim.finished import Finished
from tests.sim.pace import Pace
from tests.sim.promises import Promises
from tests.sim.under_way import LAST_WORDS, Job, Seen, Violation

if TYPE_CHECKING:
    from tests.sim.world import SimWorld

NODE_TIMEOUT = 20.0


@dataclass
class Watch:
    """The invariants of one world and of the reconciler that lives in it now."""

    world: SimWorld
    reconciler: Union[Reconciler, None] = None
    nodes: Sequence[str] = ()
    heard: dict[str, tuple[Container, ...]] = field(default_factory=dict)
    taken: dict[str, float] = field(default_factory=dict)
    garbled: set[str] = field(default_factory=set)
    desired: Desired = field(default_factory=Desired)
    meant: frozenset[str] = frozenset()
    _meant_of: dict[str, App] = field(default_factory=dict)
    homes: Homes = field(default_factory=Homes)
    everywhere: frozenset[str] = frozenset()
    """The apps that should have one instance on each node."""
    jobs: list[Job] = field(default_factory=list)
    read_first: dict[tuple[str, str], tuple[float, int]] = field(default_factory=dict)
    """Containers whose last words are read before something is done to them: when that began, and after how many looks."""
    looks: int = 0
    lost: frozenset[str] = frozenset()
    known: dict[str, Placement] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)
    last_asked: dict[str, float] = field(default_factory=dict)
    all_silent_at: float = float("-inf")
    issued_at_all: list[str] = field(default_factory=list)
    finished: Finished = field(default_factory=Finished)
    excused: int = 0

    def __post_init__(self) -> None:
        self.promises = Promises(self._require, self._is_proven)
        self.pace = Pace(self._require)

    def open_jobs(self) -> list[Job]:
        return [job for job in self.jobs if not job.ended]

    def begin_again(self) -> None:
        """A new process: it knows what is on disk, which is nothing until the placements were certain."""
        if not self._reconciler().book.certain:
            self.forget()
        self.jobs, self.lost, self.last_asked = [], frozenset(), {}
        self.all_silent_at = float("-inf")
        self.pace = Pace(self._require, self.pace.refused)

    def forget(self) -> None:
        """The placements are lost with the process."""
        self.forgotten = set(self.known)
        self.finished.specs.clear()

    # What the loop perceives in a pass.

    def begun(self, inventory: Inventory) -> None:
        """A pass has read the inventory."""
        self.nodes = inventory.nodes
        self.promises.sites = inventory.sites

    def sensed(self, looks: Mapping[str, Seen], desired: Desired) -> None:
        self.heard, self.taken, self.garbled = {}, {}, set()
        self.looks += 1
        for node, seen in looks.items():
            if seen.garbled and node in self.nodes:
                self.garbled.add(node)
                self.last_asked[node] = self.world.now() if node in self.lost else seen.asked
            found = seen.containers()
            if found is not None and node in self.nodes:
                self.heard[node], self.taken[node] = found, seen.taken
                # A node that was given up and is back gets a full timeout, however old the question was.
                self.last_asked[node] = self.world.now() if node in self.lost else seen.asked
        world, book = self.world, self._reconciler().book
        views = {node: self.heard.get(node) for node in self.nodes}
        fleet = Fleet(self.nodes, views, (), world.cordons | world.drains, frozenset(world.drains))
        self.everywhere = frozenset(desired.everywhere)
        self.desired = with_slots(desired, fleet, book.placements, self._unsettled(looks))
        desired = self.desired
        data = self._reconciler().data
        self.homes.note(self.heard, desired, self.nodes, data.held if data is not None else {}, book.placements)
        if self._meant_of != self.world.person.apps:
            self._meant_of = dict(self.world.person.apps)
            self.meant = frozenset(instances_of(self._meant_of.values()))
        self.promises.asked(desired.instances)
        self.known.update(self._reconciler().book.placements)
        self.forgotten -= set(self._reconciler().book.placements)
        if desired.complete:
            self.pace.forget(self._is_withdrawn)
            kept = {*desired.instances, *(job.step.instance for job in self.open_jobs())}
            self.known = {app: place for app, place in self.known.items() if app in kept or desired.is_unreadable(app)}

    def _unsettled(self, looks: Mapping[str, Seen]) -> set[str]:
        """Instances with an action that is under way, or ended after the oldest look that was answered was asked for."""
        oldest = min((looks[node].asked for node in self.heard), default=float("inf"))
        ended = {name for name, when in self._reconciler().settled_at.items() if when >= oldest}
        return self._reconciler().busy | ended

    def _is_withdrawn(self, name: str) -> bool:
        """Whether a person took the instance away: when they declare it again, it is tried as a new one. Where an app of mode
        global has all its nodes still, another number for its instance on one of them is no reason."""
        if name in self.desired.instances or self.desired.is_unreadable(name):
            return False
        place = self.known.get(name)
        return app_of(name) not in self.everywhere or (place is not None and place.node not in self.nodes)

    def passed(self, *, written: bool) -> None:
        """A pass is over: who was given up in it?"""
        self.homes.unsaved = set() if written else self.homes.unsaved
        now, nodes = self.world.now(), self.nodes
        lost = self._reconciler().health.lost
        answered = {*self.heard, *self.garbled}
        silent = [node for node in nodes if node not in answered and node not in self.lost]
        for node in lost - self.lost:
            self._require(node not in self.garbled, f"{node} is given up though it answers")
            self._require(bool(answered), f"{node} is given up though no node answers")
            self._require(
                len(nodes) < BRAKE_FROM or 2 * len(silent) <= len(nodes), f"{node} is given up though most fell silent together"
            )
            quiet = now - max(self.last_asked.get(node, now), self.all_silent_at)
            self._require(quiet >= NODE_TIMEOUT, f"{node} is given up after {quiet:.1f} s")
        # What is not remembered to be on a node that was given up, or is no node now, may start elsewhere, also after the next
        # restart. So may what was looked for on its node and was not there: a start may still have been on its way.
        away = {*lost, *({place.node for place in self.known.values()} - set(nodes))}
        for app in [app for app in self.forgotten if app in self.known]:
            node = self.known[app].node
            if node in away or (node in self.heard and not any(copy.instance == app for copy in self.heard[node])):
                del self.known[app]
        self._check_unplaced()
        book, history = self._reconciler().book, self._reconciler().history
        past = history.revisions if history is not None else {}
        going = {(job.step.action.node, job.step.action.container) for job in self.open_jobs()}
        self.promises.passed(self.desired.instances, self.heard, self.known, book.placements, past, self.forgotten, going)
        self.finished.note(self.desired, self.heard, book)
        if not answered:
            self.all_silent_at = now
        for node in nodes:
            self.last_asked.setdefault(node, now)
        for node in [node for node in self.last_asked if node not in nodes]:
            del self.last_asked[node]
        self.lost = lost

    def _check_unplaced(self) -> None:
        """An app loses its place only where its node refused it, where it was without the data that it has elsewhere, or where a
        move brought it that a person took back, or asked for again with another target."""
        reconciler = self._reconciler()
        gone = self.known.keys() & self.desired.instances.keys() - reconciler.book.placements.keys() - self.forgotten
        for app in sorted(gone):
            node = self.known.pop(app).node
            refused = any(
                item.node == node and (item.of_node or item.app == app_of(app)) for item in reconciler.refusals.values()
            )
            # The pass that took it away may have been the last of a loop that was killed.
            refused = refused or (node, app_of(app)) in self.pace.refused
            without_data = self.homes.of.get(app, node) != node
            accepted = self.homes.accepted.get(app, ()) if app not in self.world.moves else ()
            taken_back = any(move.source != node for move in accepted)
            wish = self.world.moves.get(app)
            taken_back = taken_back or (wish is not None and wish.source != node and wish.target not in ("", node))
            self._require(refused or without_data or taken_back, f"{app} is no longer placed on {node}, which did not refuse it")

    # What the loop does.

    def issued(self, job: Job) -> None:
        step, action = job.step, job.step.action
        known = action.node in self.heard and step.instance in self.desired.instances and self.desired.complete
        asked, looks = self.read_first.get((action.node, action.container), (float("-inf"), 0))
        if self.world.now() - asked <= LAST_WORDS and (self.looks > looks or not known):
            # It was decided on before its container's last words were read; since then everything may have changed.
            self.jobs = [*self.open_jobs(), job]
            return
        self._require(action.node in self.heard, f"{action} on a node that was not heard")
        self._require(step.app not in self.desired.unreadable, f"{action} though its row cannot be read")
        wanted = self.desired.instances.get(step.instance)
        self._require(wanted is not None or self.desired.complete, f"{action} though the desired state is incomplete")
        self.promises.acted(step, self.desired.instances, self.heard, self.known)
        same = [other for other in self.open_jobs() if other.step.instance == step.instance]
        if isinstance(action, Remove):
            self._check_removal(step.instance, action, wanted)
            self._require(all(isinstance(other.step.action, Remove) for other in same), f"{action} during another action")
        else:
            self._require(wanted is not None, f"{action}, which is not desired")
            self._require(not same, f"{action} during another action")
            assert isinstance(action, (Start, Restart))
            self._check_start(step.instance, action)
        siblings = self.desired.instances[step.instance].app.replicas if step.instance in self.desired.instances else 1
        self.pace.issued(step, self._spec_of(step.instance), siblings, self.world.now())
        self.jobs = [*self.open_jobs(), job]
        self.issued_at_all.append(step.instance)

    def ended(self, job: Job, failure: Union[DuckconfError, None]) -> None:
        job.ended, job.told = True, failure is None
        self.pace.ended(job.step, self._spec_of(job.step.instance), failure, self.world.now())

    def told(self, event: Event) -> None:
        self._require(": ;" not in event.message, f"an event without its reason: {event.message}")

    def touched(self, job: Job, box: Box) -> None:
        """A command changes a container that is there already."""
        action = job.step.action
        self._require(box.ours, f"{action} touches {box.name}, which is not ours")
        # A command that the loop has given up may arrive when its name belongs to a later placement of the same app.
        given_up = job.process != self.world.process or job.ended
        self._require(box.node == action.node or given_up, f"{action} touches {box.name} of {box.node}")
        self._require(box.instance == job.step.instance, f"{action} touches {box.name} of the app {box.app}")

    def _check_removal(self, app: str, action: Remove, wanted: Union[Instance, None]) -> None:
        target = next((copy for copy in self.heard[action.node] if copy.name == action.container), None)
        self._require(target is not None and target.instance == app, f"{action}, which was not seen as a copy of {app}")
        if wanted is None:
            self._require(app not in self.meant, f"{action} though nobody withdrew {app}")
            lone = app_of(app) in self.everywhere and is_alone(app, self.heard[action.node])
            self._require(not lone or action.node in self.world.drains_read, f"{action}, the only one on its node")
            return
        place = self._reconciler().book.placements[app]
        over = bool(place.end) and target is not None and target.spec != wanted.spec
        placed = (place.node, place.container) == (action.node, action.container)
        self._require(over or not placed, f"{action}, which is the placed copy")
        running = any(
            copy.name == place.container and copy.ready and copy.spec == self._spec_of(app)
            for copy in self.heard.get(place.node, ())
        )
        stops = self._way(app).source == action.node and not starts_first(wanted.app)
        self._require(running or bool(place.end) or stops, f"{action} though the placed copy was not seen running and well")

    def _check_start(self, app: str, action: Union[Start, Restart]) -> None:
        spec = self._spec_of(app)
        self._require(self.finished.specs.get(app) != spec, f"{action}, which is done")
        if app_of(app) in self.everywhere:
            places = self._reconciler().book.placements
            wrong = why_not_there(app, action.node, self.desired, places, self.world.drains_read)
            self._require(not wrong, f"{action}, {wrong}")
        placed = [copy for copy in self.heard[action.node] if copy.name == action.container]
        if isinstance(action, Restart) and action.unhealthy:
            sick = bool(placed) and placed[0].running and placed[0].health == UNHEALTHY
            self._require(sick, f"{action}, which was not seen unhealthy")
            return
        # What it has there is given up, and its copy may go when the one without data is ready.
        left = self.homes.left(app, action.node) or (self.world.moves[app].source if app in self.world.moves else "")
        elsewhere = [
            copy
            for found in self.heard.values()
            for copy in found
            if copy.instance == app and copy.running and copy.spec == spec and copy not in placed
            if copy.node not in (*self.world.drains_read, left)
            and self.promises.sites.allows(self.desired.instances[app].app, copy.node)
        ]
        # A placed copy that runs with another spec is replaced where it is, although a stale copy has the right one.
        replaced = bool(placed) and placed[0].running and placed[0].spec != spec
        moves = self._way(app).target == action.node or bool(self.homes.left(app, action.node))
        # A copy that a move which was taken back has left elsewhere is without the data, and so not the right one.
        moves = moves or self.homes.of.get(app) == action.node
        if app_of(app) in self.everywhere:
            # A late command left a copy with its number on a node that has an instance of its own.
            placed_now = self._reconciler().book.placements.items()
            own = {place.node for name, place in placed_now if app_of(name) == app_of(app) and name != app}
            elsewhere = [copy for copy in elsewhere if copy.node not in own]
        self._require(not elsewhere or replaced or moves, f"{action} though a right copy runs elsewhere")
        self._check_healthy(action, spec)
        home = self.homes.of.get(app, action.node)
        self._require(home in (action.node, left), f"{action} without its data, which is on {home}")
        old = self.known.get(app)
        # Who lost its memory can only know of what is there.
        there = app not in self.forgotten or (old is not None and self._runs(app, old))
        if old is not None and old.node not in (action.node, left) and not placed and there and app not in self.homes.of:
            gone = old.node not in self.nodes or old.node in self._reconciler().health.lost
            self._require(gone or old.node in self.heard, f"{action} away from {old.node}, which is only silent")
        state = placed[0].state if placed else ""
        held_still = state in ("paused", "stopping") and (state == "stopping" or placed[0].spec == spec)
        self._require(not held_still, f"{action}, which is {state}")

    def _way(self, app: str) -> Way:
        """Where a rebalance moves it, if it does: what was decided is on disk before it is done."""
        book = self._reconciler().rebalances
        return book.progress.moving.get(app, Way("", "")) if book is not None else Way("", "")

    def _runs(self, app: str, place: Placement) -> bool:
        box = self.world.nodes[place.node].engine.boxes.get(place.container)
        return box is not None and (box.node, box.instance, box.state) == (place.node, app, "running")

    def _is_proven(self, copy: Container, app: App) -> bool:
        """One without a check counts from when the loop knew that it runs, or that it runs again."""
        past = self._reconciler().tries.get(copy.instance)
        since = max(copy.started, past.since if past is not None and past.spec == copy.spec else 0.0)
        return bool(copy.health) or self.world.now() - since >= policy_of(app.update_config, app.replicas).monitor

    def _check_healthy(self, action: Union[Start, Restart], spec: str) -> None:
        """A right container is not started anew.

        Excused: it became right after the snapshot was taken, by a person's hand, or by a command of which the loop
        only knows that it may have run: the answer was lost, or the loop was killed before it came.
        """
        box = self.world.nodes[action.node].engine.boxes.get(action.container)
        if box is None or box.node != action.node or not box.ours or box.state != "running" or box.spec != spec:
            return
        self._require(box.since > self.taken[action.node], f"{action} though it was seen running")
        doer = box.doer
        known = isinstance(doer, Job) and doer.told and doer.process == self.world.process
        self._require(not known, f"{action} on a look that is older than its own start")
        self.excused += 1
        self.world.note("excused", f"{action}: it runs since {box.since:.3f}, the look is of {self.taken[action.node]:.3f}")

    def _spec_of(self, app: str) -> str:
        """What it should run now: during an update, that is not yet what is desired."""
        place = self._reconciler().book.placements.get(app)
        if place is not None and place.spec:
            return place.spec
        return self.desired.instances[app].spec if app in self.desired.instances else ""

    def _reconciler(self) -> Reconciler:
        assert self.reconciler is not None
        return self.reconciler

    def _require(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise Violation(otherwise)
