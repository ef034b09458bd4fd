"""Starts an app from the image that its tag means now: its container is removed, and the loop or agent starts another one."""

from __future__ import annotations

from duckconf.actions import Remove
from duckconf.cli.cluster.modes import AGENTS, PUSH, mode_of
from duckconf.cli.cluster.nodes import open_cluster
from duckconf.cli.look.absent import why_absent
from duckconf.errors import NotFound
from duckconf.reach.inventory.project import Project


def redeploy(project: Project, name: str) -> None:
    """Raises NotFound in push mode, where nothing would start it again."""
    mode = mode_of(project)
    if mode == PUSH:
        raise NotFound("push mode starts no app again", f"./inv stop-app {name}, then ./inv start-app with its image")
    with open_cluster(project) as cluster:
        try:
            container = cluster.find(name)
        except NotFound as missing:
            raise why_absent(project, name) or missing from None
        cluster.act(Remove(container.node, container.name))
    actor = f"the agent of {container.node}" if mode == AGENTS else "the loop"
    print(f"{container.app}: removed from {container.node}; {actor} starts it from the image that is there now")
