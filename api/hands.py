"""The routes for one container: end its process on purpose, and read what it printed last.

Who reaches the node does it. In agents mode that is its agent, which comes for the question and brings the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask import Blueprint, Response, jsonify, request

from api.auth import require_node
from api.body import LARGE_BODY, body, query, whole
from api.stores.questions import Questions
from duckconf.errors import BadInput, Fault
from duckconf.events import Event
from duckconf.reach.nodes.hands import MOST_LINES, Answer, Hands, Where

NAME = "hands"
USUAL_LINES = 200
FAILURE = frozenset(("kind", "node", "message", "remedy"))


@dataclass(frozen=True)
class Routes:
    hands: Hands
    tell: Callable[[Event], object]

    def kill(self, node: str, container: str) -> Response:
        if body() != {}:
            raise BadInput(Fault("", "should be an empty object, {}"))
        self.hands.kill(Where(node, container))
        self.tell(Event("killed", f"{container} on {node} was killed on purpose", node=node))
        return jsonify(node=node, container=container)

    def log(self, node: str, container: str) -> Response:
        query("lines")
        lines = min(whole("lines", USUAL_LINES), MOST_LINES)
        return jsonify(node=node, container=container, text=self.hands.log(Where(node, container), lines))


def blueprint(hands: Hands, tell: Callable[[Event], object]) -> Blueprint:
    routes, served = Blueprint(NAME, __name__), Routes(hands, tell)
    routes.post("/node/<node>/container/<container>/kill")(served.kill)
    routes.get("/node/<node>/container/<container>/log")(served.log)
    return routes


def answers(questions: Questions) -> Blueprint:
    """Of agents mode: what the agent of a node brings."""
    routes = Blueprint("answers", __name__)

    @routes.put("/node/<node>/answers/<number>")
    def answer(node: str, number: str) -> Response:
        require_node(node)
        request.max_content_length = LARGE_BODY
        questions.answer(node, number, _told(body()))
        return jsonify(node=node, answered=number)

    return routes


def _told(answer: object) -> Answer:
    """Raises BadInput for what is none."""
    if isinstance(answer, Mapping) and len(answer) == 1:
        if isinstance(text := answer.get("text"), str):
            return {"text": text}
        failure = answer.get("failure")
        if isinstance(failure, Mapping) and failure.keys() == FAILURE and all(isinstance(one, str) for one in failure.values()):
            return {"failure": dict(failure)}
    raise BadInput(Fault("", f"should have `text`, or a `failure` with the texts {', '.join(sorted(FAILURE))}"))
