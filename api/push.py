"""Push mode: a request to start an app is served at once, on the next node in turn. It has no feedback loop.

The nodes are tried in round-robin order, and the app is started on the first one that accepts it. The result is not observed
afterwards, and no desired state is kept. An app that crashes later is not restarted.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from api.schemas_of_push import NEEDS_STATE
from api.turns import TurnBook
from duckconf.actions import Remove, Start
from duckconf.engine_output import Container
from duckconf.errors import BadInput, DuckconfError, Fault, NodeFailure, NodeRefused, NoNodeFits, NoNodeReachable, NotFound
from duckconf.inventory import Host, Inventory
from duckconf.model import DEFAULTS, App
from duckconf.naming import push_app
from duckconf.place_kinds import GLOBAL
from duckconf.reach.inventory.follower import InventoryFollower
from duckconf.reach.nodes.actuator import clean_up, execute
from duckconf.reach.nodes.observer import Pairs
from duckconf.reach.nodes.sensor import observe
from duckconf.reach.ssh.fleet import Fleet
from duckconf.reach.ssh.runner import SshRunner
from duckconf.reach.state.cordons import Cordons
from duckconf.refusal_words import PORT, SPACE
from duckconf.spreading import round_robin

log = logging.getLogger(__name__)

NO_SECRETS = "not there in push mode, which keeps no state; they need mode reconcile or agents: ./inv up reconcile"


@dataclass(frozen=True)
class Started:
    """An app that runs on `node`; `skipped` says why each node before it could not serve."""

    app: str
    node: str
    skipped: dict[str, str] = field(default_factory=dict)


class Pusher:
    """Starts apps in turn over the nodes of the inventory; safe for many threads."""

    def __init__(self, cluster: str, hosts: InventoryFollower, fleet: Fleet, book: TurnBook, cordons: Cordons) -> None:
        self._cluster = cluster
        self._hosts = hosts
        self._fleet = fleet
        self._book = book
        self._cordons = cordons
        self._updating = threading.Lock()
        self._seen: Inventory | None = None
        self.acts: Callable[..., None] = _unseen
        """Called when something begins on a node and when it has ended, with its name, the node, words, and `done`."""

    def start_all(self, app: App) -> list[Started]:
        """As many as it has replicas, in turn; they are apps of their own from then on. Raises as `start` does: those that
        were started before run on, and the error names them."""
        if app.secrets:
            raise BadInput(Fault("secrets", f"are {NO_SECRETS}"))
        if app.replicas < 1:
            raise BadInput(Fault("replicas", "should be 1 or more in push mode, which starts apps and keeps no state"))
        unseen = [name for name in NEEDS_STATE if getattr(app, name) != DEFAULTS[name]]
        if unseen := [*unseen, *(["mode"] if app.mode == GLOBAL else [])]:
            words = "needs a mode that knows what runs where; see ./inv up reconcile"
            raise BadInput(*(Fault(name, words) for name in unseen))
        one, started = replace(app, replicas=1), list[Started]()
        for _ in range(app.replicas):
            try:
                started.append(self.start(one))
            except DuckconfError as failure:
                if started:
                    names = ", ".join(item.app for item in started)
                    failure.message += f"; {len(started)} of {app.replicas} were started and run on: {names}"
                raise
        return started

    def start(self, app: App) -> Started:
        """Raises EngineRefused when the engine says no to this app, NoNodeReachable when nobody is there, NoNodeFits when
        every node has a reason of its own against it."""
        if app.name:
            raise BadInput(Fault("name", "push mode names apps itself (duckconf-<node>-app-<N>); omit the name"))
        nodes = self.nodes()
        turn = self._book.take()
        left_out = dict.fromkeys(self._cordons.names(), "is cordoned")
        allows = self._hosts.current().sites.allows
        left_out |= {node: f"is not in {app.on}" for node in nodes if not allows(app, node)}
        skipped: dict[str, str] = {}
        failures: list[NodeFailure] = []
        for node in round_robin([node for node in nodes if node not in left_out], turn.position):
            name = push_app(self._cluster, node, turn.number)
            try:
                self._start(Start(node, name, replace(app, name=name)))
                return Started(name, node, skipped)
            except NodeFailure as failure:
                log.warning("skipped %s", failure)
                skipped[node] = failure.reason
                failures.append(failure)
                if failure.may_have_run:
                    self._book.doubt(node, name)
        raise _nobody({**skipped, **{node: left_out[node] for node in nodes if node in left_out}}, failures)

    def stop(self, node: str, container: str) -> None:
        """Raises NotFound for what is not ours, and NodeFailure."""
        pair = self.pairs().get(node)
        if pair is None:
            raise NotFound(f"there is no node {node!r}", "see ./inv nodes")
        with self._shown(container, node, f"stops {container}", f"stopped {container}", f"could not stop {container}"):
            execute(Remove(node, container), self._cluster, pair[1])

    @contextmanager
    def _shown(self, container: str, node: str, begins: str, done: str, failed: str) -> Iterator[None]:
        """Tell what begins on a node, and how it ended."""
        self.acts(container, node, begins, done=False)
        words = failed
        try:
            yield
            words = done
        finally:
            self.acts(container, node, words, done=True)

    def nodes(self) -> tuple[str, ...]:
        """The nodes as the inventory has them now; connections follow its changes."""
        inventory = self._hosts.current()
        with self._updating:
            if inventory is not self._seen:
                self._fleet.update(inventory.node_hosts())
                self._seen = inventory
        return tuple(inventory.nodes)

    def pairs(self) -> Pairs:
        self.nodes()
        return {host.name: (host, self._fleet.runner(host.name)) for host in self._hosts.current().node_hosts()}

    def observe(self, host: Host, runner: SshRunner) -> tuple[Container, ...]:
        return observe(self._cluster, host, runner)

    def away(self) -> dict[str, str]:
        """The nodes known to be out of reach, with the reason. Asks nobody."""
        failures = ((node, self._fleet.runner(node).away) for node in self.nodes())
        return {node: failure.reason for node, failure in failures if failure is not None}

    def cordoned(self) -> frozenset[str]:
        return self._cordons.names()

    def _start(self, action: Start) -> None:
        runner = self._fleet.runner(action.node)
        for container in self._book.doubts(action.node):
            if clean_up(action.node, container, self._cluster, runner):
                log.warning(
                    "removed %s from %s: its start was interrupted, and the app runs on another node", container, action.node
                )
            self._book.settle(action.node, container)
        what = f"{action.container} ({action.app.image})"
        with self._shown(
            action.container, action.node, f"starts {what}", f"started {what}", f"could not start {action.container}"
        ):
            execute(action, self._cluster, runner)


def _unseen(_: str, node: str, words: str, *, done: bool) -> None:
    """Nobody looks."""


def _nobody(skipped: dict[str, str], failures: Sequence[NodeFailure]) -> NoNodeReachable:
    """A node that is away or full may do it later; one that lacks what the app asks for will not."""
    kinds = {failure.kind if isinstance(failure, NodeRefused) else "" for failure in failures}
    if not kinds or kinds & {"", SPACE}:
        return NoNodeReachable(skipped)
    return NoNodeFits(skipped, conflict=kinds == {PORT})
