"""`./inv rebalance`: asks for a rebalance and follows it, or shows what it would move. Who moves the instances is the loop or the
scheduler; this module only asks the API and looks."""

from __future__ import annotations

import sys
import time
from typing import Any

from duckconf.cli.cluster.api import api_client
from duckconf.cli.cluster.modes import AGENTS, PUSH, RECONCILE, mode_of
from duckconf.cli.terminal.edge import DIFFERENCES
from duckconf.cli.terminal.tables import print_json, print_table
from duckconf.errors import DuckconfError, NotFound, SetupError
from duckconf.policies import START_FIRST, STOP_FIRST
from duckconf.reach.api.client import ApiClient
from duckconf.reach.inventory.project import Project
from duckconf.rebalance import Move
from duckconf.rebalancing import Sight, bound

COLUMNS = ("instance", "from", "to", "order", "reason")
# For the next instance to move: the start on its new node may pull the image.
PATIENCE = 300.0
HELD = 2.0


def preview(project: Project, *, as_json: bool) -> int:
    """What would move now, each with the reason."""
    sight = _sight(project)
    planned = list(sight.moves())
    rows, stays = [_row(move) for move in planned], bound(sight)
    waits = sight.busy if planned else ""
    if as_json:
        print_json({"moves": rows, "stays": stays, "waits": waits})
    else:
        print_table(rows, COLUMNS, "nothing would move: the nodes are level, or nothing that is there may go elsewhere")
        for name, why in sorted(stays.items()) if not planned else ():
            print(f"{name}: does not move, because: {why}", file=sys.stderr)
        if waits:
            print(f"nothing moves before that is over: {waits}", file=sys.stderr)
    return DIFFERENCES if planned else 0


def rebalance(project: Project, *, wait: bool, as_json: bool) -> int:
    """Ask for it; with `wait`, return when it is over."""
    api = _api(project)
    cursor = api.call("GET", "/events?limit=0")["cursor"]
    answer = api.call("POST", "/rebalance")
    if wait:
        answer = _follow(api, answer["asked"], cursor)
    if as_json:
        print_json(answer)
    elif wait:
        print(answer["result"])
    else:
        print("instances move one at a time until the nodes are level: ./inv events -f")
    return 0


def _follow(api: ApiClient, number: int, cursor: str) -> dict[str, Any]:
    """Print each move as it is told, until the request is carried out, and return what became of it. The events of a move come a
    moment after what it changed, so the last ones are waited for. Raises DuckconfError when nothing happens for long."""
    end, heard, waits = time.monotonic() + PATIENCE, False, ""
    while True:
        told: dict[str, Any] = api.call("GET", "/rebalance")
        page = api.call("GET", f"/events?since={cursor}&wait={0 if heard and told['done'] >= number else HELD:g}")
        cursor = page["cursor"]
        for event in page["events"]:
            if event["kind"] in ("rebalancing", "rebalanced", "rebalance-failed"):
                print(event["message"], file=sys.stderr, flush=True)
                end = time.monotonic() + PATIENCE
            elif event["kind"] == "balanced":
                heard = True
        if told["done"] >= number and (heard or not page["events"]):
            return told
        if told["waits"] not in ("", waits) and not told["moving"]:
            waits = told["waits"]
            print(f"waits: {waits}", file=sys.stderr, flush=True)
        if time.monotonic() > end:
            why = told["waits"] or "no instance was moved"
            raise DuckconfError(f"the rebalance is not over after {PATIENCE:g} s: {why}", "it goes on: ./inv events -f")


def _api(project: Project) -> ApiClient:
    _require_moves(project)
    if mode_of(project) == RECONCILE:
        from duckconf.cli.cluster.services import loop_service

        if loop_service(project).process() is None:
            raise SetupError("the control loop does not run, so no app can be moved", "start it: ./inv up reconcile")
    return api_client(project)


def _require_moves(project: Project) -> None:
    if (mode := mode_of(project)) == PUSH:
        raise NotFound(f"mode {mode} cannot move apps, because it has no desired state", "use another mode: ./inv up reconcile")


def _sight(project: Project) -> Sight:
    _require_moves(project)
    if mode_of(project) == AGENTS:
        from duckconf.cli.look.agents import take_sight

        return take_sight(project)
    from duckconf.cli.cluster.nodes import open_cluster
    from duckconf.cli.look.picture import take_picture

    with open_cluster(project, warm=True) as cluster:
        sight = take_picture(cluster).decision.sight
    return sight or Sight()


def _row(move: Move) -> dict[str, str]:
    order = START_FIRST if move.starts_first else STOP_FIRST
    return {"instance": move.name, "from": move.source, "to": move.target, "order": order, "reason": move.reason}
