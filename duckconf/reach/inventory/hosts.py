"""The inventory, resolved by Ansible once and remembered by its content: the second call costs a few file reads.

Asking Ansible costs half a second. What it answered is kept under `.duckconf/`, without passwords when any file of
the inventory is vaulted: a password that was encrypted is never written in clear, but asked for again when needed.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from duckconf.command import Command
from duckconf.errors import SetupError
from duckconf.inventory import Inventory, read_inventory
from duckconf.inventory_variables import SECRETS, VARIABLES
from duckconf.reach.inventory.ssh_config import ssh_answers
from duckconf.reach.nodes.local import LocalRunner
from duckconf.reach.state.files import write_durably

RESOLVER_DEADLINE = 60.0
# Of what is remembered; another number when it holds something else.
FORMAT = 4
# What of the environment changes what Ansible resolves; a vault's password is only needed where nothing is remembered.
SETTINGS = "ANSIBLE_"
VAULT = "VAULT"
VAULT_MARK = b"$ANSIBLE_VAULT"
BESIDE = ("group_vars", "host_vars")
# How Ansible reports a file that no parser took: one block per parser, some with the place of the fault.
LOCATED = re.compile(r"(?:plugin: |caused by >>> )(?P<what>[^<>]*?) Origin: (?P<where>[^\s<>]+:\d+)")
BY_PLUGIN = re.compile(r"with '(\w+)' plugin: (.*?)(?= Failed to parse| <<<| Origin:|$)")


def load_inventory(path: Path, project: Path, *more: Path, secrets: bool = False) -> Inventory:
    """The hosts of the inventory at `path`, file or folder, and of the files `more`; raises SetupError or BadInput that say
    where it is wrong.

    Without `secrets`, passwords that live in a vault may be missing from the answer, which is then quicker.
    """
    if not path.exists():
        raise SetupError(f"there is no inventory at {path}", "see `inventory` in invoke.yml and DUCKCONF_INVENTORY")
    contents = _Contents(path, project, *more)
    cache = _cache_of(path, project, *more)
    document = _remembered(cache, contents.digest)
    if contents.computed:
        document = _resolve(path, project, *more)
    elif document is None or (secrets and document.get("secrets_left_out")):
        known = document is not None
        document = _resolved(contents.digest, path, project, *more)
        if not known:
            _remember(cache, contents, document)
    answers = ssh_answers(document, _cache_of(path, project, *more, what="ssh"), keep=not contents.computed)
    return read_inventory({**document, "ssh": answers}, _shown(path, project))


def _cache_of(*paths: Path, what: str = "inventory") -> Path:
    """`paths` are the inventory, the project's folder and what is read beside the inventory."""
    path, project, *more = paths
    names = "\n".join(map(str, (path, *more)))
    return project / ".duckconf" / f"{what}-{hashlib.sha256(names.encode()).hexdigest()[:12]}.json"


def load_with(path: Path, extra: Path, project: Path, *more: Path) -> Inventory:
    """The inventory as it would be with the hosts of `extra`; nothing is remembered. Raises as `load_inventory` does."""
    document = _resolve(path, project, *more, extra)
    answers = ssh_answers(document, _cache_of(path, project, *more, what="ssh"), keep=False)
    return read_inventory({**document, "ssh": answers}, _shown(path, project))


def variable(path: Path, project: Path, name: str) -> str:
    """What the inventory says for a variable, the same for all hosts that have it. Nothing is remembered, nor quoted in an
    error. Raises SetupError."""
    document = _resolve(path, project, variables=(name,))
    found = {str(variables[name]) for variables in document["hosts"].values() if name in variables}
    if len(found) != 1:
        what = "has several values" if found else "is not set for any host"
        raise SetupError(f"the variable {name} {what} in {_shown(path, project)}", "define it for all hosts, best in a vault")
    return found.pop()


def host_digests(path: Path, project: Path, *more: Path) -> dict[str, str]:
    """A digest of all that the inventory says of each host; none where it may answer differently each time.

    To be asked after `load_inventory`, which remembers it.
    """
    contents = _Contents(path, project, *more)
    document = None if contents.computed else _remembered(_cache_of(path, project, *more), contents.digest)
    return {} if document is None else {name: digest for name, digest in document["digests"].items() if digest}


