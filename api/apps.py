"""The routes for apps: read and check the request, call the mode, write the answer. Nothing is decided here."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, jsonify, request

from api.metrics import Metrics
from api.problems import BadRequest
from api.push import Pusher
from duckconf.model import parse_app


def blueprint(pusher: Pusher, metrics: Metrics) -> Blueprint:
    routes = Blueprint("apps", __name__)

    @routes.post("/app/start")
    def start() -> tuple[Response, HTTPStatus]:
        app = parse_app(body())
        with metrics.timing_a_start():
            started = pusher.start(app)
        metrics.count_start(started.node, started.skipped)
        answer: dict[str, Any] = {"app": started.app, "node": started.node}
        if started.skipped:
            answer |= {"skipped": list(started.skipped), "reasons": started.skipped}
        return jsonify(answer), HTTPStatus.CREATED

    return routes


def body() -> object:
    """The request's JSON; raises BadRequest with 415 or 400, or Flask's own 413."""
    if request.mimetype != "application/json":
        got = request.mimetype or "none"
        raise BadRequest(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Content-Type should be application/json, got {got}")
    content = request.get_data(cache=False)
    try:
        return json.loads(content.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
    except UnicodeDecodeError:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "the body should be JSON in UTF-8, and is not UTF-8") from None
    except RecursionError:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "the body is nested too deeply") from None
    except ValueError as error:
        raise BadRequest(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen = dict(pairs)
    if len(seen) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands twice in one object")
    return seen
