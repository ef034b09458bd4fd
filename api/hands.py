"""The routes for one container, in push and reconcile mode: end its process on purpose, and read what it printed last.

In agents mode the API has no way to a node, and neither has anybody that it could ask.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint, Response, jsonify

from api.body import body, query, whole
from duckconf.errors import BadInput, Fault
from duckconf.events import Event
from duckconf.reach.nodes.hands import MOST_LINES, Hands, Where

USUAL_LINES = 200


@dataclass(frozen=True)
class Routes:
    hands: Hands
    tell: Callable[[Event], None]

    def kill(self, node: str, container: str) -> Response:
        if body() != {}:
            raise BadInput(Fault("", "should be an empty object, {}"))
        self.hands.kill(Where(node, container))
        self.tell(Event("killed", f"{container} on {node} was killed on purpose", node=node))
        return jsonify(node=node, container=container)

    def log(self, node: str, container: str) -> Response:
        query("lines")
        lines = min(whole("lines", USUAL_LINES), MOST_LINES)
        return jsonify(node=node, container=container, text=self.hands.log(Where(node, container), lines))


def blueprint(hands: Hands, tell: Callable[[Event], None]) -> Blueprint:
    routes, served = Blueprint("hands", __name__), Routes(hands, tell)
    routes.post("/node/<node>/container/<container>/kill")(served.kill)
    routes.get("/node/<node>/container/<container>/log")(served.log)
    return routes
