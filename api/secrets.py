"""The routes for secrets. In agents mode the operator sets them here, and an agent reads those of its own apps; the value of a
secret is told to nobody else. The other modes say where their secrets are."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, jsonify, request

from api.auth import caller, require_operator
from api.body import body
from api.problems import BadRequest
from api.stores.placed import PlacedIndex
from api.stores.store import Store
from duckconf.errors import BadInput, Fault, NotFound
from duckconf.events import Event
from duckconf.model import App
from duckconf.reach.state.secrets import Secrets, to_json
from duckconf.secrets import LARGEST, at_revisions, check_name, check_value, names_of, require_unused, users

# A value in base64, and what stands around it.
LARGEST_BODY = LARGEST * 2


@dataclass(frozen=True)
class Routes:
    """What is asked of the secrets; the routes for it are in `blueprint`."""

    secrets: Secrets
    store: Store
    index: PlacedIndex
    tell: Callable[[Event], object]

    def listing(self) -> Response:
        require_operator()
        using = self._users()
        shown = [
            {"name": name, "revision": secret.revision, "since": secret.since, "apps": using.get(name, [])}
            for name, secret in sorted(self.secrets.current().items())
        ]
        return jsonify(secrets=shown)

    def put(self, name: str) -> tuple[Response, HTTPStatus]:
        require_operator()
        request.max_content_length = LARGEST_BODY
        value, salt = _given(body())
        before = self.secrets.current().get(check_name(name))
        secret, changed = self.secrets.put(name, value, time.time(), salt)
        using = {app: found for app, found in self.store.listing().apps.items() if name in names_of(found)}
        if changed:
            self.index.see_again(using)
            self.tell(Event("secret-set", f"the secret {name} has {'a new' if before else 'its first'} value"))
        answer = jsonify(secret=name, revision=secret.revision, changed=changed, apps=sorted(using))
        return answer, HTTPStatus.OK if before else HTTPStatus.CREATED

    def delete(self, name: str) -> Response:
        require_operator()
        require_unused(check_name(name), self._users())
        self.secrets.remove(name)
        self.tell(Event("secret-removed", f"the secret {name} is removed"))
        return jsonify(secret=name)

    def of_node(self, name: str) -> Response:
        if caller().node != name:
            raise BadRequest(HTTPStatus.FORBIDDEN, f"the values of secrets are told to the agent of {name} only")
        wanted = {use for instance in self.index.share(name).instances for use in names_of(instance.app)}
        found = self.secrets.current()
        answer = jsonify(secrets={use: to_json(found[use]) for use in sorted(wanted) if use in found})
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def _users(self) -> Mapping[str, list[str]]:
        return users(self.store.listing().apps.values())


def blueprint(secrets: Secrets, store: Store, index: PlacedIndex, tell: Callable[[Event], object]) -> Blueprint:
    routes, served = Blueprint("secrets", __name__), Routes(secrets, store, index, tell)
    routes.get("/secrets")(served.listing)
    routes.put("/secret/<name>")(served.put)
    routes.delete("/secret/<name>")(served.delete)
    routes.get("/node/<name>/secrets")(served.of_node)
    return routes


def elsewhere(where: str) -> Blueprint:
    """The same addresses in a mode whose API has no secrets."""
    routes = Blueprint("secrets", __name__)

    def refuse(name: str = "") -> Response:
        raise NotFound(where)

    routes.add_url_rule("/secrets", view_func=refuse)
    routes.add_url_rule("/secret/<name>", view_func=refuse, methods=["PUT", "DELETE"])
    return routes


def resolving(secrets: Secrets) -> Callable[[App], App]:
    """What gives an app the revisions of its secrets."""
    return lambda app: at_revisions(app, secrets.revisions()) if app.secrets else app


def _given(data: Any) -> tuple[bytes, bytes]:
    """Value and salt ("" for a new one) of {"value", "salt"?}, in base64. Nothing of the body is quoted. Raises BadInput."""
    if not isinstance(data, Mapping) or not set(data) <= {"value", "salt"}:
        raise BadInput(Fault("", 'should be an object with "value", the secret in base64'))
    found = {}
    for key in ("value", "salt"):
        text = data.get(key, "" if key == "salt" else None)
        try:
            found[key] = base64.b64decode(text, validate=True)
        except (ValueError, TypeError):
            raise BadInput(Fault(key, "should be text in base64")) from None
    return check_value(found["value"]), found["salt"]
