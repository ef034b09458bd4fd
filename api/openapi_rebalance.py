"""The calls for a rebalance, described for programs."""

from __future__ import annotations

from typing import Any

from api.openapi_parts import FORM, REVISION, WAIT, answer, problem
from api.schemas_of_updates import refer

TEXT = {"type": "string"}
WHOLE = {"type": "integer"}

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


PROGRESS: dict[str, Any] = {
    "type": "object",
    "required": ["done", "owed", "moving", "left", "known", "waits", "moved"],
    "properties": {
        **dict.fromkeys(("done", "moved"), WHOLE),
        **dict.fromkeys(("owed", "waits", "result"), TEXT),
        **{key: {"type": "array", "items": TEXT} for key in ("left", "known")},
        "moving": {
            "type": "object",
            "additionalProperties": {
                "type": "array",
                "prefixItems": [TEXT, TEXT, WHOLE],
                "minItems": 3,
                "maxItems": 3,
            },
            "description": "By instance: from where, to where, and how often it was started there.",
        },
    },
}


def _told(description: str) -> dict[str, Any]:
    return answer(description, refer("Rebalance"))


FULL = {"507": FORM["507"]}
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
                **FULL,
            },
        },
    }
}

SCHEDULED: dict[str, Any] = {
    "/rebalance": {
        **REBALANCE["/rebalance"],
        "get": {
            **REBALANCE["/rebalance"]["get"],
            "parameters": [REVISION, WAIT],
            "responses": {"200": _told("The rebalance."), "422": problem("A parameter is wrong.")},
        },
        "put": {
            "operationId": "keepRebalance",
            "summary": "For the scheduler: keep how far the rebalance is.",
            "requestBody": {"required": True, "content": {"application/json": {"schema": PROGRESS}}},
            "responses": {
                **FORM,
                "200": _told("It is on disk."),
                "422": problem("It is no progress."),
            },
        },
    }
}

NOT_HERE = {"404": problem("Push mode moves no app; the message says which modes do.")}
REFUSED: dict[str, Any] = {
    "/rebalance": {verb: {"summary": "Refused in this mode.", "responses": NOT_HERE} for verb in ("get", "post")}
}
