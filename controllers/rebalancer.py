"""The scheduler's part in a rebalance: it looks at apps and nodes, decides as the loop of reconcile mode does, and moves
instances through the API. It keeps nothing: how far a rebalance is, the api-server has on disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controllers.component import Component
from duckconf.balance_told import sight
from duckconf.reach.api.client import ApiClient
from duckconf.rebalancing import AUTO, Progress, Sight, Turn, progress_from_json, take_turn, with_nodes
from duckconf.sites import Sites

# While something else is waited for, whose end wakes nobody.
AGAIN = 2.0


def balance(component: Component, api: ApiClient, mode: str, sites: Sites, interval: float) -> float:
    """One look, and the moves that begin now; returns the seconds after which to look again without a wake-up."""
    told = api.call("GET", "/rebalance")
    asked, before = int(told["asked"]), progress_from_json(told["progress"])
    if not (mode == AUTO or is_due(asked, before)):
        return interval
    nodes = api.call("GET", "/nodes?facts=true")["nodes"]
    if not is_due(asked, before) and not is_due(asked, with_nodes(before, mode, sight((), nodes, sites))):
        _keep(api, before, with_nodes(before, mode, sight((), nodes, sites)))
        return interval
    apps = api.call("GET", "/apps")["apps"]
    seen = sight(apps, nodes, sites)
    turn = take_turn(before, asked, mode, seen)
    # Kept before it is done: the next scheduler follows what this one has begun.
    _keep(api, before, turn.progress)
    revisions = {str(entry["name"]): str(entry["revision"]) for entry in apps}
    if bindings := bindings_of(turn, seen, revisions):
        api.call("PUT", "/apps", {"apps": bindings})
    component.tell(api, turn.events)
    return AGAIN if is_due(asked, turn.progress) else interval


def is_due(asked: int, progress: Progress) -> bool:
    return asked > progress.done or bool(progress.owed or progress.moving)


def bindings_of(turn: Turn, seen: Sight, revisions: Mapping[str, str]) -> list[dict[str, Any]]:
    """Pure. The moves, and what returns, as `PUT /apps` takes them: at the revisions at which the apps were read."""
    placed = {one.name: one for one in seen.instances}
    back = [(placed[name], node, False) for name, node in sorted(turn.back.items())]
    moves = [(move.instance, move.target, not move.starts_first) for move in turn.moves]
    return [
        {
            "name": one.app.name,
            "slot": one.slot,
            "node": node,
            "revision": revisions.get(one.app.name, ""),
            **({"stops_first": True} if stops else {}),
        }
        for one, node, stops in [*back, *moves]
    ]


def _keep(api: ApiClient, before: Progress, after: Progress) -> None:
    if after != before:
        api.call("PUT", "/rebalance", after.to_json())
