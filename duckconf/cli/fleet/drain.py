"""`./inv drain`: empties a node in the modes that can move its apps. The only module that knows how each mode does it."""

from __future__ import annotations

from duckconf.cli.cluster.modes import AGENTS, RECONCILE, mode_of
from duckconf.cli.fleet import drain_agents, drain_loop
from duckconf.cli.fleet.drained import Drained, not_empty
from duckconf.cli.fleet.limits import chosen_nodes
from duckconf.cli.terminal.say import say
from duckconf.counts import counted
from duckconf.errors import NotFound
from duckconf.reach.inventory.project import Project


def drain(project: Project, nodes: str) -> None:
    """Those that the pattern means, one after the other. Raises DuckconfError naming all instances that could not move."""
    chosen = [host.name for host in chosen_nodes(project, project.inventory(), nodes)]
    found: dict[str, Drained] = {}
    for number, node in enumerate(chosen, 1):
        try:
            found[node] = drain_node(project, node)
        except KeyboardInterrupt:
            rest = f"; not begun: {', '.join(chosen[number:])}" if chosen[number:] else ""
            say(f"what has begun goes on: ./inv explain {node} tells how far it is, ./inv uncordon {node} ends it{rest}")
            raise
    for node, done in found.items():
        if not done.stuck:
            verb = "stays there with its data" if len(done.stays) == 1 else "stay there with their data"
            stays = f"; {', '.join(done.stays)} {verb}" if done.stays else ""
            print(f"{node} is drained: {counted(done.moved, 'app')} moved{stays}; to use it again: ./inv uncordon {node}")
    if left := {node: done for node, done in found.items() if done.stuck}:
        names = {name for done in left.values() for name in done.stuck}
        raise not_empty(list(left), names, sum(done.moved for done in left.values()))


def drain_node(project: Project, node: str) -> Drained:
    """Returns when all have moved that can."""
    mode = mode_of(project)
    if mode == AGENTS:
        return drain_agents.drain(project, node)
    if mode == RECONCILE:
        return drain_loop.drain(project, node)
    raise NotFound(f"mode {mode} cannot move apps, because it has no desired state", f"keep new apps off: ./inv cordon {node}")
