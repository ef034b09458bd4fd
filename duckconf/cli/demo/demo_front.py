"""The front of a demo host as this machine reaches it: its published port, and the certificate to trust."""

from __future__ import annotations

import time
from pathlib import Path

from duckconf.cli.demo.load import Target
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.edge_config import ROOT_CERTIFICATE
from duckconf.errors import SetupError
from duckconf.naming import host_container
from duckconf.reach.inventory.project import Project

WITHIN = 30.0
LOOK_EVERY = 0.2


def front_of(project: Project, engine: LocalEngine, node: str, host: str, folder: Path) -> Target:
    """For requests to `host`. The certificate is put into `folder`. Raises SetupError when there is none after a while."""
    container = host_container(project.cluster, node)
    end = time.monotonic() + WITHIN
    while not (told := engine.run("exec", container, "cat", ROOT_CERTIFICATE)).ok:
        if time.monotonic() > end:
            raise SetupError(f"the front of {node} has no authority after {WITHIN:g} s: {told.stderr.strip()}")
        time.sleep(LOOK_EVERY)
    root = folder / f"{node}-root.crt"
    root.write_text(told.stdout)
    return Target(host, "127.0.0.1", published(project, engine, node, 443), str(root))


def published(project: Project, engine: LocalEngine, node: str, port: int) -> int:
    """The port of this machine that leads to one of the front's."""
    return int(engine.must("port", host_container(project.cluster, node), str(port)).rpartition(":")[2])
