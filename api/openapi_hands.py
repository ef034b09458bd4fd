"""The calls for one container, for the OpenAPI description of push and reconcile mode."""

from __future__ import annotations

from typing import Any

from api.openapi_parts import FORM, answer, parameter, problem

PLACE = [
    parameter("node", {"type": "string"}, "The node.", "path"),
    parameter("container", {"type": "string"}, "The container.", "path"),
]
FAILURES = {
    "404": problem("There is no such node, or no such container of this cluster."),
    "422": problem("A field is wrong, or the engine refuses it."),
    "503": problem("The node or the control loop does not answer."),
}
HANDS: dict[str, Any] = {
    "/node/{node}/container/{container}/kill": {
        "post": {
            "operationId": "killContainer",
            "summary": "Kill the process of a container on purpose, to see what heals it.",
            "parameters": PLACE,
            "requestBody": {"required": True, "content": {"application/json": {"schema": {"const": {}}}}},
            "responses": {**FORM, **FAILURES, "200": answer("It was killed.", {"type": "object"})},
        }
    },
    "/node/{node}/container/{container}/log": {
        "get": {
            "operationId": "readLog",
            "summary": "What a container printed last, each line with its time.",
            "parameters": [*PLACE, parameter("lines", {"type": "integer"}, "How many lines at most; 200 by default.")],
            "responses": {**FAILURES, "200": answer("The lines.", {"type": "object"})},
        }
    },
}
