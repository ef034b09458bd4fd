"""Nodes try at once again what their engines have refused: a person has changed something there."""

from __future__ import annotations

from collections.abc import Iterable

from duckconf.cli.cluster.api import api_client
from duckconf.cli.cluster.modes import AGENTS, RECONCILE, mode_of
from duckconf.reach.api.client import path_of
from duckconf.reach.inventory.project import Project
from duckconf.reach.state.asked import FILE_NAME, Asked


def try_again(project: Project, nodes: Iterable[str]) -> None:
    """The pauses of their refusals end. In push mode there are none. Raises DuckconfError."""
    mode = mode_of(project)
    if mode == AGENTS:
        api = api_client(project)
        for node in nodes:
            api.call("PUT", path_of("node", node), {"again": True})
    elif mode == RECONCILE:
        for node in nodes:
            Asked(project.state / FILE_NAME).ask(node)
