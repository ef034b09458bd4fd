"""The routes for stacks: all apps of one are declared, changed and withdrawn in a single write, or none is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, Response, jsonify, request

from api.auth import require_operator
from api.body import LARGE_BODY, body
from api.journaled import of_change
from api.rollouts import Rollouts
from api.stores.changes import Changes, View
from api.stores.given import is_over
from api.stores.nodes import NodeBook
from api.stores.placed import PlacedIndex
from api.stores.store import Store
from duckconf.codec import spec_hash
from duckconf.errors import BadInput, Fault, NotFound
from duckconf.events import Event
from duckconf.instance import Instance, instances_of, placed
from duckconf.model import NAME, PLACEMENT, App, parse_app
from duckconf.secrets import require_known
from duckconf.stacks import of_stack, require_free
from duckconf.suggest import meant
from duckconf.together import anchor, unit_of

NOT_HERE = "push mode keeps no state, and so no stacks; they need mode reconcile or agents: ./inv up reconcile"


@dataclass(frozen=True)
class Keeping:
    """What a mode keeps beside the apps: who may ask, what is noted before an app gets another spec, what is forgotten with it,
    and the placements that stay as they are."""

    allow: Callable[[], None] = lambda: None
    note: Callable[[App], None] = lambda _: None
    forget: Callable[[str], None] = lambda _: None
    placed: Callable[[App, App | None, int], App] = lambda app, *_: app


@dataclass(frozen=True)
class Routes:
    store: Store
    tell: Callable[[Event], object]
    known: Callable[[], Collection[str]]
    keeping: Keeping

    def put(self, name: str) -> Response:
        self.keeping.allow()
        request.max_content_length = LARGE_BODY
        wanted = _apps(body(), name)
        known = self.known() if any(app.secrets for app in wanted.values()) else ()
        for app in wanted.values():
            require_known(app, known)
        return self._change(name, wanted)

    def delete(self, name: str) -> Response:
        self.keeping.allow()
        return self._change(name, {})

    def _change(self, name: str, wanted: Mapping[str, App]) -> Response:
        self._note(wanted)
        before: dict[str, App | None] = {}
        changes: dict[str, App | None] = {}

        def decide(view: View) -> Changes:
            declared = view.apps()
            present = of_stack(declared, name)
            if not wanted and not present:
                stacks = {app.stack for app in declared.values() if app.stack}
                raise NotFound(f"there is no stack {name!r}{meant(name, stacks)}", "see `./inv stacks`")
            require_free(name, wanted, declared)
            before.clear()
            changes.clear()
            before.update(present)
            changes.update(dict.fromkeys(present.keys() - wanted.keys()))
            for app in wanted.values():
                after = self._after(app, present.get(app.name), view.revision)
                changes.update({app.name: after} if after != present.get(app.name) else {})
            return changes

        self.store.submit(decide)
        return jsonify(stack=name, **self._told(before, changes))

    def _after(self, app: App, before: App | None, revision: int) -> App:
        # Whether an update rests is said by another command.
        return self.keeping.placed(replace(app, paused=before is not None and before.paused), before, revision)

    def _note(self, wanted: Mapping[str, App]) -> None:
        for name in wanted:
            runs = self.store.find(name)
            if runs is not None:
                self.keeping.note(runs)
            else:
                self.keeping.forget(name)

    def _told(self, before: Mapping[str, App | None], changes: Mapping[str, App | None]) -> dict[str, list[str]]:
        """What was done, also as events."""
        done: dict[str, list[str]] = {"declared": [], "updated": [], "withdrawn": []}
        for name, app in changes.items():
            old = before.get(name)
            if app is None:
                self.keeping.forget(name)
            event = of_change(name, old, app)
            done[event.kind].append(name)
            if old is None or app is None or spec_hash(old) != spec_hash(app):
                self.tell(event)
        return done


def keeping_places(updates: Rollouts) -> Keeping:
    """What agents mode keeps beside the apps."""

    def stay(app: App, before: App | None, revision: int) -> App:
        old = before or App("")
        return placed(replace(app, **{column: getattr(old, column) for column in PLACEMENT}), {}, revision)

    return Keeping(require_operator, updates.note, updates.forget_app, stay)


def home_of_stack(instance: Instance, apps: Mapping[str, App], index: PlacedIndex, nodes: NodeBook, *, placed: bool) -> str:
    """The node of the others of its stack, "" where none has one: of those with data there, or of any that is `placed`. A
    cordoned node is being emptied, or gets nothing new; a job that is done stays on a lost node, where nothing follows it."""
    every = instances_of(of_stack(apps, unit_of(instance.app)).values()).values()
    others = [one for one in every if not is_over(one)]
    held = {one.name: index.data.of(one) for one in others}
    others = [replace(one, bound=data.node, data="data") if (data := held[one.name]) else one for one in others]
    open_nodes = {name for name, node in nodes.nodes.items() if not node.cordoned}
    return anchor(instance, others, {one.name: one.node for one in others if placed and one.node in open_nodes})


def blueprint(
    store: Store, tell: Callable[[Event], object], known: Callable[[], Collection[str]], keeping: Keeping | None = None
) -> Blueprint:
    routes, served = Blueprint("stacks", __name__), Routes(store, tell, known, keeping or Keeping())
    routes.put("/stacks/<name>")(served.put)
    routes.delete("/stacks/<name>")(served.delete)
    return routes


def elsewhere() -> Blueprint:
    """The same address in the mode that cannot."""
    routes = Blueprint("stacks", __name__)

    def refuse(name: str) -> Response:
        raise NotFound(NOT_HERE)

    routes.add_url_rule("/stacks/<name>", view_func=refuse, methods=["PUT", "DELETE"])
    return routes


def _apps(data: object, stack: str) -> dict[str, App]:
    """From {"apps": {NAME: body, …}}; raises BadInput with all that is wrong."""
    entries = data.get("apps") if isinstance(data, Mapping) else None
    if not NAME.fullmatch(stack):
        raise BadInput(Fault("name", "should be 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit"))
    if not isinstance(entries, Mapping) or not entries:
        raise BadInput(Fault("apps", 'should be an object such as {"shop-web": {"image": "nginx"}}; to withdraw it, delete it'))
    faults: list[Fault] = []
    found: dict[str, App] = {}
    for name, entry in entries.items():
        try:
            found[name] = _app(entry, name, stack)
        except BadInput as bad:
            faults += [Fault(f"apps/{name}/{fault.path}".rstrip("/"), fault.message) for fault in bad.faults]
    if faults:
        raise BadInput(*faults)
    return found


def _app(entry: Any, name: str, stack: str) -> App:
    if not isinstance(entry, Mapping):
        raise BadInput(Fault("", 'should be an object such as {"image": "nginx"}'))
    for key, value in (("name", name), ("stack", stack)):
        if entry.get(key, value) != value:
            raise BadInput(Fault(key, f"should be {value!r}, as in the address, or absent"))
    return parse_app({**entry, "name": name, "stack": stack})
