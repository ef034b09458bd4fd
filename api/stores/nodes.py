"""What is known of the nodes: when each was last heard, what it reported, and whether it is cordoned.

Only the server's own clock counts. Heartbeats live in memory; what people decide (cordons) is kept safely before it is
acknowledged.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from api.stores.kept_nodes import Closed, KeptNodes
from duckconf.actions import Pin
from duckconf.codec import spec_hash
from duckconf.errors import Conflict, NotFound
from duckconf.facts import Facts
from duckconf.fleet_seen import NEVER_RAN
from duckconf.healthcheck import HEALTHY, NO_CHECK
from duckconf.model import App
from duckconf.naming import instance_name
from duckconf.overview import BACKOFF, STARTING
from duckconf.pins import Key
from duckconf.refusal import Refusal, shifted
from duckconf.suggest import meant

log = logging.getLogger(__name__)

READY = "ready"
SUSPECT = "suspect"
UNREACHABLE = "unreachable"
UNREADABLE = "unreadable"
WRITE_EVERY = 1.0


@dataclass(frozen=True)
class Seen:
    """One of our containers as a node's agent reported it."""

    app: str
    container: str
    state: str
    image: str = ""
    spec: str = ""
    generation: int = 0
    started: float = 0.0
    restarts: int = 0
    note: str = ""
    ports: tuple[str, ...] = ()
    slot: int = 1
    health: str = ""
    end: str = ""
    """The record of how it ended, of one that its agent does not start again."""
    steady: bool | None = None
    """Whether its agent counts it as ready; None from an agent that does not tell."""
    failed: str = ""
    """The hash of the spec that the node could not bring up for its instance, with the reason and what was printed last."""
    failure: str = ""
    said: str = ""
    image_id: str = ""
    leaving: bool = False
    """Whether it is about to be stopped, so that the fronts are to send it nothing more."""

    @functools.cached_property
    def instance(self) -> str:
        return instance_name(self.app, self.slot)

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def has_run(self) -> bool:
        """Not one that was only made, nor an instance that has no container yet, or of which only that is known."""
        return self.running or (self.started > 0 and self.state not in {*NEVER_RAN, STARTING, BACKOFF})

    @property
    def ready(self) -> bool:
        """Whether it serves: it runs, and its check has passed or it has been up for long enough."""
        if self.steady is not None:
            return self.steady
        return self.running and self.health in (NO_CHECK, HEALTHY)


@dataclass
class Node:
    """`heard` is on the server's monotonic clock; `known` says whether it was heard since the server started."""

    heard: float
    known: bool = False
    heartbeat: float = 0.0
    instance: str = ""
    cordoned: bool = False
    draining: bool = False
    """Whether the node-controller moves what runs there; it is cordoned then."""
    containers: tuple[Seen, ...] = ()
    copies: Mapping[str, Sequence[Seen]] = field(default_factory=dict)
    """The same by instance."""
    ready_since: Mapping[str, float] = field(default_factory=dict)
    """When each container that is ready was first reported so, on the server's monotonic clock."""
    refusals: tuple[Refusal, ...] = ()
    """What its engine refused to run, until when on the server's monotonic clock."""
    forgiven: frozenset[tuple[str, str, str, int]] = frozenset()
    """Refusals after which a person asked for the node to be tried again; the next one is another one."""
    asked: int = 0
    """How often a person asked for that."""
    facts: Facts = field(default_factory=Facts)
    unreadable: str = ""
    """Why its agent cannot read the answers of its engine; the containers are then those of an earlier heartbeat."""
    tells_images: bool = False
    """Whether its agent finds out the images of revisions."""


