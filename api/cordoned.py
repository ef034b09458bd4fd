"""The route for nodes in push and reconcile mode: who operates keeps new apps off a node, has it emptied, or freezes a demo host.

It writes the files that `./inv cordon` and `./inv drain` write; what follows from them is the loop's matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from flask import Blueprint, Response, jsonify

from api.body import body, is_wish
from duckconf.errors import BadInput, Fault, NotFound, NotNow
from duckconf.events import Event
from duckconf.reach.state.cordons import drain, set_cordon
from duckconf.suggest import meant


class Freeze(Protocol):
    """Whether that was a change. Raises NotNow."""

    def __call__(self, node: str, *, frozen: bool) -> bool: ...


def no_demo_hosts(node: str, *, frozen: bool) -> bool:
    """Of a server that was not started beside them."""
    words, task = ("frozen", "stop-node") if frozen else ("thawed", "start-node")
    raise NotNow(f"{node} cannot be {words} from here", f"./inv {task} {node}")


@dataclass(frozen=True)
class Routes:
    """`nodes` are those that there are now, with whether each is a demo host; `drains` says whether somebody moves what runs
    there. `freezes` freezes or thaws a demo host, and says whether that was a change."""

    folder: Path
    nodes: Callable[[], Mapping[str, bool]]
    tell: Callable[[Event], object]
    freezes: Freeze
    drains: bool

    def change(self, name: str) -> Response:
        if name not in (known := self.nodes()):
            nodes = f"the nodes are {', '.join(known) or 'none'}"
            raise NotFound(f"there is no node {name!r}; {nodes}{meant(name, known)}")
        wanted = body()
        if self.drains and is_wish(wanted, "draining"):
            return self._done(name, "draining", "is drained: its apps move to other nodes", drain(self.folder, name))
        if isinstance(wanted, Mapping) and set(wanted) == {"frozen"} and isinstance(wanted["frozen"], bool):
            return self._freeze(name, demo=known[name], frozen=wanted["frozen"])
        if not isinstance(wanted, Mapping) or set(wanted) != {"cordoned"} or not isinstance(wanted["cordoned"], bool):
            also = '; {"draining": true} moves its apps to other nodes' if self.drains else ""
            also += '; {"frozen": true} freezes a demo host'
            raise BadInput(Fault("cordoned", f'should be true or false, as in {{"cordoned": true}}{also}'))
        state = "cordoned" if wanted["cordoned"] else "uncordoned"
        return self._done(name, state, f"is {state}", set_cordon(self.folder, name, cordoned=wanted["cordoned"]))

    def _freeze(self, name: str, *, demo: bool, frozen: bool) -> Response:
        if not demo:
            raise BadInput(Fault("frozen", f"is for demo hosts, and {name} is a real machine; to empty it: ./inv drain {name}"))
        kind = "frozen" if frozen else "thawed"
        return self._done(name, kind, f"is {kind} on purpose", self.freezes(name, frozen=frozen))

    def _done(self, name: str, kind: str, words: str, changed: bool) -> Response:
        if changed:
            self.tell(Event(kind, f"{name} {words}", node=name))
        return jsonify(name=name, changed=changed)


def blueprint(
    folder: Path, nodes: Callable[[], Mapping[str, bool]], tell: Callable[[Event], object], freezes: Freeze, *, drains: bool
) -> Blueprint:
    routes = Blueprint("cordoned", __name__)
    routes.put("/node/<name>")(Routes(folder, nodes, tell, freezes, drains).change)
    return routes
