"""`./inv secret`: sets, lists and removes the secrets of a cluster. A value comes from stdin, a file or a vault, and is never
printed. In reconcile mode they lie in the state folder, in agents mode at the api-server."""

from __future__ import annotations

import base64
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from duckconf.cli.cluster.api import api_client
from duckconf.cli.cluster.modes import AGENTS, RECONCILE, mode_of
from duckconf.cli.terminal.edge import typed_path
from duckconf.cli.terminal.tables import age, print_json, print_table
from duckconf.desired import read_document
from duckconf.errors import BadInput, Fault, NotFound
from duckconf.reach.api.client import path_of
from duckconf.reach.inventory.hosts import variable
from duckconf.reach.inventory.project import Project
from duckconf.reach.state.desired_file import FILE_NAME as DESIRED
from duckconf.reach.state.secrets import FILE_NAME, SecretFile
from duckconf.secrets import LARGEST, check_name, check_value, require_unused, users

ACTIONS = ("set", "list", "remove")
COLUMNS = ("name", "revision", "set", "apps")
VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class Told(NamedTuple):
    """What became of a secret that was set."""

    changed: bool
    apps: Sequence[str]


def secret(project: Project, typed: str, from_file: str, from_vault: str, *, as_json: bool) -> None:
    """`typed` is an action, and the name that it is for. Raises BadInput for words that mean nothing, NotFound in push mode."""
    action, _, name = typed.partition(" ")
    if action not in ACTIONS:
        raise BadInput(Fault("ACTION", f"should be {', '.join(ACTIONS[:-1])} or {ACTIONS[-1]}, got {action!r}"))
    if mode_of(project) not in (RECONCILE, AGENTS):
        raise NotFound("push mode keeps no state and no secrets", "they need mode reconcile or agents: ./inv up reconcile")
    if action == "list":
        _list(project, as_json=as_json)
        return
    if not name:
        raise BadInput(Fault("NAME", f"is missing: ./inv secret {action} NAME"))
    check_name(name)
    if action == "set":
        told = put_secret(project, name, check_value(_typed_value(project, from_file, from_vault)))
        words = "is set" if told.changed else "has this value already"
        print(f"the secret {name} {words}" + (f"; updating {', '.join(told.apps)}" if told.changed and told.apps else ""))
    else:
        remove_secret(project, name)
        print(f"the secret {name} is removed")


def _typed_value(project: Project, from_file: str, from_vault: str) -> bytes:
    if from_file and from_vault:
        raise BadInput(Fault("--from-vault", "and --from-file exclude each other"))
    if from_vault:
        if not VARIABLE.fullmatch(from_vault):
            raise BadInput(Fault("--from-vault", f"should be the name of a variable, got {from_vault!r}"))
        return variable(project.inventory_path, project.root, from_vault).encode()
    if from_file:
        try:
            with Path(typed_path(from_file)).open("rb") as file:
                return file.read(LARGEST + 1)
        except OSError as error:
            raise BadInput(Fault("--from-file", f"{from_file} cannot be read: {error.strerror}")) from None
    if sys.stdin.isatty():
        raise BadInput(Fault("stdin", "is a terminal; give the value in a pipe, with --from-file FILE or --from-vault VARIABLE"))
    return sys.stdin.buffer.read(LARGEST + 1)


def put_secret(project: Project, name: str, value: bytes) -> Told:
    if mode_of(project) == AGENTS:
        answer = api_client(project).call("PUT", path_of("secret", name), {"value": base64.b64encode(value).decode()})
        return Told(bool(answer["changed"]), answer["apps"])
    _, changed = _file(project).put(name, value, time.time())
    return Told(changed, _users(project).get(name, ()))


def remove_secret(project: Project, name: str) -> None:
    if mode_of(project) == AGENTS:
        api_client(project).call("DELETE", path_of("secret", name))
        return
    require_unused(name, _users(project))
    _file(project).remove(name)


def secret_names(project: Project) -> list[str]:
    if mode_of(project) == AGENTS:
        return [entry["name"] for entry in api_client(project).call("GET", "/secrets")["secrets"]]
    return sorted(_file(project).current())


def _list(project: Project, *, as_json: bool) -> None:
    rows: list[dict[str, Any]]
    if mode_of(project) == AGENTS:
        rows = api_client(project).call("GET", "/secrets")["secrets"]
    else:
        using = _users(project)
        rows = [
            {"name": name, "revision": kept.revision, "since": kept.since, "apps": using.get(name, [])}
            for name, kept in sorted(_file(project).current().items())
        ]
    if as_json:
        print_json(rows)
        return
    shown = [{**row, "set": age(row["since"]), "apps": ", ".join(row["apps"])} for row in rows]
    print_table(shown, COLUMNS, "there are no secrets; set one: ./inv secret set NAME --from-file FILE")


def _file(project: Project) -> SecretFile:
    return SecretFile(project.state / FILE_NAME)


def _users(project: Project) -> dict[str, list[str]]:
    """The apps that use each secret. Raises BadInput for a desired state that cannot be read."""
    path = project.state / DESIRED
    return users(read_document(path.read_text("utf-8")).apps().values()) if path.exists() else {}


def upload(project: Project) -> None:
    """The secrets of reconcile mode go to the api-server, with their revisions, so that no app is restarted for that."""
    file = _file(project)
    api = api_client(project, AGENTS)
    for name, kept in file.current().items():
        value, salt = (base64.b64encode(text).decode() for text in (kept.value, kept.salt))
        api.call("PUT", path_of("secret", name), {"value": value, "salt": salt})
    # An old value must not come back with the mode.
    file.path.unlink(missing_ok=True)
