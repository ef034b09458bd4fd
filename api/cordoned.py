"""The route for nodes in push and reconcile mode: who operates keeps new apps off a node, or has it emptied.

It writes the files that `./inv cordon` and `./inv drain` write; what follows from them is the loop's matter.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, Response, jsonify

from api.body import body
from duckconf.errors import BadInput, Fault
from duckconf.events import Event
from duckconf.reach.state.cordons import drain, set_cordon
from duckconf.suggest import meant


@dataclass(frozen=True)
class Routes:
    """`nodes` are those that there are now; `drains` says whether somebody moves what runs there."""

    folder: Path
    nodes: Callable[[], Collection[str]]
    tell: Callable[[Event], None]
    drains: bool

    def change(self, name: str) -> Response:
        if name not in (known := self.nodes()):
            nodes = f"the nodes are {', '.join(known) or 'none'}"
            raise BadInput(Fault("node", f"there is no node {name!r}; {nodes}{meant(name, known)}"))
        wanted = body()
        if self.drains and wanted == {"draining": True}:
            return self._done(name, "draining", "is drained: its apps move to other nodes", drain(self.folder, name))
        if not isinstance(wanted, Mapping) or set(wanted) != {"cordoned"} or not isinstance(wanted["cordoned"], bool):
            also = '; {"draining": true} moves its apps to other nodes' if self.drains else ""
            raise BadInput(Fault("cordoned", f'should be true or false, as in {{"cordoned": true}}{also}'))
        state = "cordoned" if wanted["cordoned"] else "uncordoned"
        return self._done(name, state, f"is {state}", set_cordon(self.folder, name, cordoned=wanted["cordoned"]))

    def _done(self, name: str, kind: str, words: str, changed: bool) -> Response:
        if changed:
            self.tell(Event(kind, f"{name} {words}", node=name))
        return jsonify(name=name, changed=changed)


def blueprint(folder: Path, nodes: Callable[[], Collection[str]], tell: Callable[[Event], None], *, drains: bool) -> Blueprint:
    routes = Blueprint("cordoned", __name__)
    routes.put("/node/<name>")(Routes(folder, nodes, tell, drains).change)
    return routes
