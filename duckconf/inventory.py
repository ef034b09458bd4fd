"""The hosts as plain values, from what Ansible's resolver made of the inventory.

Pure: `reach/inventory/hosts.py` asks Ansible and keeps the answer; here it is only checked and given names.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from duckconf.acme import LETS_ENCRYPT, Acme, read_acme
from duckconf.command import Secret
from duckconf.control_plane import ETCD, FILES, Tls, read_store, read_tls
from duckconf.engine import DOCKER, PODMAN
from duckconf.errors import BadInput, Fault, NotFound
from duckconf.inventory_variables import BY_INVENTORY, CONTROL_PLANE, EDGE, NODES, read_truth
from duckconf.model import HOST_NAME, NAME
from duckconf.naming import DEFAULT_CLUSTER
from duckconf.net_address import is_host_or_address, with_port
from duckconf.rebalancing import AUTO, MANUAL
from duckconf.route import DIRECT, Origins, Refusal, Route, Way, refused_connection, refused_root, route, sudo, unreadable
from duckconf.sites import Sites
from duckconf.ssh_config import Answer, question
from duckconf.suggest import meant

LONGEST_CLUSTER = 20
SHARED = "shared"
OWN = "own"
TOPOLOGIES = (SHARED, OWN)
DEMO_IMAGES = ("node", "bare")
ROOT = "root"
# The login on a node that may use the engine and nothing else; the role `node` makes it.
OWN_LOGIN = "duckconf"


@dataclass(frozen=True)
class Host:
    """One machine reached over SSH. `key_file` and the passwords are None when the inventory names none.

    `user` is who Ansible logs in as, and root after sudo where that is not root. With `own_login`, Duckconf's own
    commands log in as `duckconf` instead, with the cluster's key.
    """

    name: str
    address: str
    port: int = 22
    user: str = ROOT
    password: Secret | None = None
    key_file: str | None = None
    become_password: Secret | None = None
    own_login: bool = False
    demo: bool = False
    engine: str = PODMAN
    topology: str = SHARED
    """Of a demo host: whether it borrows this machine's engine, or has its own as every real machine does."""
    bare: bool = False
    """A demo host that is no node yet: sshd and python3 alone."""
    way: Way = DIRECT
    sudo: tuple[str, ...] = ("sudo",)
    refused: Refusal | None = None
    """Why it cannot be reached as the inventory or ssh's configuration has it."""
    root_refused: Refusal | None = None
    """Why its administrator cannot become root; the daily login may be well."""
    zone: str = ""
    """Apps are spread over zones first: a rack, a room, a data center."""
    front_address: str = ""
    """Where a front reaches its published ports; "" where that is its address."""
    edge: bool = False
    """A node that also runs the front."""
    acme: Acme = LETS_ENCRYPT
    ssh_words: tuple[str, ...] = ()
    """What the inventory and ansible.cfg add to the command line of ssh."""

    def daily(self) -> Host:
        """The host as Duckconf's own commands reach it."""
        return replace(self, user=OWN_LOGIN, password=None, key_file=None, become_password=None) if self.own_login else self

    def administered(self) -> Host:
        """The host as its administrator reaches it."""
        return replace(self, own_login=False)

    @property
    def where(self) -> str:
        return with_port(self.address, self.port)


