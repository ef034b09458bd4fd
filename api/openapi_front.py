"""The part of the API's description that is about fronts."""

from __future__ import annotations

from typing import Any

from api.openapi_parts import WAIT, answer, parameter, problem

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
