"""What each role is to put on a host as one digest, so that a role which has done it already need not run again.

A role names in its argument specification everything that it takes from outside. What else counts is the role itself, and
what the inventory says of the host.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from duckconf.reach.inventory.hosts import host_digests
from duckconf.reach.inventory.project import Project

PLAYBOOK = "provision.yml"
SOURCE = "_source"
# As Ansible writes the host's own name.
OWN_NAME = "{{ inventory_hostname }}"
# Parts of a role that never reach a host.
BESIDE = ("molecule", "meta")


def wanted(project: Project, roles: Mapping[str, Sequence[str]], variables: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """A digest for each host and role of `roles`; `variables` are what all of them are given.

    A new one each time where the inventory may answer differently.
    """
    said = host_digests(project.inventory_path, project.root, *project.more_inventory)
    folder = project.root / "roles"
    playbook = (folder / PLAYBOOK).read_bytes()
    every = {role for names in roles.values() for role in names}
    known = {role: (_content(folder / role), _arguments(folder / role)) for role in every}

    def digest(host: str, role: str) -> str:
        content, arguments = known[role]
        found = hashlib.sha256((said.get(host) or str(time.time_ns())).encode() + playbook + content)
        for name in arguments:
            if name in variables:
                found.update(_given(name, variables[name], host))
        return found.hexdigest()

    return {host: {role: digest(host, role) for role in names} for host, names in roles.items()}


def _content(role: Path) -> bytes:
    digest = hashlib.sha256()
    for path in sorted(path for path in role.rglob("*") if path.is_file() and path.relative_to(role).parts[0] not in BESIDE):
        digest.update(f"{path.relative_to(role)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.digest()


def _arguments(role: Path) -> tuple[str, ...]:
    spec = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text("utf-8"))
    return tuple(sorted(spec["argument_specs"]["main"]["options"]))


def _given(name: str, value: Any, host: str) -> bytes:
    """A variable, and of a file its content."""
    digest = hashlib.sha256(f"{name}\0{json.dumps(value)}\0".encode())
    if name.endswith(SOURCE) and value:
        digest.update(Path(value.replace(OWN_NAME, host)).read_bytes())
    return digest.digest()
