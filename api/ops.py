"""The routes for those who operate the server: is it alive, can it serve, what happened, what does it count and take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Protocol

from flask import Blueprint, Response, current_app, jsonify, request

from api.body import query, seconds, whole
from api.held import HeldRequests
from api.live.hub import Hub
from api.live.routes import stream, wants_stream
from api.metrics import MEDIA_TYPE, ClusterNumbers, Metrics
from api.openapi import document
from duckconf.measures import Passes
from duckconf.reach.state.journal import Journal

MOST_EVENTS = 10_000
NAME = "ops"
FOLDER = "DUCKCONF_FOLDER"


class Mode(Protocol):
    """What a mode says about itself."""

    name: str

    def troubles(self) -> Mapping[str, str]:
        """Why it cannot serve now: what is concerned, and the reason; empty when it can."""

    def away(self) -> Mapping[str, bool]:
        """All nodes as far as they are known without asking, and whether each is out of reach."""


def folder() -> dict[str, str]:
    """The checkout that this server is of, by which its tasks know it among others on the machine."""
    place = current_app.config.get(FOLDER)
    return {} if place is None else {"folder": str(place)}


def no_passes() -> Passes:
    """Of a mode without a loop, or whose passes are another process's own."""
    return Passes()


def blueprint(
    mode: Mode,
    metrics: Metrics,
    cluster: str,
    journal: Journal,
    held: HeldRequests,
    hub: Hub,
    passes: Callable[[], Passes] = no_passes,
) -> Blueprint:
    routes = Blueprint(NAME, __name__)
    metrics.registry.register(ClusterNumbers(hub.look, passes, journal))

    @routes.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok", cluster=cluster, mode=mode.name, **folder())

    @routes.get("/readyz")
    def readyz() -> tuple[Response, HTTPStatus]:
        troubles, away = mode.troubles(), mode.away()
        body: dict[str, Any] = {"status": "not ready" if troubles else "ready", "nodes": list(away), "troubles": troubles}
        return jsonify(body), HTTPStatus.SERVICE_UNAVAILABLE if troubles else HTTPStatus.OK

    @routes.get("/openapi.json")
    def openapi() -> Response:
        return jsonify(document(mode.name))

    @routes.get("/metrics")
    def numbers() -> Response:
        return Response(metrics.text(len(held), len(hub)), content_type=MEDIA_TYPE)

    @routes.get("/events")
    def events() -> Response:
        if wants_stream():
            return stream(hub)
        query("since", "wait", "limit")
        limit, wanted = min(whole("limit", 100), MOST_EVENTS), seconds("wait")
        if "since" not in request.args:
            page = journal.tail(limit)
        else:
            with held.up_to(wanted) as patience:
                page = journal.wait(request.args["since"], patience)
        return jsonify(cursor=page.cursor, events=[event.to_json() for event in page.events])

    return routes
