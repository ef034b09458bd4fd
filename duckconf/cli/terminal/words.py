"""Writes the words that TAB offers: tasks and options, nodes and groups of the inventory, and the apps that there are now.

It runs in the background, without anybody who would read a message. What cannot be asked for now stays as it was.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from duckconf.cli.terminal.complete import Words, read, words_file
from duckconf.cli.terminal.edge import ROOT, project
from duckconf.counts import counted
from duckconf.errors import DuckconfError
from duckconf.reach.inventory.project import Project
from duckconf.reach.state.files import write_durably

OF_CLUSTER = ("app", "instance", "stack", "service")
SECONDS = 2.0


def main() -> None:
    """For the cluster and inventory that the environment names."""
    path = Path(words_file(str(ROOT), dict(os.environ)))
    before: Words = {}
    with suppress(OSError):
        before = read(str(path))
    found: Words = {}
    for kind, word, about in _tasks():
        found.setdefault(kind, []).append((word, about))
    here: Project | None = None
    with suppress(DuckconfError):
        here = project()
        found |= of_inventory(here)
    try:
        found |= of_cluster(here) if here is not None else {}
    except (DuckconfError, KeyError, TypeError):
        found |= {kind: before[kind] for kind in OF_CLUSTER if kind in before}
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_durably(path, "".join(_lines(found)).encode())
    path.chmod(0o600)


def _tasks() -> Iterator[tuple[str, str, str]]:
    from tasks import namespace

    for name in sorted(namespace.task_names):
        task: Any = namespace[name]
        yield "task", name, first_sentence(task.__doc__ or "")
        positional = set(task.positional or ())
        for argument in task.get_arguments():
            if argument.name not in positional and argument.attr_name not in positional:
                yield f"option {name}", f"--{argument.name.replace('_', '-')}", argument.help or ""


def of_inventory(here: Project) -> Words:
    inventory = here.inventory()
    groups = {name: len(set(hosts) & set(inventory.nodes)) for name, hosts in sorted(inventory.groups.items())}
    told = [(name, counted(count, "node")) for name, count in groups.items() if count]
    return {"node": [(name, inventory.hosts[name].where) for name in inventory.nodes], "group": told}


def of_cluster(here: Project) -> Words:
    """Raises DuckconfError when nobody answers."""
    from duckconf.cli.cluster.api import api_client
    from duckconf.cli.cluster.modes import AGENTS, MODES, PUSH, mode_of
    from duckconf.cli.cluster.services import services
    from duckconf.cli.look.control import service_names
    from duckconf.naming import instance_name

    mode = mode_of(here)
    names = [service.name for service in services(here, mode)]
    names = service_names(here.inventory()) if mode == AGENTS else names
    fixed: Words = {"service": [(name, "a log") for name in names], "mode": [(name, "") for name in MODES]}
    if mode == PUSH:
        return fixed | {"app": [(name, "") for name in _pushed(here)]}
    apps = api_client(here).call("GET", "/apps", deadline=SECONDS)["apps"]
    several = [
        (instance_name(entry["name"], one["slot"]), f"on {one['node'] or 'no node'}")
        for entry in apps
        for one in entry["instances"]
        if one["slot"] > 1
    ]
    stacks = sorted({str(entry["stack"]) for entry in apps if entry.get("stack")})
    known = [(str(entry["name"]), f"{entry['image']}, {entry['status']}") for entry in apps]
    return fixed | {"app": known, "instance": several, "stack": [(name, "a stack") for name in stacks]}


def _pushed(here: Project) -> list[str]:
    """Asked of the process that has the connections; none where it does not run."""
    from duckconf.reach.state import observer_socket

    told = observer_socket.ask(here.state, here.inventory().node_hosts())
    seen = told.seen.values() if told is not None else ()
    return sorted({one.app for found in seen if isinstance(found, tuple) for one in found if one.app})


def first_sentence(doc: str) -> str:
    return " ".join(doc.split()).partition(". ")[0].rstrip(".")


def _lines(found: Words) -> Iterable[str]:
    """Tabs and line ends are the file's own."""
    return (
        f"{kind}\t{' '.join(word.split())}\t{' '.join(about.split())}\n" for kind, words in found.items() for word, about in words
    )


if __name__ == "__main__":
    main()
