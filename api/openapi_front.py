"""The part of the API's description that is about fronts."""

from __future__ import annotations

from typing import Any

from api.openapi_parts import FORM, WAIT, answer, parameter, problem

TEXT = {"type": "string"}
UPSTREAM: dict[str, Any] = {
    "type": "object",
    "required": ["instance", "node", "container", "address"],
    "properties": {
        **dict.fromkeys(("instance", "node", "container"), TEXT),
        "address": {**TEXT, "description": "HOST:PORT, as a front reaches the container."},
    },
}
SERVING: dict[str, Any] = {
    "type": "object",
    "required": ["host", "path", "app", "upstreams"],
    "properties": {
        "host": {**TEXT, "description": "In lower case; `*.example.org` is every name one label below."},
        "path": {**TEXT, "description": "With all that lies below it; / is the whole host."},
        "app": TEXT,
        "upstreams": {"type": "array", "items": UPSTREAM, "description": "The containers that are ready, by address."},
        "check": {**TEXT, "description": "A path that shows whether an upstream lives, empty where the app names none."},
        "within": {"type": "number", "description": "Seconds that the app allows for the answer, 0 where it says nothing."},
    },
}
FRONT: dict[str, Any] = {
    "/routes": {
        "get": {
            "operationId": "listRoutes",
            "summary": "Which app a front serves under which address, and the containers that are ready to serve it.",
            "parameters": [
                parameter("since", TEXT, "A revision; with `wait`, the request is held until the revision differs."),
                WAIT,
            ],
            "responses": {
                "200": answer(
                    "By host, and of one host the longest path first.",
                    {
                        "type": "object",
                        "required": ["revision", "routes"],
                        "properties": {"revision": TEXT, "routes": {"type": "array", "items": SERVING}},
                    },
                ),
                "422": problem("A parameter is wrong."),
            },
        }
    }
}
NO_FRONT = {"404": problem("The node runs no front.")}
CONTAINER = {"type": "array", "items": TEXT, "minItems": 2, "maxItems": 2}
EDGE = parameter("edge", TEXT, "A node that runs a front.", "path")
EDGES: dict[str, Any] = {
    "/front/{edge}": {
        "get": {
            "operationId": "listForFront",
            "summary": "As `/routes`, for the agent of a node that runs a front.",
            "parameters": [EDGE, parameter("since", TEXT, "A revision, as in `/routes`."), WAIT],
            "responses": {
                "200": answer(
                    "`names` has the containers behind addresses, also of what leaves; `complete` is false while a node was not "
                    "heard since the server began; `told` says whether the front has told what it has.",
                    {
                        "type": "object",
                        "required": ["revision", "routes", "names", "complete", "told"],
                        "properties": {
                            "revision": TEXT,
                            "routes": {"type": "array", "items": SERVING},
                            "names": {"type": "object"},
                            "complete": {"type": "boolean"},
                            "told": {"type": "boolean"},
                        },
                    },
                ),
                **NO_FRONT,
                "422": problem("A parameter is wrong."),
            },
        },
        "put": {
            "operationId": "tellFront",
            "summary": "What a front may send requests to, or waits for: none of it is stopped while it has time to leave.",
            "parameters": [EDGE],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "required": ["has"],
                            "properties": {"has": {"type": "array", "items": CONTAINER, "description": "As [NODE, CONTAINER]."}},
                        }
                    }
                },
            },
            "responses": {
                **FORM,
                **NO_FRONT,
                "200": answer("Noted.", {"type": "object"}),
                "422": problem("It is no list of containers."),
            },
        },
    }
}
