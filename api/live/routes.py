"""The routes of the live picture: as it is now, and as a stream of its changes and of the events."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, jsonify, request

from api.body import query
from api.live.hub import Hub
from api.live.taken import take_of
from api.problems import BadRequest

NAME = "live"
STREAM = "text/event-stream"


def wants_stream() -> bool:
    """Whether the caller asks for server-sent events, and not only for anything."""
    return request.accept_mimetypes.quality(STREAM) > request.accept_mimetypes.quality("application/json")


def stream(hub: Hub) -> Response:
    """Begins the stream. Under a server that does not give connections away it ends after what it begins with, and the reader
    asks again."""
    query()
    if hub.is_full():
        raise BadRequest(HTTPStatus.SERVICE_UNAVAILABLE, "too many streams are open; try again later")
    known = request.headers.get("Last-Event-ID", "")
    take = take_of(request.environ)
    content = b"" if take is not None else hub.greeting(known)
    answer = Response(content, content_type=f"{STREAM}; charset=utf-8", headers={"Cache-Control": "no-store"})
    if take is not None:
        answer.headers.remove("Content-Length")
        answer.headers["Connection"] = "close"
        answer.automatically_set_content_length = False
        take(lambda line: hub.join(line, known))
    return answer


def blueprint(hub: Hub) -> Blueprint:
    routes = Blueprint(NAME, __name__)

    @routes.get("/picture")
    def picture() -> Response:
        query()
        return jsonify(hub.picture())

    return routes
