"""The hosts of the control plane in agents mode: what runs on each, the logs of its services, and how its store stands."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from duckconf.cli.cluster.etcd import Etcd
from duckconf.cli.cluster.etcd_rows import member_rows, outlook_of
from duckconf.cli.cluster.modes import AGENTS, require_mode
from duckconf.cli.cluster.nodes import Cluster, open_cluster
from duckconf.cli.cluster.store import is_in_etcd
from duckconf.command import Command
from duckconf.errors import DuckconfError, NotFound
from duckconf.inventory import Inventory
from duckconf.reach.inventory.project import Project
from duckconf.reach.inventory.topology import member_addresses
from duckconf.reach.nodes.parallel import ask_all
from duckconf.suggest import meant

CONTROL_UNITS = {"api": "duckconf-api", "scheduler": "duckconf-scheduler", "node-controller": "duckconf-node-controller"}
AGENT_UNIT = "duckconf-agent"
AGENT = "agent@"
# Between a service and its host.
AT = "@"


def is_service(name: str) -> bool:
    return name.startswith(AGENT) or name.partition(AT)[0] in CONTROL_UNITS


def service_names(inventory: Inventory) -> list[str]:
    """What `logs` takes. Where there are several of a service, each has its host's name; without it the first is meant."""
    hosts = inventory.control_plane if len(inventory.control_plane) > 1 else ()
    each = [f"{name}{AT}{host}" for name in CONTROL_UNITS for host in hosts]
    return [*CONTROL_UNITS, *each, *(f"{AGENT}{node}" for node in inventory.nodes)]


def service_logs(project: Project, what: str, lines: str, show: Callable[[bytes], None], *, follow: bool) -> int:
    """The journal of a component's unit."""
    inventory = project.inventory(secrets=True)
    if what.startswith(AGENT):
        host, unit = inventory.node(what.removeprefix(AGENT)).name, AGENT_UNIT
    else:
        service, _, named = what.partition(AT)
        host, unit = _control_host(inventory, named), CONTROL_UNITS[service]
    argv = ("journalctl", "--no-pager", "--output=cat", f"--unit={unit}", f"--lines={lines}")
    with open_cluster(project) as cluster:
        runner = cluster.fleet.admin(host)
        if not follow:
            done = runner.run(Command(argv))
            show(done.stdout.encode())
            sys.stderr.write(done.stderr)
            return done.code
        runner.follow(Command((*argv, "--follow")), show)
    return 0


def switch_api(project: Project, *, on: bool) -> None:
    """Stop or start the API server on all hosts that have one, for the lesson; agents go on without it."""
    verb = "start" if on else "stop"
    require_mode(project, AGENTS, f"{verb}-api")
    inventory = project.inventory()
    _control_host(inventory)

    with open_cluster(project) as cluster:

        def switch(host: str) -> None:
            done = cluster.fleet.admin(host).run(Command(("systemctl", verb, CONTROL_UNITS["api"])))
            if not done.ok:
                remedy = f"see `./inv logs api` and {host}"
                raise DuckconfError(f"{host}: systemctl {verb} failed: {done.stderr.strip()}", remedy)

        found = ask_all(inventory.control_plane, switch)
    for failure in found.values():
        if isinstance(failure, DuckconfError):
            raise failure
    hosts = ", ".join(inventory.control_plane)
    print(f"the api-server on {hosts} is {'started' if on else 'stopped: apps keep running, and agents restart crashed apps'}")


def look_at_control_plane(project: Project) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """A row for each service on each host; and the store: {"members", "outlook"}, None for files."""
    with open_cluster(project) as cluster:
        return _services(cluster), _store(cluster) if cluster.inventory.etcd else None


def _services(cluster: Cluster) -> list[dict[str, Any]]:
    def ask(host: str) -> list[str]:
        done = cluster.fleet.runner(host).run(Command(("systemctl", "is-active", *CONTROL_UNITS.values())))
        return done.stdout.split()

    rows = []
    for host, states in ask_all(cluster.inventory.control_plane, ask).items():
        for number, name in enumerate(CONTROL_UNITS):
            state = "unreachable" if isinstance(states, Exception) else states[number] if number < len(states) else "unknown"
            rows.append({"service": name, "host": host, "state": state})
    return rows


def _store(cluster: Cluster) -> dict[str, Any]:
    etcd = Etcd(member_addresses(cluster.inventory), cluster.fleet, is_in_etcd(cluster.project))
    told = etcd.look()
    return {"members": member_rows(etcd.wanted, told), "outlook": outlook_of(etcd.wanted, told, has_state=etcd.has_state)}


def _control_host(inventory: Inventory, named: str = "") -> str:
    """The host of this name, by default the first."""
    hosts = inventory.control_plane
    if not hosts:
        raise NotFound("the inventory has no host in the group control_plane", "add one for agents mode")
    if named and named not in hosts:
        raise NotFound(f"there is no {named!r} in the control plane{meant(named, hosts)}", f"its hosts are {', '.join(hosts)}")
    return named or hosts[0]
