"""What the tasks do with a cluster's nodes over SSH: look, find an app, act on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from duckconf import engine
from duckconf.actions import Action
from duckconf.cli.cluster.modes import is_down
from duckconf.cli.fleet.limits import chosen_nodes
from duckconf.cli.terminal.times import stamp
from duckconf.command import Runner
from duckconf.engine_output import Container
from duckconf.errors import DuckconfError, NodeFailure, NotFound, SetupError, Unreadable
from duckconf.facts import Facts
from duckconf.inventory import Host, Inventory
from duckconf.reach.inventory.project import Project
from duckconf.reach.nodes.actuator import execute
from duckconf.reach.nodes.facts import observe_with_facts, told_apart
from duckconf.reach.nodes.parallel import Result
from duckconf.reach.nodes.sensor import observe_all
from duckconf.reach.ssh.fleet import Fleet
from duckconf.reach.ssh.host_keys import OWN_PINS, KnownHosts

SETTLE_SECONDS = 1


@dataclass(frozen=True)
class Cluster:
    """The nodes of a project, with a connection to each that is opened when needed."""

    project: Project
    inventory: Inventory
    fleet: Fleet
    known: dict[str, Facts] = field(default_factory=dict)

    def pairs(self, nodes: str = "") -> dict[str, tuple[Host, Runner]]:
        """The nodes to ask, by a pattern: all when it is empty; raises NotFound."""
        hosts = chosen_nodes(self.project, self.inventory, nodes)
        return {host.name: (host, self.fleet.runner(host.name)) for host in hosts}

    def observe(self, nodes: str = "") -> dict[str, Result[tuple[Container, ...]]]:
        """The first time with what tells two machines apart."""
        pairs = self.pairs(nodes)
        if self.known.keys() >= pairs.keys():
            seen = observe_all(self.project.cluster, pairs)
        else:
            seen, known = observe_with_facts(self.project.cluster, pairs, machine_only=True)
            self.known.update(known)
        return told_apart(seen, self.known)

    def observe_with_facts(self, nodes: str = "") -> tuple[dict[str, Result[tuple[Container, ...]]], dict[str, Facts]]:
        """The containers, and what each node is and has left."""
        seen, known = observe_with_facts(self.project.cluster, self.pairs(nodes))
        return told_apart(seen, known), known

    def find(self, app: str) -> Container:
        """The container of an app, by the name of the app, the instance or the container; raises NotFound."""
        seen = self.observe()
        for found in seen.values():
            for container in found if isinstance(found, tuple) else ():
                if app in (container.app, container.instance, container.name):
                    return container
        silent = [failure.node for failure in seen.values() if isinstance(failure, NodeFailure)]
        where = f"; {', '.join(silent)} did not answer and may have it" if silent else ""
        raise NotFound(f"no node has an app {app!r}{where}", "see `./inv ps`")

    def act(self, action: Action) -> None:
        execute(action, self.project.cluster, self.fleet.runner(action.node))

    def await_running(self, node: str, container: str, *, may_end: bool = False) -> None:
        """Return when the app has stayed up for a second, or, where it `may_end`, when it is done before; raises DuckconfError
        with its last words if it is neither."""
        runner = self.fleet.runner(node)
        done = runner.run(engine.still_running(container, SETTLE_SECONDS))
        is_done = may_end and done.ok and done.stdout.strip() == "0"
        if done.code != 124 and not is_done:
            words = runner.run(engine.last_words(container))
            text = " ".join((words.stdout + words.stderr).split())[-400:] or "nothing"
            raise DuckconfError(f"{container} ended with code {done.stdout.strip() or done.code}; its last output: {text}")


@contextmanager
def open_cluster(project: Project, *, keeps_trying: bool = False, patience: float = 0.0) -> Iterator[Cluster]:
    """With `keeps_trying`, a node that failed costs its deadline once, for callers that look again and again.

    `patience` is a longer deadline, in seconds, where nobody waits for a listing.
    """
    inventory = project.inventory(secrets=True)
    hosts = inventory.node_hosts()
    demo = [host for host in hosts if host.demo]
    if demo and (not project.login_key.exists() or (is_down(project) and demo == hosts)):
        raise SetupError(f"cluster {project.cluster} is not up", "start it with `./inv up MODE`")
    pins, deadline = KnownHosts(project.pins, OWN_PINS), max(project.settings.node_deadline, patience)
    fleet = Fleet(
        [*hosts, *inventory.control_hosts()],
        pins,
        project.login_key,
        deadline,
        keeps_trying=keeps_trying,
        refusals=project.refusals,
    )
    try:
        yield Cluster(project, inventory, fleet)
    finally:
        fleet.close()


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


def node_row(host: Host, found: Result[tuple[Container, ...]], *, cordoned: bool = False) -> dict[str, Any]:
    known = isinstance(found, tuple)
    return {
        "name": host.name,
        "status": "ready" if known else "unreadable" if isinstance(found, Unreadable) else "unreachable",
        "address": host.where,
        "apps": len(found) if isinstance(found, tuple) else None,
        "cordoned": cordoned,
        "zone": host.zone,
    }
