"""The routes for apps in agents mode: what should run, and where. Agents read their share, the scheduler binds.

A node's agent sees and holds open what concerns it; everything else is the operator's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Protocol

from flask import Blueprint, Response, jsonify, request

from api import everywhere
from api.auth import caller, require_node, require_operator
from api.bindings import Binding, by_app, read_bindings
from api.body import LARGE_BODY, body, expected_revisions, query, seconds, whole
from api.declared import changes_of, with_etag
from api.held import HeldRequests
from api.journaled import of_change
from api.rollouts import Rollouts
from api.shown import shown_app
from api.stacks import home_of_stack
from api.stores.changes import Changes, Update, View
from api.stores.nodes import NodeBook
from api.stores.placed import PlacedIndex
from api.stores.questions import Questions
from api.stores.store import Store
from duckconf import codec
from duckconf.codec import to_json
from duckconf.compose import merged
from duckconf.counts import counted
from duckconf.errors import BadInput, Conflict, Fault, NotFound
from duckconf.events import Event
from duckconf.instance import Instance, placed, slots_of
from duckconf.local_data import shown, why_it_keeps
from duckconf.model import NAME, PLACEMENT, PLACING, App, parse_app
from duckconf.naming import instance_name
from duckconf.place_kinds import GLOBAL
from duckconf.restart import recorded
from duckconf.secrets import require_known
from duckconf.together import unit_of
from duckconf.told_image import told_to_json

MOST_TOLD = 50


class StopFirst(Protocol):
    def __call__(self, instances: Iterable[str], *, stops: bool) -> None: ...


@dataclass(frozen=True)
class Routes:
    """What is asked of the apps; the routes for it are in `blueprint`."""

    store: Store
    index: PlacedIndex
    nodes: NodeBook
    tell: Callable[[Event], object]
    held: HeldRequests
    known: Callable[[], Collection[str]]
    """The names of the secrets that there are."""
    updates: Rollouts
    questions: Questions
    stop_first: StopFirst
    """Has instances end where they run before they start elsewhere."""
    origin: str
    """The name of this server among several: each has revisions of its own for what a node is told."""

    def start(self) -> tuple[Response, HTTPStatus]:
        require_operator()
        app = parse_app(body())
        if not app.name:
            raise BadInput(Fault("name", "is missing; in agents mode an app needs a name, such as web"))
        require_known(app, self.known() if app.secrets else ())
        if self.store.find(app.name) is None:
            self.updates.forget_app(app.name)
        self.store.add(app)
        self.tell(of_change(app.name, None, app))
        return with_etag(jsonify(app=app.name, revision=codec.revision(app)), app), HTTPStatus.ACCEPTED

    def apps(self) -> Response:
        query("nodeName", "wait", "since")
        patience, since = seconds("wait"), whole("since", -1)
        if "nodeName" not in request.args:
            require_operator()
            with self.held.up_to(patience if since >= 0 else 0) as allowed:
                revision = self.store.wait(since, allowed)
            listing = self.store.listing()
            shown = [shown_app(app, self.index, self.nodes) for app in listing.apps.values()]
            answer: dict[str, Any] = {"revision": revision, "apps": shown}
            return jsonify(answer | ({"faults": list(listing.faults)} if listing.faults else {}))
        node = request.args["nodeName"]
        require_node(node)
        if node:
            self.nodes.require(node)
        with self.held.up_to(patience if since >= 0 else 0) as allowed:
            self.index.wait(node, since, allowed)
        share = self.index.share(node)
        answer = {"revision": share.revision, "apps": list(self._told(share.instances)), "kept": list(share.kept)}
        if node:
            answer |= {"asked": self.nodes.nodes[node].asked} | ({"origin": self.origin} if self.origin else {})
            answer |= {"questions": questions} if (questions := self.questions.of(node)) else {}
        else:
            answer |= {
                "moves": list(self._told(self.index.moves(), moving=True)),
                "notes": dict(self.index.notes),
                "everywhere": list(everywhere.told(self.index)),
            }
        return jsonify(answer)

    def _told(self, instances: Iterable[Instance], *, moving: bool = False) -> Iterator[dict[str, Any]]:
        """Instances as their agent or the scheduler is told of them: the siblings of those that need a node stand once."""
        revisions: dict[str, str] = {}
        for instance in instances:
            name, entry = instance.app.name, to_json(instance.app)
            if instance.node and not moving:
                # The agent would place it once more, without knowing the other nodes.
                entry = {field: value for field, value in entry.items() if field not in PLACING}
            if name not in revisions:
                app = self.store.find(name)
                revisions[name] = codec.revision(app) if app is not None else ""
                entry |= {} if instance.node and not moving else {"siblings": self.index.siblings(name)}
            entry |= {"revision": revisions[name]} | ({"node": instance.node} if instance.node else {})
            entry |= {"generation": instance.generation} if instance.generation else {}
            told = self.updates.images.told(instance) if instance.node and not moving else None
            entry |= {"runs": told_to_json(told)} if told is not None else {}
            entry |= self._bound(instance, moving=moving) if caller().operator else {}
            serves = self.index.serving(instance, instance.spec) if not instance.node else None
            entry |= {"serves": serves[0]} if serves is not None else {}
            entry |= {"ended": instance.ended} if recorded(instance.app, instance.ended) is not None else {}
            yield entry | ({"slot": instance.slot} if instance.slot > 1 else {})

    def _bound(self, instance: Instance, *, moving: bool) -> dict[str, Any]:
        """The only node that it may run on, and in words the data that it has there. What has a place and does not move is bound
        by data alone: the others of its stack leave a lost node with it."""
        if instance.app.mode == GLOBAL:
            return {"bound": instance.node}
        if unit_of(instance.app) and self.index.data.of(instance) is None:
            node = home_of_stack(instance, self.store.listing().apps, self.index, self.nodes, placed=moving or not instance.node)
            return {"bound": node} if node else {}
        held = self.index.data.of(instance)
        return {"bound": held.node, "data": shown(held.sources)} if held is not None else {}

    def bind(self) -> Response:
        require_operator()
        request.max_content_length = LARGE_BODY
        bindings = read_bindings(body())
        for node in {binding.node for binding in bindings}:
            _require_schedulable(node, self.nodes)
        refused: dict[str, str] = {}
        moved: list[Instance] = []
        for stops in (True, False):
            # Before an agent can see it.
            names = [instance_name(binding.name, binding.slot) for binding in bindings if binding.stops_first == stops]
            self.stop_first(names, stops=stops)

        def decide(view: View) -> Changes:
            refused.clear()
            moved.clear()
            changes: dict[str, App | None] = {}
            for name, wanted in by_app(bindings).items():
                app = view.app(name)
                if app is None:
                    refused[name] = "is not declared"
                elif any(binding.revision not in ("", codec.revision(app)) for binding in wanted):
                    refused[name] = "has changed"
                else:
                    wanted = [binding for binding in wanted if not self._keeps(app, binding, refused)]
                    present = codec.spec_hash(self.index.resolve(app))
                    after = placed(app, {binding.slot: binding.node for binding in wanted}, view.revision, present)
                    moved.extend(_moved(app, after))
                    changes |= {name: after} if after != app else {}
            return changes

        self.store.submit(decide)
        _tell_of_places(moved, self.index, self.tell)
        return jsonify(bound=len(moved), refused=refused)

    def _keeps(self, app: App, binding: Binding, refused: dict[str, str]) -> bool:
        """Whether data keeps the instance from this node: noted as a refusal."""
        why = why_it_keeps(Instance(app, binding.slot), binding.node, self.index.data.held)
        refused |= {instance_name(app.name, binding.slot): why} if why else {}
        return bool(why)

    def confirm(self) -> Response:
        require_operator()
        return jsonify(confirmed=self.store.confirm())

    def app(self, name: str) -> Response:
        found = self.store.get(name)
        require_node(*found.node)
        return with_etag(jsonify(shown_app(found, self.index, self.nodes)), found)

    def put(self, name: str) -> tuple[Response, HTTPStatus]:
        require_operator()
        if not NAME.fullmatch(name):
            parse_app({"name": name, "image": "x"})
        changes = changes_of(body(), name)
        wanted: tuple[str, ...] | None = None
        if "node" in changes:
            wanted = parse_app({"image": "x", "node": changes["node"] or ""}, placed=True).node
            for node in set(wanted):
                _require_schedulable(node, self.nodes)

        def update(app: App | None, revision: int) -> App:
            fields = {**merged(to_json(app) if app is not None else {}, changes), "name": name}
            spec = {field: value for field, value in fields.items() if field not in PLACEMENT}
            before = app or App("")
            parsed = replace(parse_app(spec), **{column: getattr(before, column) for column in PLACEMENT})
            require_known(parsed, self.known() if parsed.secrets else ())
            slots = range(1, (max(len(before.node), len(wanted or ())) if parsed.mode == GLOBAL else parsed.replicas) + 1)
            by_slot = {} if wanted is None else {slot: wanted[slot - 1] if slot <= len(wanted) else "" for slot in slots}
            for slot, node in by_slot.items():
                if why := why_it_keeps(Instance(parsed, slot), node, self.index.data.held):
                    raise Conflict(why, f"to accept the loss: ./inv move {instance_name(name, slot)} --accept-data-loss")
            return placed(parsed, by_slot, revision, codec.spec_hash(self.index.resolve(parsed)) if by_slot else "")

        return self._declare(name, update)

    def again(self, app: App) -> Response:
        """Declare an earlier spec; its instances stay where they are."""

        def update(before: App | None, _: int) -> App:
            return replace(app, **{column: getattr(before, column) for column in PLACEMENT}) if before is not None else app

        return self._declare(app.name, update)[0]

    def _declare(self, name: str, update: Update) -> tuple[Response, HTTPStatus]:
        if (runs := self.store.find(name)) is not None:
            self.updates.note(runs)
        else:
            self.updates.forget_app(name)
        before, after = self.store.put(name, update, expected_revisions())
        if before is None or codec.spec_hash(before) != codec.spec_hash(after):
            self.tell(of_change(name, before, after))
        _tell_of_places(_moved(before, after), self.index, self.tell)
        answer = with_etag(jsonify(shown_app(after, self.index, self.nodes)), after)
        return answer, HTTPStatus.CREATED if before is None else HTTPStatus.OK

    def delete(self, name: str) -> Response:
        require_operator()
        self.store.delete(name, expected_revisions())
        self.updates.forget_app(name)
        self.tell(of_change(name, None, None))
        return jsonify(app=name)


def blueprint(served: Routes) -> Blueprint:
    routes = Blueprint("apps", __name__)
    routes.post("/app/start")(served.start)
    routes.get("/apps")(served.apps)
    routes.put("/apps")(served.bind)
    routes.post("/apps/confirm")(served.confirm)
    routes.get("/app/<name>")(served.app)
    routes.put("/app/<name>")(served.put)
    routes.delete("/app/<name>")(served.delete)
    return routes


def _moved(before: App | None, after: App) -> list[Instance]:
    """The instances that have another node than before, also those of an app of mode global that have none any more."""
    old = {instance.slot: instance for instance in slots_of(before)} if before is not None else {}
    now = {instance.slot: instance for instance in slots_of(after)}
    both = before is not None and before.mode == after.mode == GLOBAL
    gone = [replace(instance, node="") for slot, instance in old.items() if both and slot not in now]
    return [*(one for slot, one in now.items() if one.node != (old[slot].node if slot in old else "")), *gone]


def _require_schedulable(node: str, nodes: NodeBook) -> None:
    if not node:
        return
    try:
        found = nodes.require(node)
    except NotFound as missing:
        raise BadInput(Fault("node", missing.message)) from None
    if found.cordoned:
        raise BadInput(Fault("node", f"{node} is cordoned and gets no new apps; to allow them: ./inv uncordon {node}"))


def _tell_of_places(moved: Iterable[Instance], index: PlacedIndex, tell: Callable[[Event], object]) -> None:
    """One event for each that is news, or one for all when nobody would read them."""
    instances = [instance for instance in moved if index.is_news(instance)]
    if len(instances) > MOST_TOLD:
        gone, nodes = sum(not instance.node for instance in instances), {instance.node for instance in instances} - {""}
        where = counted(len(nodes), "node")
        tell(Event("scheduled", f"{counted(len(instances) - gone, 'instance')} placed on {where}, {gone} unscheduled"))
        return
    for instance in instances:
        name, node = instance.name, instance.node
        if node:
            tell(Event("scheduled", f"{name} placed on {node}", instance.app.name, node))
        else:
            waits = "" if instance.app.mode == GLOBAL else "; waiting for the scheduler"
            tell(Event("unscheduled", f"{name} unscheduled{waits}", instance.app.name))