@dataclass(frozen=True)
class Inventory:
    """All hosts, and the two groups that matter, each in inventory order."""

    hosts: Mapping[str, Host]
    nodes: Sequence[str]
    control_plane: Sequence[str] = ()
    cluster: str = DEFAULT_CLUSTER
    tls: Tls | None = None
    api_urls: Mapping[str, str] = field(default_factory=dict)
    """Where the nodes find the API server of a host, for those of which the inventory says it."""
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Every group that Ansible knows, with its hosts."""
    rebalance: str = MANUAL
    """Whether instances move by themselves after a node returns or joins."""
    source: str = field(default="", compare=False)
    store: str = FILES
    """Where the control plane keeps its state: files of its one host, or etcd, of which each of its hosts is a member."""

    def node(self, name: str) -> Host:
        """The node called `name`; raises NotFound with the names there are."""
        if name not in self.nodes:
            raise NotFound(
                f"there is no node {name!r}{meant(name, self.nodes)}", f"the nodes are {', '.join(self.nodes) or 'none'}"
            )
        return self.hosts[name]

    def machine(self, name: str) -> Host:
        """The host called `name`, a node or one of the control plane; raises NotFound with the names there are."""
        if name in self.control_plane:
            return self.hosts[name]
        if name in self.nodes or not self.control_plane:
            return self.node(name)
        known = tuple(dict.fromkeys((*self.control_plane, *self.nodes)))
        raise NotFound(f"there is no host {name!r}{meant(name, known)}", f"the hosts are {', '.join(known)}")

    def node_hosts(self) -> list[Host]:
        return [self.hosts[name] for name in self.nodes]

    @functools.cached_property
    def sites(self) -> Sites:
        zones = {name: self.hosts[name].zone for name in self.nodes if self.hosts[name].zone}
        return Sites(tuple(self.nodes), zones, self.groups)

    def front_address(self, node: str) -> str:
        """Where a front reaches what a node publishes."""
        host = self.hosts.get(node)
        return node if host is None else host.front_address or host.address

    @property
    def etcd(self) -> bool:
        """Whether the hosts of the control plane are members of etcd."""
        return self.store == ETCD

    @property
    def edges(self) -> Sequence[str]:
        """The nodes that run the front."""
        return [name for name in self.nodes if self.hosts[name].edge]

    def control_hosts(self) -> list[Host]:
        return [self.hosts[name] for name in self.control_plane if name not in self.nodes]

    def demo_hosts(self) -> list[Host]:
        return [host for host in self.hosts.values() if host.demo]


def read_inventory(document: Mapping[str, Any], source: str = "") -> Inventory:
    """From `{"hosts": {name: variables}, "groups": {name: [host, …]}, "first": variables}`, `first` being those of a first
    node, while there is none; raises BadInput, one Fault per variable. Of the hosts that are used, "origins" has who says what,
    and "ssh" what ssh's configuration makes of them.
    """
    faults: list[Fault] = []
    groups = document["groups"]
    nodes = set(groups.get(NODES, ()))
    edges = set(groups.get(EDGE, ()))
    if strangers := ", ".join(sorted(edges - nodes)):
        faults.append(
            Fault(f"group {EDGE}", f"{strangers} should be in the group {NODES} too; cordon a node that is to run no app")
        )
    origins, answers = document.get("origins", {}), document.get("ssh", {})
    broken = document.get("broken", {})
    hosts = {
        name: _judged(name, variables, origins.get(name, {}), answers.get(name), broken.get(name, ""), node=name in nodes)
        for name, variables in document["hosts"].items()
    }
    hosts.update({name: replace(hosts[name], edge=True) for name in edges & nodes if name in hosts})
    ours = {*used(document), *(name for name, variables in document["hosts"].items() if is_demo(variables))}
    every = [*(variables for name, variables in document["hosts"].items() if name in ours), document.get("first", {})]
    clusters = {str(variables["duckconf_cluster"]) for variables in every if "duckconf_cluster" in variables}
    if len(clusters) > 1:
        faults.append(Fault("duckconf_cluster", f"should be one name for all hosts, got {', '.join(sorted(clusters))}"))
    cluster = min(clusters, default=DEFAULT_CLUSTER)
    rebalance = _rebalance([document["hosts"][name] for name in groups.get(NODES, ()) if name in document["hosts"]], faults)
    if NODES not in groups:
        faults.append(Fault(f"group {NODES}", "is missing; the hosts that run apps belong there"))
    ports: dict[str, str] = {}
    for host in hosts.values():
        if host.demo and (other := ports.setdefault(host.where, host.name)) != host.name:
            faults.append(Fault(f"{host.name}/ansible_port", f"{host.where} is already the port of {other}"))
    control_plane = tuple(groups.get(CONTROL_PLANE, ()))
    served = document["hosts"][control_plane[0]] if control_plane else {}
    tls = read_tls(served, faults)
    store = read_store([document["hosts"][name] for name in control_plane], faults)
    if faults:
        raise BadInput(*(Fault(f"{source}: {fault.path}" if source else fault.path, fault.message) for fault in faults))
    api_urls = {name: str(url) for name in control_plane if (url := document["hosts"][name].get("duckconf_api_url"))}
    members = {name: tuple(names) for name, names in groups.items()}
    return Inventory(
        hosts, members[NODES], control_plane, check_cluster(cluster), tls, api_urls, members, rebalance, source, store
    )


def _rebalance(nodes: Sequence[Mapping[str, Any]], faults: list[Fault]) -> str:
    """One word for all nodes."""
    words = {str(variables.get("duckconf_rebalance") or MANUAL) for variables in nodes} or {MANUAL}
    if len(words) > 1 or not words <= {MANUAL, AUTO}:
        faults.append(Fault("duckconf_rebalance", f"should be {MANUAL} or {AUTO} for all nodes, got {', '.join(sorted(words))}"))
    return min(words)


def check_cluster(name: str) -> str:
    """The cluster's name, which becomes part of network, container and folder names; raises BadInput."""
    if NAME.fullmatch(name) and len(name) <= LONGEST_CLUSTER:
        return name
    raise BadInput(Fault("cluster", f"should be 1 to {LONGEST_CLUSTER} of a-z, 0-9 and -, got {name!r}"))


