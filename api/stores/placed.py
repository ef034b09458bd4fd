"""Who has which app: an index over the state and the nodes' reports, and the watches of agents and scheduler.

Each node has a revision of its own, so that a change wakes the agents that it concerns and nobody else: the cost of a
node does not grow with their number. The node "" stands for the apps that are not placed.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from api.stores import moves
from api.stores.changes import Changes
from api.stores.data import HeldData
from api.stores.given import Given, is_over
from api.stores.nodes import READY, UNREACHABLE, UNREADABLE, NodeBook, Seen
from api.stores.watches import Watches
from duckconf.by_revision import as_meant, is_at_rest
from duckconf.desired import Readable
from duckconf.errors import NotNow
from duckconf.instance import Instance
from duckconf.model import App
from duckconf.naming import app_of
from duckconf.place_kinds import GLOBAL
from duckconf.rollout import History
from duckconf.sites import NOWHERE, Sites
from duckconf.told import Told

UNPLACED = ""
# Wakes who decides on updates. No node has this name.
UPDATES = "*updates"
# Wakes who decides on a rebalance. No node has this name.
REBALANCE = "*rebalance"
# Wakes who runs a front. No node has this name.
FRONT = "*front"


class Share(NamedTuple):
    """What one agent should make true: its instances, and those of which its copy must stay for now."""

    revision: int
    instances: tuple[Instance, ...]
    kept: tuple[str, ...]


class PlacedIndex:
    """Instances by node. `see` is the state's observer, `report` is called with every heartbeat."""

    def __init__(
        self,
        nodes: NodeBook,
        resolve: Callable[[App], App] = lambda app: app,
        sites: Sites = NOWHERE,
        past: Callable[[str], History] = lambda app: (),
    ) -> None:
        """`resolve` gives an app the revisions of its secrets, `past` has the revisions of each app."""
        self._nodes = nodes
        self.resolve = resolve
        self.past = past
        self.sites = sites
        self._lock = threading.RLock()
        self._watches = Watches(self._lock, nodes.first_revision)
        self._apps: dict[str, dict[str, Instance]] = {}
        self._by_node: dict[str, dict[str, Instance]] = {UNPLACED: {}}
        self._copies: dict[str, set[str]] = {}
        self.given = Given(self._lock)
        self.misplaced: set[str] = set()
        """Instances on a node which their app's pattern does not mean."""
        # Until the state was read.
        self._readable = Readable(complete=False)
        self._kept: dict[str, tuple[str, ...]] = {}
        self.moving: frozenset[str] = frozenset()
        """Apps that a rebalance moves now."""
        self._stopping: set[str] = set()
        """Instances on their way whose old copy ends before the new one starts."""
        self._withheld: dict[str, frozenset[str]] = {}
        self.notes: dict[str, str] = {}
        """Why instances have no node, and apps of mode global none on some nodes, as the scheduler told."""
        self._told = Told()
        self._places_told: dict[str, set[str]] = {}
        self.data = HeldData()
        self.everywhere: dict[str, App] = {}
        """The apps of mode global."""
        self.routed: dict[str, App] = {}
        """The apps that a front serves."""
        self.restless: dict[str, App] = {}
        """Apps whose update is not done, at the revisions of their secrets."""
        self.updates: dict[str, str] = {}
        """How far the update of each of them is."""

    def waits(self, name: str, reason: str) -> bool:
        """Note why an instance, or an app of mode global, has no node; whether that is news: it was not told since the app ran
        last."""
        with self._lock:
            self.notes[name] = reason
            return self._told.is_news(app_of(name), reason)

    def is_news(self, instance: Instance) -> bool:
        """Note that an instance has this node now, or none; whether that is news: one that a node refuses comes back to it again
        and again, and is told once until it runs."""
        with self._lock:
            told = self._places_told.setdefault(instance.name, set())
            before = instance.node in told
            told.add(instance.node)
        return not before

    def see(self, changes: Changes, found: Readable) -> None:
        """Take over what changed in the state, and what of it cannot be read."""
        with self._lock:
            if found != self._readable:
                self._readable = found
                self._watches.bump(self._nodes.nodes)
            self.see_again(changes)

    def tidy(self) -> None:
        """Forget the data of apps that are withdrawn, on nodes that are none any more."""
        lost = self.data.of_withdrawn(self._nodes.nodes, lambda app: app in self._apps or app in self._readable.unreadable)
        if lost and self._readable.complete:
            with contextlib.suppress(OSError, NotNow):
                self.data.forget(*lost)

    def see_again(self, changes: Changes) -> None:
        """Take over these apps, also when only what `resolve` says of them has changed."""
        touched: set[str] = set()
        with self._lock:
            for name, app in changes.items():
                before = self._apps.pop(name, {})
                now = self._instances(app) if app is not None else {}
                if app is not None:
                    self._apps[name] = now
                touched |= self._watch_update(name, app) | self._watch_everywhere(name, app) | self._watch_routes(name, app)
                if app is None or name not in self.everywhere:
                    self._forget_notes(before, now)
                left = [one for key, one in before.items() if key in now and not now[key].node]
                if app is None or any((seen := self.seen(one)) and seen.running for one in left):
                    self._told.forget(name)
                for instance in {**before, **now}:
                    if instance not in now or (instance in before and before[instance].app != now[instance].app):
                        self._places_told.pop(instance, None)
                    if before.get(instance) != now.get(instance):
                        touched |= self._replace(before.get(instance), now.get(instance))
                        touched |= self._copies.get(instance, set())
            self._watches.bump(touched)

    def _instances(self, app: App) -> dict[str, Instance]:
        return {one.name: one for one in as_meant(self.resolve(app), self.past(app.name))}

    def _forget_notes(self, before: Mapping[str, Instance], now: Mapping[str, Instance]) -> None:
        """Of instances that have another node than before, or none any more."""
        for name, one in before.items():
            if name not in now or now[name].node != one.node:
                self.notes.pop(name, None)

    def _watch_update(self, name: str, app: App | None) -> set[str]:
        """Note whether the app has an update to decide on; whom that concerns."""
        before = self.restless.pop(name, None)
        resolved = self.resolve(app) if app is not None else None
        if resolved is None or is_at_rest(resolved, self.past(name)):
            self.updates.pop(name, None)
            return set()
        self.restless[name] = resolved
        return {UPDATES} if resolved != before else set()

    def _watch_everywhere(self, name: str, app: App | None) -> set[str]:
        """Whom it concerns that an app of mode global has changed."""
        before = self.everywhere.pop(name, None)
        if app is not None and app.mode == GLOBAL:
            self.everywhere[name] = app
        return {UNPLACED} if before is not None or name in self.everywhere else set()

    def _watch_routes(self, name: str, app: App | None) -> set[str]:
        """Whom it concerns that an app which a front serves has changed."""
        before = self.routed.pop(name, None)
        if app is not None and app.routes:
            self.routed[name] = app
        return {FRONT} if before is not None or name in self.routed else set()

    def _replace(self, before: Instance | None, now: Instance | None) -> set[str]:
        """The nodes that it concerns."""
        concerned = {instance.node for instance in (before, now) if instance is not None}
        if before is not None:
            self._by_node[before.node].pop(before.name, None)
            self.given.count(before, -1)
            if before.name in self.misplaced:
                self.misplaced.discard(before.name)
                concerned.add(UNPLACED)
        if now is not None:
            self._by_node.setdefault(now.node, {})[now.name] = now
            self.given.count(now, 1)
            # The scheduler takes the slot from an app of mode global, which moves nowhere.
            if now.node and now.app.mode != GLOBAL and not self.sites.allows(now.app, now.node):
                self.misplaced.add(now.name)
                concerned.add(UNPLACED)
        return concerned

    def report(self, node: str, before: Iterable[Seen], now: Iterable[Seen]) -> None:
        """Take over what a node reported. Whoever holds back a stale copy for one of its apps may let go now."""
        if self.restless and any(seen.app in self.restless for seen in {*before} ^ {*now}):
            with self._lock:
                self._watches.bump([UPDATES])
        if self.routed and self._served(before) != self._served(now):
            with self._lock:
                self._watches.bump([FRONT])
        had = {(seen.instance, seen.running, seen.ready) for seen in before}
        has = {(seen.instance, seen.running, seen.ready) for seen in now}
        if had == has:
            return
        with self._lock:
            for name, running, _ in has - had:
                if running:
                    self._told.forget(app_of(name))
                    self._places_told.pop(name, None)
            for name, *_ in had - has:
                self._copies.get(name, set()).discard(node)
            for name, *_ in has:
                self._copies.setdefault(name, set()).add(node)
            if self.moving and any(app_of(name) in self.moving for name, *_ in had ^ has):
                self._watches.bump([REBALANCE])
            concerned = {other for name, *_ in had ^ has for other in self._copies.get(name, set())} | {node}
            self._watches.bump(place for name, *_ in had - has if (place := self._stopped(name)))
            self._watches.bump(other for other in concerned if self._kept_now(other) != self._kept.get(other, ()))
            if self.misplaced:
                self._watches.bump([UNPLACED])

    def _served(self, found: Iterable[Seen]) -> set[tuple[str, tuple[str, ...]]]:
        """The containers among these that a front may lead to."""
        return {(seen.container, seen.ports) for seen in found if seen.ready and seen.app in self.routed}

    def share(self, node: str) -> Share:
        with self._lock:
            kept = self._kept_now(node) if node else ()
            self._kept[node] = kept
            mine = self._by_node.get(node, {})
            before, now = self._withheld.get(node, frozenset()), frozenset(name for name in mine if self._waits(name, node))
            self._withheld[node] = now
            if before - now:
                self._watches.bump([node])
            return Share(self._watches.revision(node), tuple(one for name, one in mine.items() if name not in now), kept)

    def stop_first(self, instances: Iterable[str], *, stops: bool) -> None:
        """Note that these end where they run before they start where they are placed next, or that they do not."""
        with self._lock:
            self._stopping = self._stopping | {*instances} if stops else self._stopping - {*instances}

    def _waits(self, name: str, node: str) -> bool:
        """Whether the node may not start it yet, because a node that answers still has its old copy."""
        others = self._copies.get(name, set()) - {node} if name in self._stopping else ()
        return any(self._nodes.status(other) == READY for other in others)

    def _stopped(self, name: str) -> str:
        """The node where the instance may start now, because its old copy has ended; "" for none."""
        instance = self.instance(name) if name in self._stopping else None
        if instance is None or self._copies.get(name, set()) - {instance.node}:
            return ""
        self._stopping.discard(name)
        return instance.node

    def wake(self, node: str) -> None:
        self._watches.bump([node])

    def wait(self, node: str, since: int, seconds: float) -> None:
        """Return when the node's revision is another one than `since`, or after `seconds`."""
        self._watches.wait(node, since, seconds)

    def count(self, node: str) -> int:
        """The instances that have work there: those that are over take nothing."""
        return sum(not is_over(instance) for instance in tuple(self._by_node.get(node, {}).values()))

    def instance(self, name: str) -> Instance | None:
        return self._apps.get(app_of(name), {}).get(name)

    def nodes_of(self, name: str) -> set[str]:
        """The nodes that have a container of the instance, as last reported."""
        return set(self._copies.get(name, ()))

    def every_instance(self) -> list[Instance]:
        return [one for app in tuple(self._apps.values()) for one in app.values()]

    def moves(self) -> list[Instance]:
        """Those that should leave their node although it answers."""
        with self._lock:
            return moves.due(self, self._nodes)

    def note_data(self, node: str, containers: Iterable[Seen]) -> None:
        """Note which node has the data of the instances that run there, where they are placed. Raises OSError."""
        ran = [one for seen in containers if seen.has_run and (one := self.instance(seen.instance)) is not None]
        self.data.note(node, [one for one in ran if one.node == node])

    def siblings(self, app: str) -> list[str]:
        """The nodes of an app's instances, one for each."""
        return [instance.node for instance in self._apps.get(app, {}).values() if instance.node]

    def seen(self, instance: Instance) -> Seen | None:
        """The container of an instance on its node, as last reported: of several that run, one that serves, of these the one
        with the spec that it was placed to run, and then the newest."""
        if not instance.node or instance.node not in self._nodes.nodes:
            return None
        copies = self._nodes.nodes[instance.node].copies.get(instance.name, ())
        return max(copies, key=lambda seen: (seen.running, seen.ready, seen.spec == instance.spec, seen.generation), default=None)

    def copies(self, instance: Instance) -> list[Seen]:
        """Its containers, as they were last reported: those of its node, and those that are still elsewhere."""
        with self._lock:
            nodes = self._copies.get(instance.name, set()) | {instance.node}
        known = [self._nodes.nodes[node] for node in sorted(nodes) if node in self._nodes.nodes]
        return [seen for node in known for seen in node.copies.get(instance.name, ())]

    def serving(self, instance: Instance, spec: str = "") -> tuple[str, Seen] | None:
        """A node where a container of it still runs, and that; made from `spec` if that is given."""
        with self._lock:
            nodes = sorted(self._copies.get(instance.name, ()))
        for node in nodes:
            for seen in self._nodes.nodes[node].copies.get(instance.name, ()):
                if seen.running and spec in ("", seen.spec):
                    return node, seen
        return None

    def instances(self, app: str) -> list[Instance]:
        """By slot, each with the spec that it was placed to run."""
        return list(self._apps.get(app, {}).values())

    def _kept_now(self, node: str) -> tuple[str, ...]:
        seen = self._nodes.nodes[node].containers if node in self._nodes.nodes else ()
        others = {one.instance: one for one in seen if one.instance not in self._by_node.get(node, {})}
        # Of a stack, what an old container there depends on stays until that has gone.
        users = [one for other in others.values() if other.running for one in self.instances(other.app)[:1]]
        needed = {app for one in users for app in one.app.depends_on} & self._apps.keys()
        return tuple(sorted(name for name in others if self._must_stay(name) or app_of(name) in needed))

    def _must_stay(self, name: str) -> bool:
        if app_of(name) in self._readable.unreadable:
            return True
        siblings = self._apps.get(app_of(name))
        if siblings is None:
            return not self._readable.complete
        instance = siblings.get(name)
        if instance is None or is_over(instance) or name in self._stopping:
            return False
        seen = self.seen(instance)
        return seen is None or not seen.ready or self._nodes.status(instance.node) in (UNREACHABLE, UNREADABLE)

    def revision(self, node: str) -> int:
        """Changes with what concerns the node, or what has such a name."""
        return self._watches.revision(node)
