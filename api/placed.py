"""The routes for apps in agents mode: what should run, and where. Agents read their share, the scheduler binds.

A node's agent sees and holds open what concerns it; everything else is the operator's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, jsonify, request

from api.auth import require_node, require_operator
from api.body import LARGE_BODY, body, expected_revisions, query, seconds, whole
from api.declared import changes_of, with_etag
from api.held import HeldRequests
from api.stores.changes import Changes, View
from api.stores.desired import DesiredStore
from api.stores.nodes import READY, UNREADABLE, NodeBook
from api.stores.placed import PlacedIndex
from duckconf import codec
from duckconf.codec import to_json
from duckconf.compose import merged
from duckconf.counts import counted
from duckconf.errors import BadInput, Fault
from duckconf.events import Event
from duckconf.model import NAME, PLACEMENT, App, parse_app

MOST_TOLD = 50


@dataclass(frozen=True)
class Routes:
    """What is asked of the apps; the routes for it are in `blueprint`."""

    store: DesiredStore
    index: PlacedIndex
    nodes: NodeBook
    tell: Callable[[Event], None]
    held: HeldRequests

    def start(self) -> tuple[Response, HTTPStatus]:
        require_operator()
        app = parse_app(body())
        if not app.name:
            raise BadInput(Fault("name", "is missing; in agents mode an app needs a name, such as web"))
        self.store.add(app)
        self.tell(Event("declared", f"{app.name} declared ({app.image})", app.name))
        return with_etag(jsonify(app=app.name, revision=codec.revision(app)), app), HTTPStatus.ACCEPTED

    def apps(self) -> Response:
        query("nodeName", "wait", "since")
        patience, since = seconds("wait"), whole("since", -1)
        if "nodeName" not in request.args:
            require_operator()
            with self.held.up_to(patience if since >= 0 else 0) as allowed:
                revision = self.store.wait(since, allowed)
            listing = self.store.listing()
            shown = [_shown(app, self.index, self.nodes) for app in listing.apps.values()]
            answer: dict[str, Any] = {"revision": revision, "apps": shown}
            return jsonify(answer | ({"faults": list(listing.faults)} if listing.faults else {}))
        node = request.args["nodeName"]
        require_node(node)
        if node:
            self.nodes.require(node)
        with self.held.up_to(patience if since >= 0 else 0) as allowed:
            self.index.wait(node, since, allowed)
        share = self.index.share(node)
        mine = [{**to_json(app), "revision": codec.revision(app)} for app in share.apps]
        return jsonify(revision=share.revision, apps=mine, kept=list(share.kept))

    def bind(self) -> Response:
        require_operator()
        request.max_content_length = LARGE_BODY
        bindings = _bindings(body())
        for node in {node for _, node, _ in bindings}:
            _require_schedulable(node, self.nodes)
        refused: dict[str, str] = {}
        placed: list[App] = []

        def decide(view: View) -> Changes:
            changes: dict[str, App | None] = {}
            for name, node, revision in bindings:
                app = view.app(name)
                if app is None:
                    refused[name] = "is not declared"
                elif revision and revision != codec.revision(app):
                    refused[name] = "has changed"
                elif app.node != node:
                    changes[name] = bound(app, node, view.revision)
            placed.extend(app for app in changes.values() if app is not None)
            return changes

        self.store.submit(decide)
        _tell_of_places(placed, self.tell)
        return jsonify(bound=len(placed), refused=refused)

    def confirm(self) -> Response:
        require_operator()
        return jsonify(confirmed=self.store.confirm())

    def app(self, name: str) -> Response:
        found = self.store.get(name)
        require_node(found.node)
        return with_etag(jsonify(_shown(found, self.index, self.nodes)), found)

    def put(self, name: str) -> tuple[Response, HTTPStatus]:
        require_operator()
        if not NAME.fullmatch(name):
            parse_app({"name": name, "image": "x"})
        changes = changes_of(body(), name)
        if "node" in changes and changes["node"] is not None:
            _require_schedulable(str(parse_app({"image": "x", "node": changes["node"]}, placed=True).node), self.nodes)

        def update(app: App | None, revision: int) -> App:
            fields = {**merged(to_json(app) if app is not None else {}, changes), "name": name}
            spec = {field: value for field, value in fields.items() if field not in PLACEMENT}
            before = app or App("")
            parsed = parse_app({**spec, "node": before.node, "generation": before.generation}, placed=True)
            node = changes.get("node", before.node)
            return bound(parsed, str(node or ""), revision) if node != before.node else parsed

        before, after = self.store.put(name, update, expected_revisions())
        if before is None:
            self.tell(Event("declared", f"{name} declared ({after.image})", name))
        elif codec.spec_hash(before) != codec.spec_hash(after):
            self.tell(Event("updated", f"{name} updated ({after.image})", name))
        if after.node != (before.node if before else ""):
            _tell_of_places([after], self.tell)
        answer = with_etag(jsonify(_shown(after, self.index, self.nodes)), after)
        return answer, HTTPStatus.CREATED if before is None else HTTPStatus.OK

    def delete(self, name: str) -> Response:
        require_operator()
        self.store.delete(name, expected_revisions())
        self.tell(Event("withdrawn", f"{name} withdrawn", name))
        return jsonify(app=name)


def blueprint(
    store: DesiredStore, index: PlacedIndex, nodes: NodeBook, tell: Callable[[Event], None], held: HeldRequests
) -> Blueprint:
    routes, served = Blueprint("apps", __name__), Routes(store, index, nodes, tell, held)
    routes.post("/app/start")(served.start)
    routes.get("/apps")(served.apps)
    routes.put("/apps")(served.bind)
    routes.post("/apps/confirm")(served.confirm)
    routes.get("/app/<name>")(served.app)
    routes.put("/app/<name>")(served.put)
    routes.delete("/app/<name>")(served.delete)
    return routes


def bound(app: App, node: str, revision: int) -> App:
    """The app placed on `node`, or nowhere. The revision of the write is its generation: it only ever grows."""
    return App(**{**vars(app), "node": node, "generation": revision if node else app.generation})


def _require_schedulable(node: str, nodes: NodeBook) -> None:
    if node and nodes.require(node).cordoned:
        raise BadInput(Fault("node", f"{node} is cordoned and gets no new apps; to allow them: ./inv uncordon {node}"))


def _bindings(data: object) -> list[tuple[str, str, str]]:
    """(app, node, expected revision or "") from {"apps": [{"name", "node", "revision"?}, …]}; raises BadInput."""
    entries = data.get("apps") if isinstance(data, Mapping) else None
    if not isinstance(entries, list):
        raise BadInput(Fault("apps", 'should be a list such as [{"name": "web", "node": "node-1"}]'))
    faults: list[Fault] = []
    found = []
    for number, entry in enumerate(entries):
        values = (
            [entry.get(key, default) for key, default in (("name", None), ("node", None), ("revision", ""))]
            if isinstance(entry, Mapping)
            else []
        )
        if len(values) == 3 and all(isinstance(value, str) for value in values):
            found.append((str(values[0]), str(values[1]), str(values[2])))
        else:
            faults.append(Fault(f"apps/{number}", 'should be {"name", "node"} and perhaps "revision", all text'))
    if faults:
        raise BadInput(*faults[:10])
    return found


def _tell_of_places(apps: list[App], tell: Callable[[Event], None]) -> None:
    """One event for each app, or one for all when nobody would read them."""
    if len(apps) > MOST_TOLD:
        gone = sum(not app.node for app in apps)
        nodes = counted(len({app.node for app in apps} - {""}), "node")
        tell(Event("scheduled", f"{counted(len(apps) - gone, 'app')} placed on {nodes}, {gone} unscheduled"))
        return
    for app in apps:
        if app.node:
            tell(Event("scheduled", f"{app.name} placed on {app.node}", app.name, app.node))
        else:
            tell(Event("unscheduled", f"{app.name} unscheduled; waiting for the scheduler", app.name))


def _shown(app: App, index: PlacedIndex, nodes: NodeBook) -> dict[str, Any]:
    """The app with what its node last reported of it."""
    entry: dict[str, Any] = {"name": app.name, **to_json(app), "node": app.node, "revision": codec.revision(app)}
    seen = index.seen(app)
    if not app.node:
        return entry | {"status": "pending", "note": index.notes.get(app.name, "waiting for the scheduler")}
    if app.node not in nodes.nodes:
        return entry | {"status": "lost", "note": f"{app.node} is not in the inventory"}
    if nodes.status(app.node) != READY:
        if nodes.status(app.node) == UNREADABLE:
            entry["note"] = f"{app.node} answers, but its answer cannot be read: {nodes.nodes[app.node].unreadable}"
            return entry | {"status": "unreadable", **({"container": seen.container} if seen else {})}
        entry["note"] = f"{app.node}: no heartbeat for {nodes.age(app.node):.0f} s"
        return entry | {"status": "unreachable", **({"container": seen.container} if seen else {})}
    refusal = nodes.refusal(app.node, app) if nodes.nodes[app.node].refusals else None
    if refusal is not None and (seen is None or not seen.running):
        entry["refused"] = refusal.reason
    if seen is None:
        return entry | {"status": "starting", **({"note": f"{app.node} refuses it: {refusal.reason}"} if refusal else {})}
    entry |= {"status": seen.state, "container": seen.container, "started": seen.started, "restarts": seen.restarts}
    entry |= {"published": list(seen.ports)} if seen.ports else {}
    return entry | ({"note": seen.note} if seen.note else {})
