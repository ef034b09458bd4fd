"""The API described for programs, OpenAPI 3.1. Patterns come from the model, so that both say the same."""

from __future__ import annotations

from typing import Any

from duckconf import model

VERSION = "0.1.0"


def _text_list(item: dict[str, Any], example: list[str]) -> dict[str, Any]:
    return {"type": "array", "items": item, "examples": [example]}


def _pattern(pattern: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^(?:{pattern})$", **more}


APP: dict[str, Any] = {
    "type": "object",
    "required": ["image"],
    "additionalProperties": False,
    "properties": {
        "image": {
            "type": "string",
            "maxLength": model.LONGEST_IMAGE,
            "description": "OCI image reference.",
            "examples": ["nginx:1.25"],
        },
        "name": _pattern(model.NAME.pattern, description="RFC 1123 label; push mode names apps itself and refuses it."),
        "command": _text_list({"type": "string"}, ["sh", "-c", "echo hello"]),
        "env": {"type": "object", "additionalProperties": {"type": "string"}, "examples": [{"MODE": "fast"}]},
        "ports": _text_list({"type": "string", "description": "[IP:]HOST:CONTAINER[/tcp|udp]"}, ["8081:80"]),
        "volumes": _text_list(
            {"type": "string", "description": "/SOURCE:/PATH or NAME:/PATH, optionally :ro"}, ["data:/var/lib/data"]
        ),
        "cpus": {"type": "number", "minimum": 0.01, "maximum": 1024, "description": "Cores."},
        "memory": _pattern(model.MEMORY.pattern, description="Bytes, or with the unit k, m or g.", examples=["512m"]),
        "labels": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "node and duckconf.* are reserved.",
        },
    },
}

SKIPPED: dict[str, Any] = {
    "skipped": {"type": "array", "items": {"type": "string"}, "description": "Nodes passed over, in order."},
    "reasons": {"type": "object", "additionalProperties": {"type": "string"}, "description": "Node to why."},
}

PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong and what would be right."},
        "errors": {
            "type": "array",
            "items": {"type": "object", "properties": {"path": {"type": "string"}, "message": {"type": "string"}}},
        },
        **SKIPPED,
    },
}


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Duckconf API", "version": VERSION, "description": "Push mode: an app starts when the request comes."},
    "paths": {
        "/app/start": {
            "post": {
                "operationId": "startApp",
                "summary": "Start an app on the node whose turn it is.",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/App"}}},
                },
                "responses": {
                    "201": _json("The app runs.", {"$ref": "#/components/schemas/Started"}),
                    "400": _problem("The body is not JSON."),
                    "409": _problem("Something else holds a port or name; the engine's words."),
                    "413": _problem("The body is larger than 64 KiB."),
                    "415": _problem("The body is not announced as application/json."),
                    "422": _problem("A field is wrong, or the engine refuses the app (no such image)."),
                    "503": _problem("No node can be reached."),
                    "507": _problem("The disk of the server is full; nothing was started."),
                },
            }
        },
        "/healthz": {"get": {"summary": "Is the server alive?", "responses": {"200": _json("Yes.", {"type": "object"})}}},
        "/readyz": {
            "get": {
                "summary": "Can it start apps?",
                "responses": {
                    "200": _json("Yes.", {"type": "object"}),
                    "503": _json("All nodes are out of reach.", {"type": "object"}),
                },
            }
        },
        "/metrics": {
            "get": {
                "summary": "Counters in Prometheus' format.",
                "responses": {"200": {"description": "Text.", "content": {"text/plain": {"schema": {"type": "string"}}}}},
            }
        },
        "/openapi.json": {"get": {"summary": "This document.", "responses": {"200": _json("OpenAPI 3.1.", {"type": "object"})}}},
    },
    "components": {
        "schemas": {
            "App": APP,
            "Problem": PROBLEM,
            "Started": {
                "type": "object",
                "required": ["app", "node"],
                "properties": {"app": {"type": "string"}, "node": {"type": "string"}, **SKIPPED},
            },
        }
    },
}
