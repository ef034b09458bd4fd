"""The route by which a cluster enters agents mode: what another mode ran becomes the state, with its past, all at once.

Were it written app by app, the scheduler would decide in between: on apps whose past is not there yet, and on those that were
left here when the cluster left agents mode.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from flask import Blueprint, Response, jsonify, request

from api.auth import require_operator
from api.body import body
from api.rollouts import Rollouts
from api.stores.changes import Changes, View
from api.stores.placed import PlacedIndex
from api.stores.store import Store
from duckconf import codec
from duckconf.by_revision import revision_from_json
from duckconf.counts import counted
from duckconf.errors import BadInput, Fault
from duckconf.events import Event
from duckconf.instance import meant_to_run, placed, with_end
from duckconf.json_values import text
from duckconf.local_data import Held, held_from_json
from duckconf.model import App, parse_app
from duckconf.restart import read_end
from duckconf.rollout import History
from duckconf.secrets import require_known

# Each app comes with its last ten specs.
LARGEST_BODY = 64 * 1024 * 1024


class Taken(NamedTuple):
    """An app as it was run: the nodes of its instances by slot, what they run, how they ended, and its revisions."""

    app: App
    nodes: tuple[str, ...]
    slots: Mapping[int, str]
    ended: Mapping[int, str]
    history: History
    since: Mapping[int, float]
    """When each revision was noted, in seconds since the epoch."""


@dataclass(frozen=True)
class Takeover:
    store: Store
    index: PlacedIndex
    updates: Rollouts
    tell: Callable[[Event], object]
    known: Callable[[], Collection[str]]
    """The names of the secrets that there are."""

    def take_over(self) -> Response:
        require_operator()
        request.max_content_length = LARGEST_BODY
        taken, held = _read(body())
        for one in taken.values():
            require_known(one.app, self.known() if one.app.secrets else ())
        self.index.data.take_over(held)
        with self.updates.replacing({name: one.history for name, one in taken.items()}, _dates(taken)):
            self.store.submit(lambda view: self._changes(taken, view))
        self.tell(Event("taken-over", f"{counted(len(taken), 'app')} taken over from another mode"))
        return jsonify(apps=sorted(taken))

    def _changes(self, taken: Mapping[str, Taken], view: View) -> Changes:
        """Also what is declared here and was withdrawn in the other mode."""
        gone = dict.fromkeys(self.store.listing().apps.keys() - taken.keys())
        return {**gone, **{name: self._as_run(one, view.revision) for name, one in taken.items()}}

    def _as_run(self, one: Taken, revision: int) -> App:
        present = codec.spec_hash(self.index.resolve(one.app))
        app = placed(one.app, dict(enumerate(one.nodes, 1)), revision, present)
        app = meant_to_run(app, one.slots)
        for slot, record in one.ended.items():
            app = with_end(app, slot, record) if 0 < slot <= app.replicas else app
        return app


def _dates(taken: Mapping[str, Taken]) -> dict[tuple[str, int], float]:
    return {(name, number): when for name, one in taken.items() for number, when in one.since.items()}


def _read(told: object) -> tuple[dict[str, Taken], dict[str, Held]]:
    """From {"apps": [{"app", "nodes", "slots", "ended", "history"}, …], "data"}; raises BadInput."""
    fields = told if isinstance(told, Mapping) else {}
    try:
        held = held_from_json(fields["data"])
    except (KeyError, ValueError, TypeError, AttributeError):
        raise BadInput(Fault("data", "should be an object with a node, volumes and a number for each instance")) from None
    entries = fields.get("apps")
    if not isinstance(entries, list):
        raise BadInput(Fault("apps", "should be a list of apps, each with its nodes and its past"))
    taken = [_app(number, entry) for number, entry in enumerate(entries)]
    return {one.app.name: one for one in taken}, held


def _app(number: int, entry: Any) -> Taken:
    try:
        return Taken(
            parse_app(entry["app"]),
            parse_app({"image": "x", "node": entry["nodes"]}, placed=True).node,
            {int(slot): text(spec) for slot, spec in entry["slots"].items()},
            {int(slot): _record(record) for slot, record in entry["ended"].items()},
            tuple(revision_from_json(item) for item in entry["history"]),
            {int(item["number"]): float(item["since"]) for item in entry["history"]},
        )
    except (BadInput, KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"should have app, nodes, slots, ended and history: {type(error).__name__} {error}"
        raise BadInput(Fault(f"apps/{number}", what)) from None


def _record(text: object) -> str:
    """Raises ValueError."""
    if not isinstance(text, str) or read_end(text) is None:
        raise ValueError("an end should be SPEC:CODE:RESTARTS")
    return text


def blueprint(served: Takeover) -> Blueprint:
    routes = Blueprint("takeover", __name__)
    routes.put("/takeover")(served.take_over)
    return routes
