"""The calls for a rebalance, described for programs."""

from __future__ import annotations

from typing import Any

TEXT = {"type": "string"}

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["asked", "done", "under_way", "moved", "moving", "result"],
    "properties": {
        "asked": {"type": "integer", "description": "The number of the last request."},
        "done": {"type": "integer", "description": "The number of the last request that was carried out."},
        "under_way": {"type": "boolean"},
        "moved": {"type": "integer", "description": "Instances that it has moved so far."},
        "moving": {
            "type": "array",
            "items": {"type": "object", "properties": dict.fromkeys(("instance", "from", "to"), TEXT)},
        },
        "waits": {**TEXT, "description": "Why no other instance moves now."},
        "why": {**TEXT, "description": "Why there is one that nobody asked for (duckconf_rebalance: auto)."},
        "result": {**TEXT, "description": "What the last one that is over came to."},
        "left": {"type": "array", "items": TEXT, "description": "Instances that did not come up elsewhere and stay."},
    },
}


def _answer(description: str, kind: str, schema: str) -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}


def _told(description: str) -> dict[str, Any]:
    return _answer(description, "application/json", "Rebalance")


def _problem(description: str) -> dict[str, Any]:
    return _answer(description, "application/problem+json", "Problem")


REBALANCE: dict[str, Any] = {
    "/rebalance": {
        "get": {
            "operationId": "showRebalance",
            "summary": "The last rebalance: what is asked for, done and under way.",
            "responses": {"200": _told("The rebalance.")},
        },
        "post": {
            "operationId": "rebalance",
            "summary": "Move instances, one at a time, until the nodes run about as many.",
            "responses": {
                "202": _told("The request is on disk. It is carried out when `done` is as high as `asked` is here."),
                "507": _problem("The disk of the server is full; nothing was changed."),
            },
        },
    }
}

WAIT = {"name": "wait", "in": "query", "schema": {"type": "number", "minimum": 0}, "description": "Seconds to hold the request."}
SINCE = {"name": "since", "in": "query", "schema": {"type": "integer"}, "description": "A revision, with `wait`."}
SCHEDULED: dict[str, Any] = {
    "/rebalance": {
        **REBALANCE["/rebalance"],
        "get": {**REBALANCE["/rebalance"]["get"], "parameters": [SINCE, WAIT]},
        "put": {
            "operationId": "keepRebalance",
            "summary": "For the scheduler: keep how far the rebalance is.",
            "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
            "responses": {
                "200": _told("It is on disk."),
                "422": _problem("It is no progress."),
                "507": _problem("The disk of the server is full; nothing was changed."),
            },
        },
    }
}

NOT_HERE = {"404": _problem("Push mode moves no app; the message says which modes do.")}
REFUSED: dict[str, Any] = {
    "/rebalance": {verb: {"summary": "Refused in this mode.", "responses": NOT_HERE} for verb in ("get", "post")}
}
