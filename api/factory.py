"""Makes the Flask app out of its parts. No globals: every server and every test has its own."""

from __future__ import annotations

from http import HTTPStatus

from flask import Flask, Response, request

from api import apps, ops, problems
from api.metrics import Metrics
from api.push import Pusher

LARGEST_BODY = 64 * 1024
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


def create_app(pusher: Pusher, cluster: str, host: str = "127.0.0.1") -> Flask:
    """The API in push mode; `host` is the name it is reached by, besides the loopback names."""
    app = Flask("duckconf", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.json.sort_keys = False  # type: ignore[attr-defined]
    metrics = Metrics()
    known_as = LOOPBACK | {host}

    @app.before_request
    def refuse_foreign_names() -> Response | None:
        """A web page can make a name of its own point here; its requests still carry that name."""
        name = request.host.rsplit(":", 1)[0] if not request.host.endswith("]") else request.host
        if name in known_as:
            return None
        return problems.problem(HTTPStatus.MISDIRECTED_REQUEST, f"this server is not called {name!r}")

    @app.after_request
    def count(answer: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "none"
        metrics.count_answer(route, answer.status_code)
        return answer

    problems.register(app)
    app.register_blueprint(apps.blueprint(pusher, metrics))
    app.register_blueprint(ops.blueprint(pusher, metrics, cluster))
    return app