def used(document: Mapping[str, Any]) -> list[str]:
    """The hosts that Duckconf reaches; what the inventory says of others is not judged."""
    groups = document["groups"]
    return list(dict.fromkeys([*groups.get(CONTROL_PLANE, ()), *groups.get(NODES, ())]))


def is_demo(variables: Mapping[str, Any]) -> bool:
    return variables.get("duckconf_provider") == "container"


def _judged(name: str, variables: Mapping[str, Any], origins: Origins, answer: Answer | None, broken: str, *, node: bool) -> Host:
    """What is wrong with one host refuses that host, and nobody else; one that is not used is never asked."""
    faults = [Fault("", f"a template fails: {broken}")] if broken else []
    host = _host(name, variables, faults, origins, answer, node=node)
    if not faults:
        return host
    words = "; ".join(str(fault).removeprefix(f"{name}/") for fault in faults)
    return replace(host, refused=Refusal(f"cannot be used as the inventory has it: {words}", "correct it in the inventory"))


def _host(
    name: str, variables: Mapping[str, Any], faults: list[Fault], origins: Origins, answer: Answer | None, *, node: bool
) -> Host:
    def first(key: str, default: Any = None) -> Any:
        return default if variables.get(key) is None else variables[key]

    if is_demo(variables):
        # Made here, and reached as the inventory has it: what ansible.cfg says of other machines is not for it.
        variables = {key: value for key, value in variables.items() if origins.get(key, (key,))[0].startswith(BY_INVENTORY)}
    if not HOST_NAME.fullmatch(name):
        faults.append(Fault(name, "should be letters, digits, . _ and - (63 at most): apps are named after it"))
    port = _port(name, variables, faults)
    _look_at_provider(name, variables, faults)
    engine = _one_of((PODMAN, DOCKER), variables, "duckconf_engine", name, faults)
    topology = _one_of(TOPOLOGIES, variables, "duckconf_topology", name, faults, SHARED)
    edge = read_truth(variables, "duckconf_edge", False, f"{name}/duckconf_edge", faults) and node
    found = _route(name, variables, origins, answer, port)
    user = found.user or ROOT
    # Only a node has the login that the role makes.
    own_login = read_truth(variables, "duckconf_become", user != ROOT, f"{name}/duckconf_become", faults) and node
    password, become_password = first("ansible_password"), first("ansible_become_password")
    root_refused = refused_root(variables, origins, user, ROOT)
    become: tuple[str, ...] = ()
    try:
        become = sudo(variables)
    except ValueError as unclosed:
        root_refused = root_refused or unreadable(str(unclosed), origins)
    return Host(
        name=name,
        address=found.address,
        port=found.port,
        user=user,
        password=None if password is None else Secret(password),
        key_file=first("ansible_ssh_private_key_file"),
        become_password=None if become_password is None else Secret(become_password),
        own_login=own_login,
        demo=is_demo(variables),
        engine=engine,
        topology=topology,
        bare=_one_of(DEMO_IMAGES, variables, "duckconf_demo_image", name, faults) == "bare",
        way=found.way,
        sudo=become,
        refused=found.refused,
        root_refused=root_refused,
        zone=_zone(name, variables, faults),
        front_address=_front_address(name, variables, faults),
        edge=edge,
        acme=read_acme(name, variables, faults),
        ssh_words=found.words,
    )


