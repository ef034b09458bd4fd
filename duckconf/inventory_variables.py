"""The groups and variables of an inventory that Duckconf reads, the variables by what may be done with them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from duckconf.errors import Fault

NODES = "nodes"
CONTROL_PLANE = "control_plane"
EDGE = "edge"
# How one gets there, and nothing that belongs there.
SECRETS = (
    "ansible_password", "ansible_ssh_pass", "ansible_ssh_password", "ansible_become_password", "ansible_become_pass",
    "ansible_sudo_pass", "ansible_private_key", "ansible_private_key_passphrase", "ansible_ssh_private_key_passphrase",
)  # fmt: skip
# How variables begin that an inventory gives: settings of ansible.cfg and of the environment have other names.
BY_INVENTORY = ("ansible_", "duckconf_")
# What only Duckconf knows; what concerns the login is handed over as Ansible resolves it.
VARIABLES = (
    "duckconf_provider",
    "duckconf_cluster",
    "duckconf_engine",
    "duckconf_topology",
    "duckconf_demo_image",
    "duckconf_become",
    "duckconf_zone",
    "duckconf_address",
    "duckconf_edge",
    "duckconf_acme",
    "duckconf_acme_email",
    "duckconf_rebalance",
    "duckconf_store",
    # What duckconf_store was called before.
    "duckconf_etcd",
    "duckconf_api_url",
    "duckconf_tls",
    "duckconf_tls_certificate",
    "duckconf_tls_key",
    "duckconf_tls_ca",
)


def read_truth(variables: Mapping[str, Any], name: str, default: bool, path: str, faults: list[Fault]) -> bool:
    wanted = str(variables.get(name, default)).lower()
    if wanted not in ("true", "false"):
        faults.append(Fault(path, f"should be true or false, got {variables[name]!r}"))
    return wanted == "true"
