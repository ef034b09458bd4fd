"""The routes for apps in reconcile mode: they change what is desired, and never what runs. No connection is opened here.

What the loop last reported of an app (node, status) is shown beside what is desired of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, jsonify, request

from api import history
from api.body import body, expected_revisions, query, seconds, whole
from api.held import HeldRequests
from api.history import Told
from api.journaled import of_change
from api.stores.changes import Update
from api.stores.desired import DesiredStore
from duckconf.codec import revision, to_json
from duckconf.compose import merged
from duckconf.errors import BadInput, Fault
from duckconf.events import Event
from duckconf.healthcheck import HEALTHY, NO_CHECK
from duckconf.instance import Instance, slots_of
from duckconf.model import NAME, App, parse_app
from duckconf.overview import AppView
from duckconf.place_kinds import GLOBAL
from duckconf.report import Report
from duckconf.restart import DONE
from duckconf.secrets import require_known

Reported = Callable[[], "Report | None"]
# Of an app that should have none.
NO_INSTANCE: Mapping[str, Any] = {"node": "", "status": "stopped"}


@dataclass(frozen=True)
class Routes:
    """What is asked of the apps; the routes for it are in `blueprint`.

    `reported` gives what the loop last said of itself; `tell` is given what clients declare.
    """

    store: DesiredStore
    reported: Reported
    tell: Callable[[Event], object]
    held: HeldRequests
    known: Callable[[], Collection[str]]
    """The names of the secrets that there are."""

    def start(self) -> tuple[Response, HTTPStatus]:
        parsed = parse_app(body())
        require_known(parsed, self.known() if parsed.secrets else ())
        app = self.store.add(parsed)
        self.tell(of_change(app.name, None, app))
        return with_etag(jsonify(app=app.name, revision=revision(app)), app), HTTPStatus.ACCEPTED

    def apps(self) -> Response:
        query("nodeName", "wait", "since")
        since, wanted = whole("since", 0), seconds("wait")
        if "since" in request.args:
            with self.held.up_to(wanted) as patience:
                self.store.wait(since, patience)
        listing = self.store.listing()
        shown = shown_apps(listing.apps.values(), self.reported())
        if "nodeName" in request.args:
            node = request.args["nodeName"]
            shown = [entry for entry in shown if any(instance["node"] == node for instance in entry["instances"])]
        answer: dict[str, Any] = {"revision": listing.revision, "apps": shown}
        return jsonify(answer | ({"faults": list(listing.faults)} if listing.faults else {}))

    def confirm(self) -> Response:
        return jsonify(confirmed=self.store.confirm())

    def app(self, name: str) -> Response:
        found = self.store.get(name)
        return with_etag(jsonify(_shown(found, self.reported())), found)

    def put(self, name: str) -> tuple[Response, HTTPStatus]:
        if not NAME.fullmatch(name):
            parse_app({"name": name, "image": "x"})
        changes = changes_of(body(), name)
        if "node" in changes:
            raise BadInput(
                Fault(
                    "node",
                    "cannot be set in reconcile mode, where the loop places apps; to keep apps off a node: ./inv cordon NODE",
                )
            )

        def update(app: App | None, _: int) -> App:
            parsed = parse_app({**merged(to_json(app) if app is not None else {}, changes), "name": name})
            require_known(parsed, self.known() if parsed.secrets else ())
            return parsed

        return self._declare(name, update)

    def again(self, app: App) -> Response:
        """Declare an earlier spec."""
        return self._declare(app.name, lambda *_: app)[0]

    def _declare(self, name: str, update: Update) -> tuple[Response, HTTPStatus]:
        before, after = self.store.put(name, update, expected_revisions())
        if after != before:
            self.tell(of_change(name, before, after))
        answer = with_etag(jsonify(_shown(after, self.reported())), after)
        return answer, HTTPStatus.CREATED if before is None else HTTPStatus.OK

    def delete(self, name: str) -> Response:
        self.store.delete(name, expected_revisions())
        self.tell(of_change(name, None, None))
        return jsonify(app=name)


def blueprint(
    store: DesiredStore,
    reported: Reported,
    tell: Callable[[Event], object],
    held: HeldRequests,
    known: Callable[[], Collection[str]],
    told: Told,
) -> Blueprint:
    routes, served = Blueprint("apps", __name__), Routes(store, reported, tell, held, known)
    routes.register_blueprint(history.blueprint(history.History(store.get, told, served.again)))
    routes.post("/app/start")(served.start)
    routes.get("/apps")(served.apps)
    routes.post("/apps/confirm")(served.confirm)
    routes.get("/app/<name>")(served.app)
    routes.put("/app/<name>")(served.put)
    routes.delete("/app/<name>")(served.delete)
    return routes


def changes_of(data: object, name: str) -> Mapping[str, object]:
    """The fields that a PUT names, None for one to take away; raises BadInput for another app's name."""
    if not isinstance(data, Mapping):
        raise BadInput(Fault("", 'should be an object such as {"image": "nginx"}'))
    if data.get("name", name) != name:
        raise BadInput(Fault("name", f"should be {name!r}, as in the address, or absent"))
    return data