@functools.cache
def _ansible_version() -> bytes:
    """The file that says it, without an import of all that reads packages. Asked once: a service must outlive an upgrade that
    makes its packages anew. Raises SetupError."""
    spec = find_spec("ansible")
    if spec is None or spec.origin is None:
        raise SetupError("the Python package ansible-core is missing", "remove .venv, and ./inv makes it again")
    return Path(spec.origin).with_name("release.py").read_bytes()


class _Contents:
    """What the answer depends on: the files, Ansible's version and configuration."""

    def __init__(self, path: Path, project: Path, *more: Path) -> None:
        digest = hashlib.sha256(_ansible_version())
        said = sorted(item for item in os.environ.items() if item[0].startswith(SETTINGS) and VAULT not in item[0])
        digest.update(repr((FORMAT, VARIABLES, said)).encode())
        self.vaulted = False
        self.computed = False
        for file in [*_files(path), *more, *_configuration(project)]:
            content = file.read_bytes()
            digest.update(f"{file}\0{len(content)}\0".encode())
            digest.update(content)
            self.vaulted = self.vaulted or VAULT_MARK in content
            # A script or an inventory plugin can answer differently each time.
            self.computed = self.computed or os.access(file, os.X_OK) or b"\nplugin:" in b"\n" + content
            self.computed = self.computed or b"lookup(" in content or b"query(" in content
        self.digest = digest.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    roots = [path] if path.is_dir() else [path, *(path.parent / name for name in BESIDE)]
    for root in roots:
        if root.is_file():
            yield root
        yield from sorted(file for file in root.rglob("*") if file.is_file())


def _configuration(project: Path) -> Iterator[Path]:
    named = os.environ.get("ANSIBLE_CONFIG")
    candidates = (
        [Path(named)] if named else [project / "ansible.cfg", Path.home() / ".ansible.cfg", Path("/etc/ansible/ansible.cfg")]
    )
    yield from (file for file in candidates if file.is_file())


def _remembered(cache: Path, digest: str) -> dict[str, Any] | None:
    try:
        kept = json.loads(cache.read_bytes())
        return kept["document"] if kept["digest"] == digest else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(cache: Path, contents: _Contents, document: dict[str, Any]) -> None:
    if contents.vaulted:
        hosts = {
            name: {key: value for key, value in variables.items() if key not in SECRETS}
            for name, variables in document["hosts"].items()
        }
        document = {**document, "hosts": hosts, "secrets_left_out": True}
    cache.parent.mkdir(mode=0o700, exist_ok=True)
    write_durably(cache, json.dumps({"digest": contents.digest, "document": document}).encode())


@functools.lru_cache(maxsize=4)
def _resolved(digest: str, path: Path, project: Path, *more: Path) -> dict[str, Any]:
    """What Ansible made of contents with this digest, with all secrets: a vault is opened once by each process."""
    return _resolve(path, project, *more)


def _resolve(path: Path, project: Path, *more: Path, variables: Sequence[str] = VARIABLES) -> dict[str, Any]:
    source_root = str(Path(__file__).resolve().parents[3])
    environ = {**os.environ, "PYTHONPATH": source_root}
    runner = LocalRunner(environ=environ, folder=project)
    argv = (sys.executable, "-m", "duckconf.reach.inventory.resolver", "\n".join(map(str, (path, *more))), *variables)
    done = runner.run(Command(argv, deadline=RESOLVER_DEADLINE))
    if not done.ok:
        raise SetupError(f"inventory {_shown(path, project)}: {_reason(done.stderr, path)}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def _reason(words: str, path: Path) -> str:
    """What is wrong and in which line, out of the report of every parser that Ansible tried."""
    text = " ".join(line.strip() for line in words.splitlines())
    if located := LOCATED.search(text):
        return f"{located['where']}: {located['what'].strip()}"
    meant = "ini" if path.suffix in ("", ".ini", ".cfg") else "yaml"
    for plugin, what in BY_PLUGIN.findall(text):
        if plugin == meant:
            return f"{path.name}: {what.strip()}"
    return text or "Ansible cannot read it"


def _shown(path: Path, project: Path) -> str:
    return str(path.relative_to(project)) if path.is_relative_to(project) else str(path)
