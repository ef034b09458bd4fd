"""Which engine a demo host uses, and where other hosts reach a host: a demo host has no address that counts for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from duckconf.errors import SetupError
from duckconf.inventory import OWN, TOPOLOGIES, Host, Inventory

TOPOLOGY_FILE = "topology"
# How a container calls the machine that runs it.
THIS_MACHINE = "host.containers.internal"


def topology_of(host: Host, state: Path) -> str:
    """What was chosen for all demo hosts, else what the inventory says."""
    path = state / TOPOLOGY_FILE
    try:
        chosen = path.read_text("utf-8").strip()
    except FileNotFoundError:
        return host.topology
    if chosen not in TOPOLOGIES:
        raise SetupError(f"{path} should hold {' or '.join(TOPOLOGIES)}, and holds {chosen!r}", "choose again: --topology")
    return chosen


def front_addresses(inventory: Inventory, state: Path) -> Mapping[str, str]:
    """Where a front that runs on a node reaches each node. Demo hosts know each other by name; the apps of one that borrows this
    machine's engine are published by this machine."""

    def address(host: Host) -> str:
        if not host.demo or host.front_address:
            return inventory.front_address(host.name)
        return host.name if host.bare or topology_of(host, state) == OWN else THIS_MACHINE

    return {host.name: address(host) for host in inventory.node_hosts()}


def member_addresses(inventory: Inventory) -> dict[str, str]:
    """Where the members of etcd reach each other, by the name of their host."""

    def address(host: Host) -> str:
        return host.name if host.demo else host.front_address or host.address

    return {name: address(inventory.hosts[name]) for name in inventory.control_plane}
