"""The routes for data on nodes in agents mode: which node has whose, and the word of a person who accepts a loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint, Response, jsonify

from api.auth import require_operator
from api.body import body
from api.stores.nodes import READY, NodeBook
from api.stores.placed import PlacedIndex
from api.stores.store import Store
from duckconf import codec
from duckconf.errors import BadInput, Conflict, Fault, NotFound
from duckconf.events import Event
from duckconf.instance import placed
from duckconf.local_data import check_move, held_to_json, shown
from duckconf.model import App
from duckconf.naming import app_of, slot_of


@dataclass(frozen=True)
class Routes:
    """What is asked of the data; the routes for it are in `blueprint`."""

    store: Store
    index: PlacedIndex
    nodes: NodeBook
    tell: Callable[[Event], object]

    def listing(self) -> Response:
        require_operator()
        return jsonify(data=held_to_json(self.index.data.held))

    def move(self, name: str) -> Response:
        """Raises NotFound, BadInput, or Conflict for what a person has to decide first."""
        require_operator()
        told = body()
        fields = told if isinstance(told, dict) else {}
        to = fields.get("to", "")
        if not isinstance(to, str) or set(fields) - {"to", "accept_data_loss"}:
            raise BadInput(Fault("", 'should be an object such as {"to": "node-2", "accept_data_loss": true}'))
        app = self.store.get(app_of(name))
        held = self.index.data.held.get(name)
        if held is None:
            raise NotFound(f"{name} has no data on a node that binds it there", "see ./inv ps")
        check_move(name, held, to, tuple(self.nodes.nodes), accepted=fields.get("accept_data_loss") is True)
        source = self.nodes.nodes.get(held.node)
        if not to and source is not None and not source.cordoned and self.nodes.status(held.node) == READY:
            command = f"./inv move {name} --to NODE --accept-data-loss"
            raise Conflict(f"{held.node} is ready and may run {name}", f"name the node that it moves to: {command}")
        if to and self.nodes.require(to).cordoned:
            raise Conflict(f"{to} is cordoned and gets no new apps", f"to allow them: ./inv uncordon {to}")
        self.index.data.forget(name)
        present = codec.spec_hash(self.index.resolve(app))

        def change(before: App | None, revision: int) -> App:
            return placed(before or app, {slot_of(name): to}, revision, present)

        self.store.put(app.name, change)
        self.tell(Event("moved", f"{name} moves to {to or 'another node'} without its data ({shown(held.sources)})", app.name))
        return jsonify(app=app.name, instance=name, node=to, left=held.node)


def blueprint(served: Routes) -> Blueprint:
    routes = Blueprint("data", __name__)
    routes.get("/data")(served.listing)
    routes.post("/instance/<name>/move")(served.move)
    return routes