def _look_at_provider(name: str, variables: Mapping[str, Any], faults: list[Fault]) -> None:
    provider = variables.get("duckconf_provider")
    if provider not in (None, "", "container"):
        faults.append(Fault(f"{name}/duckconf_provider", f"should be container or absent, got {provider!r}"))


def _port(name: str, variables: Mapping[str, Any], faults: list[Fault]) -> int:
    port = 22 if variables.get("ansible_port") is None else variables["ansible_port"]
    if re.fullmatch("[0-9]{1,5}", str(port)) and 0 < int(port) < 65536:
        return int(port)
    faults.append(Fault(f"{name}/ansible_port", f"should be a port from 1 to 65535, got {port!r}"))
    return 22


def _zone(name: str, variables: Mapping[str, Any], faults: list[Fault]) -> str:
    zone = "" if variables.get("duckconf_zone") is None else str(variables["duckconf_zone"])
    if zone and not HOST_NAME.fullmatch(zone):
        faults.append(Fault(f"{name}/duckconf_zone", f"should be letters, digits, . _ and - (63 at most), got {zone!r}"))
    return zone


def _front_address(name: str, variables: Mapping[str, Any], faults: list[Fault]) -> str:
    address = "" if variables.get("duckconf_address") is None else str(variables["duckconf_address"]).strip("[]")
    if address and not is_host_or_address(address):
        faults.append(Fault(f"{name}/duckconf_address", f"should be an IP address or a host name, got {address!r}"))
    return address


def _one_of(
    allowed: Sequence[str], variables: Mapping[str, Any], key: str, name: str, faults: list[Fault], default: str = ""
) -> str:
    """The variable's value, else the default, which is the first that is allowed."""
    default = default or allowed[0]
    value = default if variables.get(key) is None else variables[key]
    if value in allowed:
        return str(value)
    faults.append(Fault(f"{name}/{key}", f"should be {' or '.join(allowed)}, got {value!r}"))
    return default


def _route(name: str, variables: Mapping[str, Any], origins: Origins, answer: Answer | None, port: int) -> Route:
    """As ssh's configuration has it, where it says anything."""
    user = str(variables.get("ansible_user") or "")
    plain = Route(str(variables.get("ansible_host") or name), port, user)
    if (refused := refused_connection(variables, origins)) is not None:
        return replace(plain, refused=refused)
    if is_demo(variables):
        return plain
    try:
        asked = question(name, variables)
    except ValueError as unclosed:
        return replace(plain, refused=unreadable(str(unclosed), origins))
    return replace(route(asked, answer) if answer else plain, words=asked.added)
