"""The part of the API's description that is about data on nodes, in agents mode."""

from __future__ import annotations

from typing import Any

from api.openapi_parts import FORM, UNREADABLE

HELD: dict[str, Any] = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "data": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {}},
            "description": "By instance: the node, the volumes and paths there, and the number of the last move.",
        }
    },
}
MOVE: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "to": {"type": "string", "description": "The node; by default placement chooses one."},
        "accept_data_loss": {"type": "boolean", "description": "Must be true: it starts without the data that it has."},
    },
}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


def _takes(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


DATA: dict[str, Any] = {
    "/data": {
        "get": {"summary": "Which node has the data of each instance.", "responses": {"200": _json("Data.", HELD)}},
    },
    "/instance/{name}/move": {
        "post": {
            "summary": "Start an instance on another node without its data.",
            "parameters": [
                {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}, "description": "Such as db.2."}
            ],
            "requestBody": _takes(MOVE),
            "responses": {
                **FORM,
                **UNREADABLE,
                "200": _json("It moves.", {"type": "object"}),
                "404": _problem("No such app, or no data binds the instance."),
                "409": _problem("The loss is not accepted, or the node cannot be had."),
                "422": _problem("A field is wrong."),
            },
        }
    },
}
