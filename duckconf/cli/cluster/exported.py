"""What the control plane has in etcd, as the files of a backup: asked of one of its hosts over SSH, as of one moment.

The API would be asked many times, and what it answers is of as many moments.
"""

from __future__ import annotations

import json

from duckconf.cli.cluster.nodes import Cluster, open_cluster
from duckconf.command import Command
from duckconf.errors import DuckconfError, SetupError
from duckconf.reach.inventory.project import Project

OWNER = "duckconf-control"
# Who may read the key of etcd's clients.
GROUPS = f"{OWNER},duckconf-etcd"
PROGRAM = "/usr/local/lib/duckconf/control-plane.pyz"
CONFIG = "/etc/duckconf/control-plane.json"
# A state of 2 000 apps takes a few seconds.
DEADLINE = 120.0
# By argparse, of what it does not know.
USAGE = 2


def move_command(*words: str) -> Command:
    """`python -m api.move` on a host of the control plane, as its services run."""
    who = ("setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", f"--groups={GROUPS}")
    return Command((*who, "env", f"PYTHONPATH={PROGRAM}", "/usr/bin/python3", "-m", "api.move", f"--config={CONFIG}", *words),
                   deadline=DEADLINE)  # fmt: skip


def exported(project: Project) -> dict[str, str]:
    """The text of each file by its name in the backup. Raises DuckconfError when no host of the control plane can tell it."""
    failure: DuckconfError | None = None
    with open_cluster(project) as cluster:
        for host in cluster.inventory.control_plane:
            try:
                return _told_by(cluster, host)
            except DuckconfError as error:
                failure = failure or error
    raise failure or SetupError("the inventory has no host in the group control_plane", "see inventory/hosts.yml")


def _told_by(cluster: Cluster, host: str) -> dict[str, str]:
    done = cluster.fleet.admin(host).run(move_command("--export"))
    if done.code == USAGE:
        raise SetupError(f"the control plane on {host} is older than this Duckconf", "bring it to this version: ./inv up agents")
    if not done.ok:
        said = " ".join(done.stderr.split())[-300:]
        raise SetupError(f"{host}: the state in etcd cannot be read: {said}", "see `./inv members`")
    try:
        return {str(name): str(text) for name, text in json.loads(done.stdout).items()}
    except (ValueError, AttributeError):
        raise SetupError(f"{host}: what the control plane told of its state cannot be understood", "try again") from None