@dataclass(frozen=True)
class Report:
    """What an agent tells with a heartbeat; its refusals hold for the seconds that are in their `until`."""

    instance: str
    containers: tuple[Seen, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    facts: Facts = field(default_factory=Facts)
    unreadable: str = ""
    images: Mapping[Key, Pin] | None = None
    """Those of revisions, by app and spec; None from an agent that does not know of that."""


class NodeBook:
    """The nodes of one cluster, for many threads of one process. `changed` is called after each report that differs."""

    def __init__(
        self, kept: KeptNodes, names: Sequence[str], timeout: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`timeout` is node_timeout in seconds. Raises OSError when it cannot be written who is known."""
        self._kept = kept
        self._clock = clock
        self.timeout = timeout
        self._lock = threading.Lock()
        self._news = threading.Condition()
        self._ended = threading.Event()
        # Grows with every start, also when what was kept is lost: revisions handed out before are never given again.
        self.revision = kept.epoch << 10
        now = clock()
        # After a restart nobody may be called dead before a full timeout.
        self.nodes = {name: _node(kept, name, now) for name in names}
        kept.follow(self._see_closed)
        kept.note(self._rows())

    @property
    def first_revision(self) -> int:
        return self._kept.epoch << 10

    def heartbeat(self, name: str, report: Report) -> tuple[float, tuple[Seen, ...]]:
        """Note that the node was heard; returns the time (seconds since the epoch) and what it reported before.

        Raises Conflict when another agent of the same name is alive.
        """
        with self._lock:
            node, now = self.nodes[name], self._clock()
            if node.known and report.instance != node.instance and now - node.heard < self.timeout:
                raise Conflict(
                    f"another agent with the name {name} is running", "give one of the machines another name in the inventory"
                )
            before = node.containers
            news = self._status(node, now) != READY or _says_more(node, report)
            _take(node, report, now)
            node.heard, node.known, node.heartbeat = now, True, time.time()
        if news:
            self._tell()
        return node.heartbeat, before

    def told(self, name: str, report: Report) -> tuple[Seen, ...]:
        """Note what the node told another server, some time ago; returns what it reported before."""
        with self._lock:
            node = self.nodes[name]
            before, news = node.containers, _says_more(node, report)
            _take(node, report, self._clock())
        if news:
            self._tell()
        return before

    def heard_elsewhere(self, ages: Mapping[str, float]) -> None:
        """Note for how many seconds other servers have not heard these nodes."""
        with self._lock:
            now, back = self._clock(), False
            for name, age in ages.items():
                node = self.nodes.get(name)
                if node is not None and (now - age > node.heard or not node.known) and age < self.timeout:
                    before = self._status(node, now)
                    node.heard = now - age
                    node.known, node.heartbeat = True, time.time() - age
                    back = back or (before != READY and self._status(node, now) == READY)
        if back:
            self._tell()

    def try_again(self, name: str) -> None:
        """A person asks for it: what the node refused until now no longer keeps an app off it. Raises NotNow, OSError."""
        self._kept.change(name, lambda closed: closed._replace(asked=closed.asked + 1))

    def cordon(self, name: str, *, cordoned: bool) -> bool:
        """Says whether that was a change; returns when it is kept safely. Raises NotNow, OSError, and nothing has changed. The
        end of a cordon ends a drain."""
        return self._kept.change(name, lambda closed: Closed(cordoned, cordoned and closed.draining, closed.asked))

    def drain(self, name: str) -> bool:
        """The same, for a node that is to be emptied."""
        return self._kept.change(name, lambda closed: Closed(True, True, closed.asked))

    def _see_closed(self, name: str, closed: Closed) -> None:
        with self._lock:
            node = self.nodes.get(name)
            if node is not None:
                if closed.asked != node.asked:
                    node.forgiven = frozenset(_marks(node.refusals))
                node.cordoned, node.draining, node.asked = closed
        self._tell()

    def require(self, name: str) -> Node:
        """Raises NotFound for a name that is not in the inventory."""
        if name not in self.nodes:
            known = f"the nodes are {', '.join(self.nodes) or 'none'}"
            raise NotFound(f"there is no node {name!r}; {known}{meant(name, self.nodes)}")
        return self.nodes[name]

    def status(self, name: str) -> str:
        return self._status(self.nodes[name], self._clock())

    def open_nodes(self) -> list[str]:
        """Those that are ready and not cordoned."""
        return [name for name, node in self.nodes.items() if not node.cordoned and self.status(name) == READY]

    def refusals(self, name: str) -> tuple[tuple[Refusal, float], ...]:
        """What the node refuses now, each with the seconds that are left of its pause."""
        now = self._clock()
        node = self.nodes[name]
        return tuple((item, item.until - now) for item in node.refusals if item.until > now and _mark(item) not in node.forgiven)

    def refusal(self, name: str, app: App) -> Refusal | None:
        """Why the node refuses the app as it is specified now."""
        found = [item for item, _ in self.refusals(name) if (item.app, item.spec) == (app.name, spec_hash(app))]
        return found[0] if found else None

    def ready_for(self, name: str, container: str) -> float | None:
        """Seconds since the container was first reported as ready, None when it is not."""
        since = self.nodes[name].ready_since.get(container)
        return None if since is None else self._clock() - since

    def age(self, name: str) -> float:
        """Seconds since the node was heard, or since the server started."""
        return self._clock() - self.nodes[name].heard

    def wait(self, since: int, seconds: float) -> int:
        """The revision, as soon as it is another one than `since`: a node is back, or a cordon has changed."""
        with self._news:
            self._news.wait_for(lambda: self.revision != since or self._ended.is_set(), seconds)
            return self.revision

    def keep_on_disk(self) -> None:
        """Write what people may want to read, until `close`."""
        while not self._ended.wait(WRITE_EVERY):
            try:
                self._kept.note(self._rows())
            except OSError as error:
                log.warning("when nodes were heard cannot be written: %s", error)

    def _rows(self) -> dict[str, tuple[float, int]]:
        return {name: (node.heartbeat, len(node.containers)) for name, node in self.nodes.items()}

    def close(self) -> None:
        self._ended.set()
        with self._news:
            self._news.notify_all()

    def _status(self, node: Node, now: float) -> str:
        silent_for = now - node.heard
        if silent_for >= self.timeout:
            return UNREACHABLE
        if not node.known or silent_for >= self.timeout / 2:
            return SUSPECT
        return UNREADABLE if node.unreadable else READY

    def _tell(self) -> None:
        with self._news:
            self.revision += 1
            self._news.notify_all()


def _says_more(node: Node, report: Report) -> bool:
    """Whether it concerns more than the containers of the node."""
    return _marks(node.refusals) != _marks(report.refusals) or node.unreadable != report.unreadable


def _take(node: Node, report: Report, now: float) -> None:
    node.instance, node.unreadable = report.instance, report.unreadable
    node.facts, node.tells_images = report.facts, report.images is not None
    if not report.unreadable:
        node.containers, node.copies = report.containers, _by_instance(report.containers)
        ready = [seen.container for seen in report.containers if seen.ready]
        node.ready_since = {container: node.ready_since.get(container, now) for container in ready}
    node.refusals = tuple(shifted(report.refusals, now).values())
    node.forgiven &= _marks(node.refusals)


def _by_instance(containers: Sequence[Seen]) -> dict[str, list[Seen]]:
    found: dict[str, list[Seen]] = {}
    for seen in containers:
        found.setdefault(seen.instance, []).append(seen)
    return found


def _mark(refusal: Refusal) -> tuple[str, str, str, int]:
    return refusal.app, refusal.spec, refusal.kind, refusal.strikes


def _marks(refusals: Sequence[Refusal]) -> set[tuple[str, str, str, int]]:
    return {_mark(refusal) for refusal in refusals}


def _node(kept: KeptNodes, name: str, now: float) -> Node:
    cordoned, draining, asked = kept.of(name)
    return Node(now, heartbeat=kept.heartbeat(name), cordoned=cordoned, draining=draining, asked=asked)