def shown_apps(apps: Iterable[App], report: Report | None) -> list[dict[str, Any]]:
    """Each with what the loop last reported of it."""
    views = _views(report)
    return [_shown(app, report, views) for app in apps]


def _views(report: Report | None) -> dict[str, AppView]:
    """The row of each desired instance; rows of copies too many are not about what is desired."""
    return {view.instance: view for view in report.apps if view.desired == "yes"} if report is not None else {}


def _shown(app: App, report: Report | None, views: Mapping[str, AppView] | None = None) -> dict[str, Any]:
    views = _views(report) if views is None else views
    slots = _everywhere(app, views) if app.mode == GLOBAL else slots_of(app)
    instances = [_instance(instance, views.get(instance.name)) for instance in slots]
    rollout = report.rollouts.get(app.name, "") if report is not None else ""
    entry = {"name": app.name, **to_json(app), "revision": revision(app), **as_a_whole(instances)}
    return entry | ({"rollout": rollout} if rollout else {})


def _everywhere(app: App, views: Mapping[str, AppView]) -> list[Instance]:
    """The instances that the loop made of an app of mode global, and one that waits until it has told of any."""
    slots = sorted(view.slot for view in views.values() if view.app == app.name)
    return [Instance(app, slot) for slot in slots or [1]]


def _instance(instance: Instance, view: AppView | None) -> dict[str, Any]:
    if view is None:
        return {"slot": instance.slot, "node": "", "status": "pending"}
    entry: dict[str, Any] = {"slot": instance.slot, "node": view.node, "status": view.state, "restarts": view.restarts}
    entry |= {"container": view.container} if view.container else {}
    entry |= {"started": view.started} if view.started else {}
    entry |= {"note": view.note} if view.note else {}
    entry |= {"health": view.health} if view.health else {}
    entry |= {"ready": view.ready, "updated": view.updated, "image": view.image}
    return entry | ({"published": list(view.ports)} if view.ports else {})


def as_a_whole(instances: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The instances of an app with what is true of it as a whole: the first that neither runs nor is done, or whose check has
    not passed, speaks for all; where there is none, the first that runs."""
    trouble = [entry for entry in instances if entry["status"] not in ("running", DONE)]
    trouble += [entry for entry in instances if entry["status"] == "running" and not _ready(entry)]
    trouble += [entry for entry in instances if entry["status"] == "running"]
    worst = next(iter((*trouble, *instances)), NO_INSTANCE)
    whole = {key: value for key, value in worst.items() if key not in ("slot", "image")}
    running, ready = sum(map(_runs, instances)), sum(map(_ready, instances))
    updated = sum(bool(entry.get("updated", True)) for entry in instances)
    return whole | {"running": running, "ready": ready, "updated": updated, "instances": list(instances)}


def _runs(entry: Mapping[str, Any]) -> bool:
    """Also one that has lost its place, while its container runs on."""
    return entry["status"] == "running" or "serves" in entry


def _ready(entry: Mapping[str, Any]) -> bool:
    fit = _runs(entry) and entry.get("health", NO_CHECK) in (NO_CHECK, HEALTHY)
    return fit and bool(entry.get("ready", True))


def with_etag(response: Response, app: App) -> Response:
    """The answer with the app's revision, which `If-Match` takes."""
    response.set_etag(revision(app))
    return response
