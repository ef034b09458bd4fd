"""`./inv drain`: empties a node in the modes that can move its apps. The only module that knows how each mode does it."""

from __future__ import annotations

from duckconf.cli.cluster.modes import AGENTS, RECONCILE, mode_of
from duckconf.cli.fleet import drain_agents, drain_loop
from duckconf.cli.fleet.drained import Drained
from duckconf.cli.fleet.limits import chosen_nodes
from duckconf.counts import counted
from duckconf.errors import NotFound
from duckconf.reach.inventory.project import Project


def drain(project: Project, nodes: str) -> None:
    """Those that the pattern means, one after the other. Raises DuckconfError naming the app that could not move."""
    for host in chosen_nodes(project, project.inventory(), nodes):
        done = drain_node(project, host.name)
        stays = f"; {', '.join(done.stays)} stays there with its data" if done.stays else ""
        print(f"{host.name} is drained: {counted(done.moved, 'app')} moved{stays}; to use it again: ./inv uncordon {host.name}")


def drain_node(project: Project, node: str) -> Drained:
    """Returns when all have moved that can."""
    mode = mode_of(project)
    if mode == AGENTS:
        return drain_agents.drain(project, node)
    if mode == RECONCILE:
        return drain_loop.drain(project, node)
    raise NotFound(f"mode {mode} cannot move apps, because it has no desired state", f"keep new apps off: ./inv cordon {node}")
