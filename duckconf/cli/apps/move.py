"""`./inv move`: starts an instance on another node without the data that it has on its own. Only a person may decide that."""

from __future__ import annotations

from duckconf.cli.cluster.api import api_client
from duckconf.cli.cluster.modes import AGENTS, PUSH, mode_of
from duckconf.errors import NotFound
from duckconf.local_data import Held, check_move, held_from_json, is_moving, shown
from duckconf.reach.inventory.project import Project
from duckconf.reach.state import data
from duckconf.reach.state.data import MoveFile, read_held


def move(project: Project, name: str, to: str, *, accepted: bool) -> None:
    """`name` is an instance, such as db or db.2. Raises Conflict unless the loss is `accepted`."""
    mode = mode_of(project)
    if mode == PUSH:
        raise NotFound("push mode moves no app", "see ./inv up reconcile")
    if mode != AGENTS and _takes_back(project, name, to):
        print(f"{name} stays on {to} with its data: ./inv ps")
        return
    held = _move_in_agents(project, name, to, accepted=accepted) if mode == AGENTS else _ask(project, name, to, accepted=accepted)
    where = to or "another node"
    print(f"{name} starts on {where} without its data ({shown(held.sources)}), which stays on {held.node}: ./inv ps")


def _takes_back(project: Project, name: str, to: str) -> bool:
    """Whether it was to leave this node and has not started elsewhere; the request is gone then."""
    moves, held = MoveFile(project.state / data.MOVES_NAME), read_held(project.state / data.FILE_NAME).get(name)
    if held is None or held.node != to or not is_moving(held, moves.moves().get(name)):
        return False
    moves.take_back(name)
    return True


def _ask(project: Project, name: str, to: str, *, accepted: bool) -> Held:
    """The loop reads what was asked for."""
    held = _required(name, read_held(project.state / data.FILE_NAME).get(name))
    check_move(name, held, to, project.inventory().nodes, accepted=accepted)
    MoveFile(project.state / data.MOVES_NAME).ask(name, held.node, to, held.move)
    return held


def _move_in_agents(project: Project, name: str, to: str, *, accepted: bool) -> Held:
    api = api_client(project)
    held = _required(name, held_from_json(api.call("GET", "/data")["data"]).get(name))
    api.call("POST", f"/instance/{name}/move", {"to": to, "accept_data_loss": accepted})
    return held


def _required(name: str, held: Held | None) -> Held:
    if held is None:
        raise NotFound(f"{name} has no data on a node that binds it there", "see ./inv ps; ./inv drain NODE moves what has none")
    return held
