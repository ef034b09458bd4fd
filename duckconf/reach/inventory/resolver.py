"""Resolves an inventory with Ansible itself and prints it as JSON; run as a process of its own by `hosts.py`.

`python -m duckconf.reach.inventory.resolver PATH VARIABLE…` prints `{"hosts", "groups", "first", "digests"}`; PATH may be
several, one a line.
Ansible writes to the terminal and keeps global state, which is why it stays out of the other processes. Errors: one on
stderr, code 1.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from duckconf.inventory import NODES, SECRETS

# What Ansible itself knows of everybody.
ANSIBLES_OWN = (
    "ansible_config_file", "ansible_facts", "ansible_playbook_python", "ansible_version", "groups", "playbook_dir",
)  # fmt: skip
# What a template says of other hosts.
OTHERS = re.compile(r"\b(groups|hostvars)\b")
# A host that nobody has, to ask what its group says.
FIRST = "duckconf-first-node"
CLUSTER = "duckconf_cluster"


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

    `first` says to which cluster the first node would belong, while the group of the nodes is still empty. `digests` has one
    of everything that the inventory says of a host, "" where that hangs on other hosts.
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

    def everything(host: Any) -> dict[str, Any]:
        known: dict[str, Any] = manager.get_vars(host=host, include_hostvars=False)
        return known

    def variables(host: Any, wanted: Sequence[str]) -> dict[str, Any]:
        known = everything(host)
        templar = Templar(loader=loader, variables=known)
        return {name: _plain(templar.template(known[name])) for name in wanted if name in known}

    hosts = {host.name: variables(host, names) for host in inventory.get_hosts()}
    groups = {name: [host.name for host in group.get_hosts()] for name, group in inventory.groups.items()}
    first: dict[str, Any] = {}
    if groups.get(NODES) == []:
        inventory.add_host(FIRST, NODES)
        first = variables(inventory.get_host(FIRST), [CLUSTER])
    digests = {host.name: _digest(everything(host)) for host in inventory.get_hosts() if host.name in hosts}
    return {"hosts": hosts, "groups": groups, "first": first, "digests": digests}


def _digest(known: dict[str, Any]) -> str:
    """Templates count as they are written: what they may name of the host itself is there too."""
    words: list[str] = []
    said = {name: value for name, value in known.items() if name not in ANSIBLES_OWN and name not in SECRETS}
    text = json.dumps(_canonical(said, words))
    templates = [word for word in words if "{{" in word or "{%" in word]
    return "" if any(map(OTHERS.search, templates)) else hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: Any, words: list[str]) -> Any:
    """The same for the same content, whatever its keys are; every text in it is added to `words`."""
    if isinstance(value, Mapping):
        return sorted([f"{type(key).__name__} {key}", _canonical(item, words)] for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return [_canonical(item, words) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    words.append(_as_written(value))
    return words[-1]


def _as_written(value: object) -> str:
    """A value that is vaulted by itself stays so."""
    from ansible.parsing.vault import VaultHelper

    return VaultHelper.get_ciphertext(value, with_tags=False) or str(value)


def _plain(value: object) -> object:
    return value if isinstance(value, (bool, int, float)) or value is None else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
