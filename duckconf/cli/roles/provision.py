"""Puts on the hosts what they need: tokens, certificates, built files, then the roles.

A role whose work is still there, from the same sources, does not run again: one look over SSH says so. Called by
`./inv provision`, `up`, `add-node` and `remove-node`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from duckconf.addresses import split
from duckconf.cli.cluster.certificates import CertificateFiles, ensure_certificate
from duckconf.cli.cluster.store import require_same_store
from duckconf.cli.cluster.tokens import TokenFiles, ensure_tokens
from duckconf.cli.demo.demo_roles import API_PORT_INSIDE
from duckconf.cli.fleet.limits import FAILED, chosen_hosts, remember_failed
from duckconf.cli.fleet.old_names import refuse_old_names
from duckconf.cli.roles.build_agent import build_agent, build_control_plane
from duckconf.cli.roles.etcd_members import member_variables, settled
from duckconf.cli.roles.left import UNITS, Record, look
from duckconf.cli.roles.login_key import ensure_login_key
from duckconf.cli.roles.playbook import Outcome, Playbook
from duckconf.cli.roles.wanted import wanted
from duckconf.cli.terminal.say import say, step
from duckconf.errors import DuckconfError, NodeFailure, SetupError
from duckconf.facts import Facts, ask_machine, read_facts
from duckconf.inventory import Host, Inventory
from duckconf.inventory_variables import CONTROL_PLANE, NODES
from duckconf.members import refused_number
from duckconf.net_address import with_port
from duckconf.patterns import some_of
from duckconf.reach.inventory.project import Project
from duckconf.reach.inventory.topology import front_addresses, member_addresses
from duckconf.reach.nodes.parallel import Result, ask_all
from duckconf.reach.ssh.fleet import Fleet
from duckconf.reach.ssh.host_keys import OWN_PINS, KnownHosts
from duckconf.twins import twins

# The roles of each group, by their tags in the playbook.
CONTROL_PART = ("etcd", "control_plane")
NODE_PART = ("node", "agent", "edge")
# What a node needs where no agent runs on it, and what it needs beside that.
BARE_NODE = ("node", "edge")
AGENT_PART = ("agent",)
EDGE_PART = ("edge",)
# For a host to answer. Longer than elsewhere: nobody waits for a listing, and a host that was passed over must be done again.
PATIENCE = 10.0


class ProvisionFailed(DuckconfError):
    """Some hosts could not be provisioned; the others are done. `outcomes` has all of them."""

    exit_code = 4

    def __init__(self, message: str, remedy: str, outcomes: dict[str, Outcome]) -> None:
        super().__init__(message, remedy)
        self.outcomes = outcomes


@dataclass(frozen=True)
class Sources:
    """Everything on this machine that goes to the hosts."""

    agent: Path
    control_plane: Path
    tokens: TokenFiles
    certificate: CertificateFiles | None


def provision(
    project: Project, limit: str = "", only: Sequence[str] = (), *, full: bool = False, move: str = ""
) -> dict[str, Outcome]:
    """Everything is there and runs when this returns: the outcome of each host.

    `limit` is a pattern of hosts, `only` names roles; those of BARE_NODE need no control plane. With `full`, the roles run also
    where nothing seems to have changed. `move` says how the state goes to another store, as the role `control_plane` takes it;
    without it, another store is refused. Raises ProvisionFailed with the hosts that failed, when all others are done;
    the next limit `@failed` means these.
    """
    inventory = project.inventory(secrets=True)
    bare = bool(only) and set(only) <= set(BARE_NODE)
    if not bare:
        require_fitting(project, inventory)
        if not move:
            require_same_store(project, inventory)
    hosts = chosen_hosts(project, inventory, limit, candidates(inventory, only))
    sources = None if bare else _sources(project, inventory)
    shared, defaults = _variables(project, inventory, sources)
    roles = {host.name: _roles_of(inventory, host.name, only) for host in hosts}
    digests = wanted(project, roles, {**defaults, **shared})
    fleet = Fleet(hosts, KnownHosts(project.pins, OWN_PINS), project.login_key, max(PATIENCE, project.settings.node_deadline))
    try:
        members = settled(project, fleet, inventory, roles, (shared, defaults))
        with step(f"looking at {some_of(roles) or 'no host'}"):
            seen = _looked(project.cluster, inventory, fleet, roles)
        outcomes = {name: Outcome(failure=_failure(found)) for name, found in seen.items()}
        record = Record(project.state)
        due = {
            name: roles[name] if full else record.due(name, digests[name], found)
            for name, found in seen.items()
            if isinstance(found, dict)
        }
        if chosen := [host for host in hosts if due.get(host.name)]:
            say(f"  provisioning {some_of(host.name for host in chosen)} …")
            ran = _run(project, inventory, chosen, due, {**shared, **members, **_moving(inventory, move)}, defaults)
            outcomes.update(ran)
            _keep(record, fleet, {name: digests[name] for name in ran}, outcomes)
    finally:
        fleet.close()
    failed = {name: outcome.failure for name, outcome in outcomes.items() if outcome.failure is not None}
    remember_failed(project, outcomes, failed)
    if failed:
        reasons = "; ".join(str(failure) for failure in failed.values())
        others = [name for name in outcomes if name not in failed]
        again = "type `./inv up agents` again" if move else f"run `./inv provision --limit @{FAILED}`"
        remedy = f"fix it and {again}"
        raise ProvisionFailed(f"{reasons}; {some_of(others)} done" if others else reasons, remedy, outcomes)
    return outcomes


def _looked(
    cluster: str, inventory: Inventory, fleet: Fleet, roles: Mapping[str, Sequence[str]]
) -> dict[str, Result[dict[str, str]]]:
    """What the roles have left on each host; a failure for one whose machine is a node under another name too, or whose
    containers would be hidden by its new name."""
    known: dict[str, Facts] = {}

    def one(name: str) -> dict[str, str]:
        left = look(name, fleet.admin(name), roles[name])
        known[name] = read_facts("", fleet.admin(name).run(ask_machine()).stdout)
        if "node" in roles[name]:
            refuse_old_names(cluster, inventory.nodes, inventory.hosts[name], known[name].node_name or "", fleet.admin(name))
        return left

    seen = ask_all(roles, one)
    return {**seen, **twins({name: known[name] for name in inventory.nodes if name in known})}


def _run(
    project: Project,
    inventory: Inventory,
    hosts: Sequence[Host],
    due: Mapping[str, Sequence[str]],
    shared: dict[str, Any],
    defaults: dict[str, Any],
) -> dict[str, Outcome]:
    """The control plane and the nodes at the same time: neither waits for the other, nor fails with it."""
    runs = {}
    for group, part in ((CONTROL_PLANE, CONTROL_PART), (NODES, NODE_PART)):
        if chosen := [host for host in hosts if set(part) & set(due[host.name])]:
            tags = tuple(role for role in part if any(role in due[host.name] for host in chosen))
            runs[group] = Playbook(project, chosen, shared, defaults, tags)
    outcomes: dict[str, Outcome] = {}
    for done in ask_all(runs, lambda group: runs[group].run()).values():
        if isinstance(done, DuckconfError):
            raise done
        for name, outcome in done.items():
            # A host may be control plane and node.
            outcomes[name] = outcomes[name].joined(outcome) if name in outcomes else outcome
    return outcomes


def require_fitting(project: Project, inventory: Inventory) -> None:
    """Raises SetupError when inventory and settings do not go together for agents mode."""
    if not inventory.control_plane:
        raise SetupError(f"agents mode needs a host in the group {CONTROL_PLANE}, got none", "see inventory/hosts.yml")
    if inventory.etcd and (refused := refused_number(len(inventory.control_plane))) is not None:
        raise SetupError(refused.reason, refused.remedy)
    host = inventory.hosts[inventory.control_plane[0]]
    if host.demo and host.name in inventory.nodes:
        remedy = "a real machine may be both"
        raise SetupError(f"the demo host {host.name} is in the groups {CONTROL_PLANE} and {NODES}; it should be in one", remedy)
    wanted = _scheme(inventory)
    for scheme in (urlsplit(url).scheme for url in project.settings.api_urls):
        if scheme != wanted:
            remedy = f"set api_url in invoke.yml, or DUCKCONF_API, to one that starts with {wanted}:"
            raise SetupError(f"by duckconf_tls in the inventory the API speaks {wanted}, and api_url says {scheme}", remedy)


def api_hosts(inventory: Inventory) -> list[Host]:
    """The hosts that run an API server: several share their state in etcd."""
    return [inventory.hosts[name] for name in inventory.control_plane]


def _scheme(inventory: Inventory) -> str:
    return "https" if inventory.tls else "http"


def candidates(inventory: Inventory, only: Sequence[str]) -> list[str]:
    """The hosts that the roles are for, in inventory order, the control plane first."""
    groups = {CONTROL_PLANE: inventory.control_plane, NODES: inventory.nodes}
    parts = {CONTROL_PLANE: CONTROL_PART, NODES: NODE_PART}
    names = [name for group, members in groups.items() if not only or set(only) & set(parts[group]) for name in members]
    return list(dict.fromkeys(names))


def _sources(project: Project, inventory: Inventory) -> Sources:
    project.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    tokens = ensure_tokens(project.state, inventory.nodes)
    certificate = None
    if inventory.tls:
        names = api_names(project, inventory)
        certificate = ensure_certificate(project.root, project.state, inventory.tls, project.cluster, names, time.time())
    return Sources(build_agent(project.root), build_control_plane(project.root), tokens, certificate)


def api_names(project: Project, inventory: Inventory) -> list[str]:
    """Everything that the API may be called by, besides loopback."""
    urls = (*project.settings.api_urls, *(url for told in inventory.api_urls.values() for url in split(told)))
    names = [name for host in api_hosts(inventory) for name in (host.name, host.address)]
    names += [urlsplit(url).hostname or "" for url in urls]
    return [name for name in dict.fromkeys(names) if name]


def _api_port(project: Project, host: Host) -> int:
    """Where the API listens on a host."""
    return API_PORT_INSIDE if host.demo else urlsplit(project.settings.api_urls[0]).port or API_PORT_INSIDE


def server_urls(project: Project, inventory: Inventory) -> dict[str, str]:
    """Where other hosts reach each API server, by the name of its host. A demo host is known to them by its name; 127.0.0.1 is
    only where this machine finds it."""

    def url(host: Host) -> str:
        return f"{_scheme(inventory)}://{with_port(host.name if host.demo else host.address, _api_port(project, host))}"

    return {host.name: inventory.api_urls.get(host.name) or url(host) for host in api_hosts(inventory)}


def _variables(project: Project, inventory: Inventory, sources: Sources | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """What holds whatever the inventory says, and what the inventory may set. Places of secrets, never secrets."""
    ensure_login_key(project)
    common: dict[str, Any] = {
        "duckconf_cluster": project.cluster,
        "duckconf_owner": f"{project.root} on {socket.gethostname()}",
        "duckconf_login_key_source": str(project.login_key.with_suffix(".pub")),
    }
    if sources is None:
        return common, {}
    port = _api_port(project, api_hosts(inventory)[0])
    urls = server_urls(project, inventory)
    shared: dict[str, Any] = {
        **common,
        "duckconf_nodes": list(inventory.nodes),
        "duckconf_zones": dict(inventory.sites.zones),
        "duckconf_addresses": {name: inventory.front_address(name) for name in inventory.nodes},
        "duckconf_edges": list(inventory.edges),
        "duckconf_edge_addresses": dict(front_addresses(inventory, project.state)),
        "duckconf_rebalance": inventory.rebalance,
        "duckconf_groups": {name: list(hosts) for name, hosts in inventory.groups.items()},
        "duckconf_api_url": ",".join(dict.fromkeys(url for told in urls.values() for url in split(told))),
        "duckconf_api_urls": urls,
        "duckconf_api_names": api_names(project, inventory),
        "duckconf_node_timeout": project.settings.node_timeout,
        "duckconf_agent_source": str(sources.agent),
        "duckconf_agent_token_source": f"{sources.tokens.folder}/{{{{ inventory_hostname }}}}",
        "duckconf_control_plane_source": str(sources.control_plane),
        "duckconf_tokens_source": str(sources.tokens.hashes),
        "duckconf_operator_token_source": str(sources.tokens.operator),
    }
    if inventory.etcd:
        shared.update(member_variables(project, inventory))
        shared["duckconf_store_members"] = member_addresses(inventory)
    if sources.certificate is not None:
        shared["duckconf_certificate_source"] = str(sources.certificate.certificate)
        shared["duckconf_key_source"] = str(sources.certificate.key)
        if sources.certificate.ca is not None:
            shared["duckconf_ca_source"] = str(sources.certificate.ca)
        if not sources.certificate.own:
            # One that somebody else made names the host, hardly loopback.
            shared["duckconf_local_api_url"] = "{{ duckconf_api_urls[inventory_hostname] }}"
    return shared, {"duckconf_api_port": port}


def _roles_of(inventory: Inventory, name: str, only: Sequence[str]) -> tuple[str, ...]:
    """The roles that run on this host, or those of `only`, in their order."""
    control: tuple[str, ...] = ("etcd",) if inventory.etcd and name in inventory.control_plane else ()
    control += ("control_plane",) if name in inventory.control_plane else ()
    ours = tuple(role for role in NODE_PART if role not in EDGE_PART or inventory.hosts[name].edge)
    roles = control + (ours if name in inventory.nodes else ())
    return tuple(role for role in roles if not only or role in only)


def _moving(inventory: Inventory, move: str) -> dict[str, str]:
    """The files are those of the first host."""
    only = f"{{{{ '{move}' if inventory_hostname == '{inventory.control_plane[0]}' else '' }}}}" if move else ""
    return {"duckconf_store_move": only} if only else {}


def _keep(record: Record, fleet: Fleet, digests: Mapping[str, Mapping[str, str]], outcomes: dict[str, Outcome]) -> None:
    """Remember what is on the hosts now. One where a service has ended meanwhile has failed after all."""
    done = [name for name in digests if outcomes[name].failure is None]
    for name, found in ask_all(done, lambda name: look(name, fleet.admin(name), tuple(digests[name]))).items():
        if isinstance(found, DuckconfError):
            outcomes[name].failure = found
        elif missing := [role for role in found if not found[role]]:
            outcomes[name].failure = _ended(name, missing)
        else:
            record.keep(name, digests[name], found)
    record.write()


def _failure(found: object) -> DuckconfError | None:
    return found if isinstance(found, DuckconfError) else None


def _ended(name: str, roles: Sequence[str]) -> NodeFailure:
    units = [unit for role in roles for unit in UNITS[role]]
    if not units:
        return NodeFailure(name, "lacks files of the role node", f"see `./inv doctor {name}`")
    return NodeFailure(name, f"{' or '.join(units)} does not stay up", f"see journalctl -u {units[0]} there")


def tell(outcomes: Mapping[str, Outcome]) -> None:
    """One line per host that is done."""
    for name, outcome in outcomes.items():
        if outcome.failure is None:
            say(f"  {name}: {f'{outcome.changed} changes' if outcome.changed else 'nothing to change'}")
