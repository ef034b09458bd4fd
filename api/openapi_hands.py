"""The calls for one container, for the OpenAPI description."""

from __future__ import annotations

from typing import Any

from api.openapi_parts import COUNT, FORM, answer, parameter, problem

PLACE = [
    parameter("node", {"type": "string"}, "The node.", "path"),
    parameter("container", {"type": "string"}, "The container.", "path"),
]
FAILURES = {
    "404": problem("There is no such node, or no such container of this cluster."),
    "422": problem("A field is wrong, or the engine refuses it."),
    "503": problem("The node, its agent or the control loop does not answer."),
}
EMPTY = {"type": "object", "additionalProperties": False}
HANDS: dict[str, Any] = {
    "/node/{node}/container/{container}/kill": {
        "post": {
            "operationId": "killContainer",
            "summary": "Kill the process of a container on purpose, to see what heals it.",
            "parameters": PLACE,
            "requestBody": {"required": True, "content": {"application/json": {"schema": EMPTY}}},
            "responses": {
                **FORM,
                **FAILURES,
                "409": problem("It does not run."),
                "200": answer("It was killed.", {"type": "object"}),
            },
        }
    },
    "/node/{node}/container/{container}/log": {
        "get": {
            "operationId": "readLog",
            "summary": "What a container printed last, each line with its time.",
            "parameters": [*PLACE, parameter("lines", COUNT, "How many lines at most; 200 by default.")],
            "responses": {**FAILURES, "200": answer("The lines.", {"type": "object"})},
        }
    },
}
TEXT = {"type": "string"}
FAILURE = {
    "type": "object",
    "required": ["kind", "node", "message", "remedy"],
    "properties": dict.fromkeys(("kind", "node", "message", "remedy"), TEXT),
    "additionalProperties": False,
}
ANSWER = {
    "oneOf": [
        {"type": "object", "required": [name], "properties": {name: kind}, "additionalProperties": False}
        for name, kind in (("text", TEXT), ("failure", FAILURE))
    ]
}
ANSWERS: dict[str, Any] = {
    "/node/{node}/answers/{number}": {
        "put": {
            "operationId": "answer",
            "summary": "For the agent of this node alone: what became of a question that it was told with its apps.",
            "parameters": [PLACE[0], parameter("number", {"type": "string"}, "The `id` of the question.", "path")],
            "requestBody": {"required": True, "content": {"application/json": {"schema": ANSWER}}},
            "responses": {
                **FORM,
                "200": answer("Whoever asked has it.", {"type": "object"}),
                "404": problem("Nobody waits for it any more."),
                "422": problem("It is no answer."),
            },
        }
    }
}
