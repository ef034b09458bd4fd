"""The routes for those who operate the server: is it alive, can it serve, what does it count, what does it take."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, jsonify

from api.metrics import MEDIA_TYPE, Metrics
from api.openapi import DOCUMENT
from api.push import Pusher


def blueprint(pusher: Pusher, metrics: Metrics, cluster: str) -> Blueprint:
    routes = Blueprint("ops", __name__)

    @routes.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok", cluster=cluster, mode="push")

    @routes.get("/readyz")
    def readyz() -> tuple[Response, HTTPStatus]:
        nodes, away = pusher.nodes(), pusher.away()
        ready = len(away) < len(nodes)
        answer = jsonify(status="ready" if ready else "not ready", nodes=list(nodes), away=away)
        return answer, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE

    @routes.get("/openapi.json")
    def openapi() -> Response:
        return jsonify(DOCUMENT)

    @routes.get("/metrics")
    def numbers() -> Response:
        return Response(metrics.text(pusher.nodes(), pusher.away()), content_type=MEDIA_TYPE)

    return routes
