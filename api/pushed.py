"""The route for apps in push mode: read and check the request, start the app, write the answer."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify

from api.body import body
from api.metrics import Metrics
from duckconf.events import Event
from duckconf.model import parse_app

if TYPE_CHECKING:
    from api.push import Pusher


def blueprint(
    pusher: Pusher, metrics: Metrics, tell: Callable[[Event], object], asked: Callable[[str], None] = lambda _: None
) -> Blueprint:
    """`tell` is given what was started; `asked` what is asked for, before that."""
    routes = Blueprint("apps", __name__)

    @routes.post("/app/start")
    def start() -> tuple[Response, HTTPStatus]:
        app = parse_app(body())
        asked(f"{app.image} is asked for")
        with metrics.timing_a_start():
            started = pusher.start_all(app)
        for one in started:
            metrics.count_start(one.node, one.skipped)
            past = "".join(f"; skipped {node}: {why}" for node, why in one.skipped.items())
            tell(Event("started", f"{one.app} started on {one.node} ({app.image}){past}", one.app, one.node))
        answer: dict[str, Any] = {"app": started[0].app, "node": started[0].node}
        if skipped := {node: why for one in started for node, why in one.skipped.items()}:
            answer |= {"skipped": list(skipped), "reasons": skipped}
        if len(started) > 1:
            answer["instances"] = [{"app": one.app, "node": one.node} for one in started]
        return jsonify(answer), HTTPStatus.CREATED

    @routes.delete("/node/<node>/container/<container>")
    def stop(node: str, container: str) -> Response:
        pusher.stop(node, container)
        tell(Event("removed", f"{container} was stopped and removed", container, node))
        return jsonify(node=node, container=container)

    return routes
