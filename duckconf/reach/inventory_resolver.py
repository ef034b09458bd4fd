"""Resolves an inventory with Ansible itself and prints it as JSON; run as a process of its own by `hosts.py`.

`python -m duckconf.reach.inventory_resolver PATH VARIABLE…` prints `{"hosts", "groups", "first"}`; PATH may be several, one
a line.
Ansible writes to the terminal and keeps global state, which is why it stays out of the other processes. Errors: one on
stderr, code 1.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from duckconf.inventory import NODES

# A host that nobody has, to ask what its group says.
FIRST = "duckconf-first-node"


def main(path: str, variables: list[str]) -> int:
    # Read by Ansible when it is imported: a broken file is an error, not an empty inventory with a warning.
    os.environ["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"] = "1"
    os.environ["ANSIBLE_NOCOLOR"] = "1"
    from ansible.errors import AnsibleError

    try:
        print(json.dumps(resolve(path, variables), default=str))
    except AnsibleError as error:
        print(error.message if hasattr(error, "message") else error, file=sys.stderr)
        return 1
    return 0


def resolve(path: str, names: list[str]) -> dict[str, Any]:
    """Every host with those of the variables `names` that are set, templates filled in; groups with their hosts.

    `first` are the variables that the first node would have, while the group of the nodes is still empty.
    """
    from ansible import constants
    from ansible.cli import CLI
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader
    from ansible.template import Templar
    from ansible.vars.manager import VariableManager

    loader = DataLoader()
    files = [constants.DEFAULT_VAULT_PASSWORD_FILE] if constants.DEFAULT_VAULT_PASSWORD_FILE else []
    loader.set_vault_secrets(
        CLI.setup_vault_secrets(
            loader, vault_ids=list(constants.DEFAULT_VAULT_IDENTITY_LIST), vault_password_files=files, auto_prompt=False
        )
    )
    inventory = InventoryManager(loader=loader, sources=path.split("\n"))
    manager = VariableManager(loader=loader, inventory=inventory)

    def variables(host: Any) -> dict[str, Any]:
        known = manager.get_vars(host=host, include_hostvars=False)
        templar = Templar(loader=loader, variables=known)
        return {name: _plain(templar.template(known[name])) for name in names if name in known}

    hosts = {host.name: variables(host) for host in inventory.get_hosts()}
    groups = {name: [host.name for host in group.get_hosts()] for name, group in inventory.groups.items()}
    first: dict[str, Any] = {}
    if groups.get(NODES) == []:
        inventory.add_host(FIRST, NODES)
        first = variables(inventory.get_host(FIRST))
    return {"hosts": hosts, "groups": groups, "first": first}


def _plain(value: object) -> object:
    return value if isinstance(value, (bool, int, float)) or value is None else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
