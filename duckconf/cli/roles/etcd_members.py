"""What the role `etcd` is given: who the members are, where their certificates lie, and what becomes of their data.

Called by `provision` before the roles run, and by `members`.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

from duckconf.cli.cluster.etcd import JOIN, KEEP, Etcd
from duckconf.cli.cluster.etcd_certificates import ensure_etcd_certificates
from duckconf.cli.cluster.store import is_in_etcd
from duckconf.cli.roles.playbook import Playbook
from duckconf.inventory import Inventory
from duckconf.reach.inventory.project import Project
from duckconf.reach.inventory.topology import member_addresses
from duckconf.reach.ssh.fleet import Fleet

ROLE = "etcd"
STEP = "duckconf_etcd_step"


def member_variables(project: Project, inventory: Inventory) -> dict[str, Any]:
    """Of all members alike. Makes the certificates that are not there yet."""
    members = member_addresses(inventory)
    names = {name: {address, inventory.hosts[name].address} for name, address in members.items()}
    files = ensure_etcd_certificates(project.state, project.cluster, names, time.time())
    own = files.of("{{ inventory_hostname }}")
    return {
        "duckconf_etcd_members": members,
        "duckconf_etcd_ca_source": str(files.ca),
        "duckconf_etcd_certificate_source": str(own),
        "duckconf_etcd_key_source": str(own.with_suffix(".key")),
        "duckconf_etcd_client_certificate_source": str(files.client),
        "duckconf_etcd_client_key_source": str(files.client.with_suffix(".key")),
    }


def settled(
    project: Project, fleet: Fleet, inventory: Inventory, roles: Mapping[str, Collection[str]], variables: tuple[Any, Any]
) -> dict[str, str]:
    """The members are those of the inventory, or about to begin, when this returns: what the role is told beside its variables.

    Where a limit leaves hosts of the control plane out, members neither come nor go."""
    if not any(ROLE in names for names in roles.values()):
        return {}
    if any(ROLE not in roles.get(name, ()) for name in inventory.control_plane):
        return {STEP: KEEP}
    shared, defaults = variables

    def begin(host: str, members: Mapping[str, str]) -> None:
        given = {**shared, "duckconf_etcd_members": dict(members), STEP: JOIN}
        outcome = Playbook(project, [inventory.hosts[host]], given, defaults, (ROLE,)).run()[host]
        if outcome.failure is not None:
            raise outcome.failure

    return {STEP: Etcd(member_addresses(inventory), fleet, is_in_etcd(project)).settle(begin)}
