"""What the tasks do with a cluster's nodes over SSH: look, find an app, act on it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from duckconf import engine
from duckconf.actions import Action
from duckconf.cli.cluster.modes import is_down
from duckconf.cli.fleet.limits import chosen_nodes
from duckconf.cli.terminal.times import stamp
from duckconf.command import Runner
from duckconf.engine_output import ENDED, Container
from duckconf.errors import DuckconfError, HostKeyRefused, LoginRefused, NodeFailure, NotFound, SetupError, Unreadable
from duckconf.facts import UNKNOWN, Facts
from duckconf.inventory import Host, Inventory
from duckconf.observation import Observation
from duckconf.reach.inventory.project import Project
from duckconf.reach.nodes.facts import observe_with_facts, told_apart
from duckconf.reach.nodes.parallel import Result
from duckconf.reach.nodes.sensor import observe_all
from duckconf.reach.state import observer_socket
from duckconf.restart import rests
from duckconf.suggest import meant

if TYPE_CHECKING:
    from duckconf.reach.ssh.fleet import Fleet

SETTLE_SECONDS = 1


@dataclass(frozen=True)
class Cluster:
    """The nodes of a project, with a connection to each that is opened when needed."""

    project: Project
    inventory: Inventory
    make_fleet: Callable[[], Fleet]
    known: dict[str, Facts] = field(default_factory=dict)
    warm: bool = False
    """Whether the process that holds connections is asked first: for a look, and for nobody who waits for a change."""
    ages: dict[str, float] = field(default_factory=dict)
    """How many seconds ago the facts of a node were asked for, where that process was asked."""

    @functools.cached_property
    def fleet(self) -> Fleet:
        """Made when somebody connects: what the running process tells needs none."""
        return self.make_fleet()

    def close(self) -> None:
        if "fleet" in vars(self):
            self.fleet.close()

    def names(self, nodes: str = "") -> list[str]:
        """Those that a pattern means: all when it is empty; raises NotFound."""
        return [host.name for host in chosen_nodes(self.project, self.inventory, nodes)]

    def pairs(self, names: Iterable[str]) -> dict[str, tuple[Host, Runner]]:
        return {name: (self.inventory.node(name), self.fleet.runner(name)) for name in names}

    def observe(self, nodes: str = "") -> dict[str, Result[tuple[Container, ...]]]:
        """The first time with what tells two machines apart."""
        names = self.names(nodes)
        if self.known.keys() >= set(names) and not self.warm:
            seen = observe_all(self.project.cluster, self.pairs(names))
        else:
            seen, known = self._look(names, machine_only=True)
            self.known.update(known)
        return told_apart(seen, self.known)

    def observe_with_facts(self, nodes: str = "") -> tuple[dict[str, Result[tuple[Container, ...]]], dict[str, Facts]]:
        """The containers, and what each node is and has left."""
        seen, known = self._look(self.names(nodes), machine_only=False)
        return told_apart(seen, known), known

    def _look(
        self, names: Sequence[str], *, machine_only: bool
    ) -> tuple[dict[str, Result[tuple[Container, ...]]], dict[str, Facts]]:
        """Connects only to nodes that the running process does not know, or that refused it: a person may have mended that."""
        told = (observer_socket.ask(self.project.state, map(self.inventory.node, names)) if self.warm else None) or Observation()
        seen: dict[str, Result[tuple[Container, ...]]] = {
            name: found for name, found in told.seen.items() if not isinstance(found, (LoginRefused, HostKeyRefused))
        }
        rest = [name for name in names if name not in seen]
        pairs = self.pairs(rest) if rest else {}
        dialled, known = observe_with_facts(self.project.cluster, pairs, machine_only=machine_only)
        self.ages.update({name: age for name, age in told.ages.items() if name in seen})
        seen, known = {**seen, **dialled}, {**told.facts, **known}
        return {name: seen[name] for name in names}, {name: known.get(name, UNKNOWN) for name in names}

    def find(self, app: str) -> Container:
        """The container of an app, by the name of the app, the instance or the container: one that runs, and the first, where
        there are several. Raises NotFound."""
        seen = self.observe()
        containers = [container for found in seen.values() if isinstance(found, tuple) for container in found]
        if named := [one for one in containers if app in (one.app, one.instance, one.name)]:
            return min(named, key=lambda one: (not one.running, app not in (one.instance, one.name), one.slot, one.node))
        silent = [failure.node for failure in seen.values() if isinstance(failure, NodeFailure)]
        where = f"; {', '.join(silent)} did not answer and may have it" if silent else ""
        names = {name for one in containers for name in (one.app, one.instance, one.name)}
        raise NotFound(f"no node has an app {app!r}{where or meant(app, names)}", "see `./inv ps`")

    def act(self, action: Action) -> None:
        from duckconf.reach.nodes.actuator import execute

        execute(action, self.project.cluster, self.fleet.runner(action.node))

    def await_running(self, node: str, container: str, *, may_end: bool = False) -> None:
        """Return when the app has stayed up for a second, or, where it `may_end`, when it is done before; raises DuckconfError
        with its last words if it is neither."""
        runner = self.fleet.runner(node)
        done = runner.run(engine.still_running(container, SETTLE_SECONDS))
        is_done = may_end and done.ok and done.stdout.strip() == "0"
        if done.code != 124 and not is_done:
            from duckconf.reach.nodes.actuator import last_words

            text = last_words(container, runner) or "nothing"
            raise DuckconfError(f"{container} ended with code {done.stdout.strip() or done.code}; its last output: {text}")


@contextmanager
def open_cluster(project: Project, *, keeps_trying: bool = False, patience: float = 0.0, warm: bool = False) -> Iterator[Cluster]:
    """With `keeps_trying`, a node that failed costs its deadline once, for callers that look again and again. With `warm`, the
    process that holds connections is asked first.

    `patience` is a longer deadline, in seconds, where nobody waits for a listing.
    """
    inventory = project.inventory(secrets=True)
    hosts = inventory.node_hosts()
    demo = [host for host in hosts if host.demo]
    if demo and (not project.login_key.exists() or (is_down(project) and demo == hosts)):
        raise SetupError(f"cluster {project.cluster} is not up", "start it with `./inv up MODE`")

    def make_fleet() -> Fleet:
        # Paramiko and Fabric take a tenth of a second, which those who only ask the running process need not spend.
        from duckconf.reach.ssh.fleet import Fleet
        from duckconf.reach.ssh.host_keys import OWN_PINS, KnownHosts

        return Fleet(
            [*hosts, *inventory.control_hosts()],
            KnownHosts(project.pins, OWN_PINS),
            project.login_key,
            max(project.settings.node_deadline, patience),
            keeps_trying=keeps_trying,
            refusals=project.refusals,
        )

    cluster = Cluster(project, inventory, make_fleet, warm=warm)
    try:
        yield cluster
    finally:
        cluster.close()


def app_row(container: Container) -> dict[str, Any]:
    return {
        "app": container.app,
        "slot": container.slot,
        "container": container.name,
        "image": container.image,
        "node": container.node,
        "state": container.state,
        "health": container.health,
        "started": stamp(container.started),
        "ports": list(container.ports),
    }


def _count(containers: Iterable[Container], over: Collection[str]) -> int:
    """A job that is done is no app of its node any more."""
    ended = (one.name in over or (one.state in ENDED and rests(one.restart, one.exit_code)) for one in containers)
    return sum(not one for one in ended)


def node_row(
    host: Host, found: Result[tuple[Container, ...]], *, cordoned: bool = False, over: Collection[str] = ()
) -> dict[str, Any]:
    """`over` are the containers on it of jobs that are known to have ended for good."""
    known = isinstance(found, tuple)
    return {
        "name": host.name,
        "status": "ready" if known else "unreadable" if isinstance(found, Unreadable) else "unreachable",
        "address": host.where,
        "apps": _count(found, over) if isinstance(found, tuple) else None,
        "cordoned": cordoned,
        "zone": host.zone,
    }
