"""The cluster of a tour that disturbs no other: on free ports, and gone afterwards."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from duckconf.cli.cluster import bring_up
from duckconf.inventory import LONGEST_CLUSTER
from duckconf.reach.inventory.project import Project, load_project


@contextmanager
def own_cluster(here: Project, suffix: str, inventory: str, hosts: int, apis: int = 1) -> Iterator[Project]:
    """`inventory` has a pair of braces for the port of each of its `hosts`, and one for the name of the cluster, which ends with
    the suffix. The API is to be reached at so many addresses."""
    name = f"{here.cluster[: LONGEST_CLUSTER - len(suffix) - 1]}-{suffix}"
    folder = here.root / ".duckconf" / f"{name}-inventory"
    folder.mkdir(parents=True, exist_ok=True)
    ports = _free_ports(hosts + apis)
    (folder / "hosts.ini").write_text(inventory.format(*ports[:hosts], name))
    api = ",".join(f"http://127.0.0.1:{port}" for port in ports[hosts:])
    mine = {"DUCKCONF_INVENTORY": str(folder), "DUCKCONF_CLUSTER": name, "DUCKCONF_API": api}
    project = load_project(here.root, {**os.environ, **mine})
    try:
        yield project
    finally:
        bring_up.down(project, purge=False)
        shutil.rmtree(project.state, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports
