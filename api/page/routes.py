"""The web page: its files, which come from this package as they are, and the session that a browser gets for the token.

The files say nothing about the cluster; what the page shows it asks the API for as any client does.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Callable
from http import HTTPStatus
from importlib import resources

from flask import Blueprint, Response, abort, jsonify, request

from api.page.session import LIFETIME, Sessions

INDEX = "index.html"
# Nothing but what comes from here, and no script or style that stands in the page itself.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Asked for again each time, and answered by "not modified": a page is never of another version than its server.
    "Cache-Control": "no-cache",
}


def wants_page() -> bool:
    """Whether a browser asks, and no program that takes anything."""
    return request.accept_mimetypes.quality("text/html") > request.accept_mimetypes.quality("application/json")


def needs_no_token() -> bool:
    """Whether the current request is for a file of the page."""
    return request.endpoint == "page.file" or (request.endpoint == "page.index" and wants_page())


def blueprint() -> Blueprint:
    routes, files = Blueprint("page", __name__), _files()

    @routes.get("/")
    def index() -> Response:
        if not wants_page():
            abort(HTTPStatus.NOT_FOUND)
        return _answer(INDEX, files[INDEX])

    @routes.get("/page/<name>")
    def file(name: str) -> Response:
        if name not in files:
            abort(HTTPStatus.NOT_FOUND)
        return _answer(name, files[name])

    return routes


def sessions(kept: Sessions, require_operator: Callable[[], None]) -> Blueprint:
    """For an API that asks who is calling."""
    routes = Blueprint("session", __name__)

    @routes.post("/session")
    def open_session() -> Response:
        """Who calls has shown a token, or a session that is renewed by this."""
        require_operator()
        answer = jsonify(seconds=LIFETIME)
        answer.set_cookie(
            kept.name,
            kept.open(),
            max_age=LIFETIME,
            path="/",
            secure=request.is_secure,
            httponly=True,
            samesite="Strict",
        )
        return answer

    @routes.delete("/session")
    def close_session() -> Response:
        answer = jsonify(seconds=0)
        answer.delete_cookie(kept.name, path="/", secure=request.is_secure, httponly=True, samesite="Strict")
        return answer

    return routes


def _files() -> dict[str, bytes]:
    """Read once: they may lie in the one file of the control plane."""
    folder = resources.files("api.page") / "static"
    return {item.name: item.read_bytes() for item in folder.iterdir() if item.is_file()}


def _answer(name: str, content: bytes) -> Response:
    kind = "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0] or "application/octet-stream"
    answer = Response(content, content_type=f"{kind}; charset=utf-8", headers=HEADERS)
    answer.set_etag(hashlib.sha256(content).hexdigest()[:16])
    answer.make_conditional(request)
    return answer
