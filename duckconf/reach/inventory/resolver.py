"""Resolves an inventory with Ansible itself and prints it as JSON; run as a process of its own by `hosts.py`.

`python -m duckconf.reach.inventory.resolver PATH VARIABLE…` prints {"hosts", "broken", "origins", "groups", "first", "digests"}.
PATH may be several, one a line. What concerns the connection is resolved as Ansible's own ssh and sudo plugins resolve it:
aliases, ansible.cfg, environment and precedence are theirs.
Ansible writes to the terminal and keeps global state, which is why it stays out of the other processes. Errors: one on
stderr, code 1.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from duckconf.inventory_variables import NODES, SECRETS

# What Ansible itself knows of everybody.
ANSIBLES_OWN = (
    "ansible_config_file", "ansible_facts", "ansible_playbook_python", "ansible_version", "groups", "playbook_dir",
)  # fmt: skip
# What a template says of other hosts.
OTHERS = re.compile(r"\b(groups|hostvars)\b")
# A host that nobody has, to ask what its group says.
FIRST = "duckconf-first-node"
CLUSTER = "duckconf_cluster"
# Options of Ansible's plugins, and the variable under which each is handed over, whoever has said it.
SSH_OPTIONS = {
    "host": "ansible_host",
    "port": "ansible_port",
    "remote_user": "ansible_user",
    "password": "ansible_password",
    "private_key_file": "ansible_ssh_private_key_file",
    "private_key": "ansible_private_key",
    "pkcs11_provider": "ansible_ssh_pkcs11_provider",
    "ssh_args": "ansible_ssh_args",
    "ssh_common_args": "ansible_ssh_common_args",
    "ssh_extra_args": "ansible_ssh_extra_args",
    "ssh_executable": "ansible_ssh_executable",
}
SUDO_OPTIONS = {
    "become_exe": "ansible_become_exe",
    "become_flags": "ansible_become_flags",
    "become_user": "ansible_become_user",
    "become_pass": "ansible_become_password",
}
PLUGINS = (("connection", "ssh", SSH_OPTIONS), ("become", "sudo", SUDO_OPTIONS))
# Ansible's own settings of the same rank, with the variable that each host may have instead.
SETTINGS = {"DEFAULT_TRANSPORT": "ansible_connection", "DEFAULT_BECOME_METHOD": "ansible_become_method"}
BECOME = "ansible_become"
# Of these it is only told that they are there.
UNTOLD = ("ansible_private_key",)


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
    from ansible.errors import AnsibleError
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader
    from ansible.template import Templar
    from ansible.vars.manager import VariableManager

    loader = DataLoader()
    _unlock_vaults(loader)
    inventory = InventoryManager(loader=loader, sources=path.split("\n"))
    manager = VariableManager(loader=loader, inventory=inventory)

    def everything(host: Any) -> dict[str, Any]:
        known: dict[str, Any] = manager.get_vars(host=host, include_hostvars=False)
        return known

    hosts, origins, digests, broken = {}, {}, {}, {}
    for host in inventory.get_hosts():
        known = everything(host)
        templar = Templar(loader=loader, variables=known)
        try:
            login, origins[host.name] = _login(known, templar.template)
            hosts[host.name] = {name: _plain(templar.template(known[name])) for name in names if name in known} | login
        except AnsibleError as error:
            # A template that fails is the trouble of its host; what is no template still says whose host it is.
            broken[host.name] = " ".join(str(getattr(error, "message", error)).split())
            hosts[host.name] = {name: _plain(known[name]) for name in names if name in known and "{" not in str(known[name])}
        digests[host.name] = _digest(known)
    groups = {name: [host.name for host in group.get_hosts()] for name, group in inventory.groups.items()}
    first: dict[str, Any] = {}
    if groups.get(NODES) == []:
        inventory.add_host(FIRST, NODES)
        known = everything(inventory.get_host(FIRST))
        if CLUSTER in known:
            first = {CLUSTER: _plain(Templar(loader=loader, variables=known).template(known[CLUSTER]))}
    return {"hosts": hosts, "broken": broken, "origins": origins, "groups": groups, "first": first, "digests": digests}


def _unlock_vaults(loader: Any) -> None:
    """With the passwords that Ansible is configured to find."""
    from ansible import constants

    vault_ids = list(constants.DEFAULT_VAULT_IDENTITY_LIST)
    files = [constants.DEFAULT_VAULT_PASSWORD_FILE] if constants.DEFAULT_VAULT_PASSWORD_FILE else []
    if vault_ids or files:
        # The command line of Ansible is a quarter of all that is loaded here.
        from ansible.cli import CLI

        loader.set_vault_secrets(
            CLI.setup_vault_secrets(loader, vault_ids=vault_ids, vault_password_files=files, auto_prompt=False)
        )


def _login(known: dict[str, Any], template: Callable[[Any], Any]) -> tuple[dict[str, Any], dict[str, tuple[str, str]]]:
    """How a host is logged in to, where anybody says something of it; and of each who says it: name and place."""
    from ansible import constants

    found: dict[str, Any] = {}
    origins: dict[str, tuple[str, str]] = {}

    def take(variable: str, value: Any, name: str, place: str) -> None:
        found[variable] = True if variable in UNTOLD else _plain(value)
        origins[variable] = (name, place)

    for kind, plugin, options in PLUGINS:
        for option, (definition, named, value, origin) in _options(kind, plugin, tuple(options)).items():
            if said := {name: template(known[name]) for name in named if name in known}:
                value, origin = _asked(constants.config, option, kind, plugin, said)
            if value is not None and origin not in ("default", "var: inventory_hostname"):
                take(options[option], value, *_who(definition, origin, known))
    for setting, variable in SETTINGS.items():
        value, origin = constants.config.get_config_value_and_origin(setting)
        if variable in known:
            take(variable, template(known[variable]), variable, _place(known[variable]))
        elif origin != "default":
            take(variable, value, *_who(constants.config.get_configuration_definitions()[setting], str(origin), known))
    if BECOME in known:
        take(BECOME, template(known[BECOME]), BECOME, _place(known[BECOME]))
    return found, origins


@functools.cache
def _options(kind: str, plugin: str, names: tuple[str, ...]) -> dict[str, tuple[Any, tuple[str, ...], Any, str]]:
    """Of each option its definition, its variables, and its value for a host that has none of these."""
    from ansible import constants
    from ansible.plugins import loader

    # The plugin declares its options when it is loaded.
    getattr(loader, f"{kind}_loader").get(plugin, class_only=True)
    definitions = constants.config.get_configuration_definitions(kind, plugin)
    found = {}
    for name in (name for name in names if name in definitions):
        variables = tuple(entry["name"] for entry in definitions[name].get("vars") or ())
        found[name] = (definitions[name], variables, *_asked(constants.config, name, kind, plugin, {}))
    return found


def _asked(config: Any, option: str, kind: str, plugin: str, said: Mapping[str, Any]) -> tuple[Any, str]:
    """The value of an option and who says it; as it was written where it is none that Ansible takes."""
    from ansible.errors import AnsibleError

    try:
        value, origin = config.get_config_value_and_origin(option, plugin_type=kind, plugin_name=plugin, variables=said)
    except AnsibleError:
        entries = config.get_configuration_definitions(kind, plugin)[option].get("vars") or ()
        name = next((entry["name"] for entry in reversed(entries) if entry["name"] in said), "")
        if not name:
            raise
        return said[name], f"var: {name}"
    return value, str(origin)


def _who(definition: Mapping[str, Any], origin: str, known: Mapping[str, Any]) -> tuple[str, str]:
    """The name of a variable, setting or environment variable, and where it stands."""
    kind, _, name = origin.partition(": ")
    if kind == "var":
        return name, _place(known.get(name))
    if kind == "env":
        return name, "the environment"
    keys = [entry["key"] for entry in definition.get("ini") or ()]
    return (keys[0] if keys else "a setting"), origin


def _place(value: object) -> str:
    """File and line of a variable; "" where this Ansible does not tell."""
    try:
        from ansible._internal._datatag._tags import Origin
    except ImportError:
        return ""
    found = Origin.get_tag(value)
    return "" if found is None or not found.path else f"{found.path}:{found.line_num}" if found.line_num else str(found.path)


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
