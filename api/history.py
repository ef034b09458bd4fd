"""The routes for an app's past, the same in every mode that has one: its revisions, and the way back to one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, jsonify

from api.body import body
from duckconf.codec import spec_hash
from duckconf.errors import BadInput, Conflict, Fault
from duckconf.model import FIELDS, App, parse_app
from duckconf.rollout import DONE, with_service

Told = Callable[[str], Sequence[dict[str, Any]]]


@dataclass(frozen=True)
class History:
    """`get` gives a declared app or raises NotFound, `told` its revisions, `put` declares it and says what to answer."""

    get: Callable[[str], App]
    told: Told
    put: Callable[[App], Response]

    def listing(self, name: str) -> Response:
        self.get(name)
        return jsonify(app=name, revisions=list(self.told(name)))

    def rollback(self, name: str) -> Response:
        """Declare the spec of an earlier revision again: it is rolled out as a revision of its own."""
        app, asked = self.get(name), body()
        wanted = asked.get("to") if isinstance(asked, dict) else None
        if wanted is not None and (not isinstance(wanted, int) or isinstance(wanted, bool)):
            raise BadInput(Fault("to", f"should be the number of a revision, got {wanted!r}"))
        revision = _chosen(name, app, self.told(name), wanted)
        # Its secrets are those of today: what changes with their values is not declared.
        fields = {name: value for name, value in revision["app"].items() if name in FIELDS}
        return self.put(with_service(parse_app(fields), app))


def _chosen(name: str, app: App, past: Sequence[dict[str, Any]], wanted: int | None) -> dict[str, Any]:
    """The revision of this number, or without one the last that served before the present spec."""
    if wanted is not None:
        found = [item for item in past if item["number"] == wanted]
    else:
        found = [item for item in past if item["outcome"] == DONE and item["declared"] != spec_hash(app)]
    if not found:
        known = ", ".join(str(item["number"]) for item in past) or "none"
        what = f"has no revision {wanted}; known are {known}" if wanted is not None else "has no earlier revision that served"
        raise Conflict(f"{name} {what}", f"see ./inv history {name}")
    return found[-1]


def blueprint(history: History) -> Blueprint:
    routes = Blueprint("history", __name__)
    routes.get("/app/<name>/history")(history.listing)
    routes.post("/app/<name>/rollback")(history.rollback)
    return routes
