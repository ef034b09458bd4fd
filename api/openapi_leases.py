"""The calls by which one of several leads, described for programs."""

from __future__ import annotations

from typing import Any

from api.openapi_parts import COUNT, FORM, UNREADABLE, WAIT, answer, parameter, problem
from duckconf.leading import HEADER, LEASE, LONGEST_NAME, NAMES

WORD = {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME}
NAME = parameter("name", {"type": "string", "enum": list(NAMES)}, "What is led.", "path")
UNKNOWN = {"404": problem("There is no such lease.")}
HOLDER: dict[str, Any] = {
    "name": {"type": "string"},
    "term": {**COUNT, "description": "Grows by one with each new holder."},
    "who": {"type": "string", "description": "The server on which the holder runs; empty where nobody holds it."},
    "process": {"type": "string", "description": "Another one with each start of a process."},
}


def _lease(**more: Any) -> dict[str, Any]:
    properties = {**HOLDER, **more}
    return {"type": "object", "required": list(properties), "properties": properties}


REQUEST = {
    "type": "object",
    "required": ["who", "process"],
    "additionalProperties": False,
    "properties": {
        "who": WORD,
        "process": WORD,
        "term": {**COUNT, "description": "The term that is held and is to be renewed; 0 to take what nobody holds."},
        "begun": {"type": "boolean", "description": "Whether this process has just started in place of an earlier one there."},
    },
}
LEASES: dict[str, Any] = {
    "/leases": {
        "get": {
            "operationId": "listLeases",
            "summary": "Which scheduler and which node-controller leads, and how long ago it said so.",
            "responses": {
                "200": answer(
                    "All leases.",
                    {
                        "type": "object",
                        "required": ["leases"],
                        "properties": {"leases": {"type": "array", "items": _lease(age={"type": "number"})}},
                    },
                )
            },
        }
    },
    "/leases/{name}": {
        "put": {
            "operationId": "askForLease",
            "summary": f"Take, renew or wait for a lease. It is free {LEASE:g} s after its last renewal. What its holder writes "
            f"carries the header `{HEADER}: NAME/TERM/PROCESS`, and is refused with 412 once there is a newer term.",
            "parameters": [NAME, WAIT],
            "requestBody": {"required": True, "content": {"application/json": {"schema": REQUEST}}},
            "responses": {
                **FORM,
                **UNKNOWN,
                **UNREADABLE,
                "200": answer("The lease as it is now.", _lease(yours={"type": "boolean"})),
                "412": problem("The term that is to be renewed is over."),
                "422": problem("A field is wrong."),
            },
        },
        "delete": {
            "operationId": "letGoOfLease",
            "summary": "Let a lease go: another one may take it at once.",
            "parameters": [NAME, {**parameter("process", WORD, "The process that stops."), "required": True}],
            "responses": {
                **UNKNOWN,
                **UNREADABLE,
                "200": answer("The lease as it is now.", _lease()),
                "422": problem("A parameter is wrong."),
                "507": FORM["507"],
            },
        },
    },
}
