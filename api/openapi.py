"""The API of a mode described for programs, OpenAPI 3.1. Patterns come from the model, so that both say the same."""

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
        "name": _pattern(
            model.NAME.pattern,
            description="RFC 1123 label; push refuses it, elsewhere app-N by default.",
        ),
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


def _parameter(name: str, schema: dict[str, Any], description: str, where: str = "query") -> dict[str, Any]:
    return {"name": name, "in": where, "required": where == "path", "schema": schema, "description": description}


def _takes(schema: str) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}


def _is(schema: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{schema}"}


WAIT = _parameter("wait", {"type": "number", "minimum": 0}, "Seconds to hold the request until there is news, 55 at most.")
IF_MATCH = _parameter("If-Match", {"type": "string"}, "The app's revision as it was read; 412 when it has changed.", "header")
NAME = _parameter("name", _pattern(model.NAME.pattern), "The app.", "path")
FORM = {
    "400": _problem("The body is not JSON."),
    "413": _problem("The body is larger than 64 KiB."),
    "415": _problem("The body is not announced as application/json."),
    "507": _problem("The disk of the server is full; nothing was changed."),
}
UNREADABLE = {"503": _problem("The desired state cannot be read or written now; nothing was changed.")}

CONFIRM = {
    "post": {
        "summary": "Take an edit by hand that withdraws most apps and waits for this; `confirmed` is false when none waits.",
        "responses": {"200": _json("Done.", {"type": "object"}), **UNREADABLE},
    }
}

OPERATIONS: dict[str, Any] = {
    "/healthz": {"get": {"summary": "Is the server alive?", "responses": {"200": _json("Yes.", {"type": "object"})}}},
    "/readyz": {
        "get": {
            "summary": "Can it serve?",
            "responses": {
                "200": _json("Yes.", {"type": "object"}),
                "503": _json("No: all nodes are out of reach, or the state cannot be read.", {"type": "object"}),
            },
        }
    },
    "/events": {
        "get": {
            "summary": "What happened, oldest first.",
            "parameters": [
                _parameter("since", {"type": "string"}, "The cursor of an earlier answer: only what came after it."),
                _parameter("limit", {"type": "integer"}, "Without `since`: how many of the newest, 100 by default."),
                WAIT,
            ],
            "responses": {"200": _json("Events.", _is("Events")), "422": _problem("A parameter is wrong.")},
        }
    },
    "/metrics": {
        "get": {
            "summary": "Counters in Prometheus' format.",
            "responses": {"200": {"description": "Text.", "content": {"text/plain": {"schema": {"type": "string"}}}}},
        }
    },
    "/openapi.json": {"get": {"summary": "This document.", "responses": {"200": _json("OpenAPI 3.1.", {"type": "object"})}}},
}

PUSH: dict[str, Any] = {
    "/app/start": {
        "post": {
            "operationId": "startApp",
            "summary": "Start an app on the node whose turn it is.",
            "requestBody": _takes("App"),
            "responses": {
                **FORM,
                "201": _json("The app runs.", _is("Started")),
                "409": _problem("Something else holds a port or name; the engine's words."),
                "422": _problem("A field is wrong, or the engine refuses the app (no such image)."),
                "503": _problem("No node can be reached."),
            },
        }
    }
}

RECONCILE: dict[str, Any] = {
    "/app/start": {
        "post": {
            "operationId": "declareApp",
            "summary": "Declare a new app; the loop starts it.",
            "requestBody": _takes("App"),
            "responses": {
                **FORM,
                **UNREADABLE,
                "202": _json("It is in the desired state, on disk.", _is("Declared")),
                "409": _problem("An app of this name is declared already, or its row cannot be read."),
                "422": _problem("A field is wrong."),
            },
        }
    },
    "/apps": {
        "get": {
            "operationId": "listApps",
            "summary": "All declared apps, with what the loop last saw of them.",
            "parameters": [
                _parameter("nodeName", {"type": "string"}, "Only the apps placed there; empty: those not placed."),
                _parameter("since", {"type": "integer"}, "A revision: with `wait`, held until there is another one."),
                WAIT,
            ],
            "responses": {"200": _json("Apps.", _is("Apps")), "422": _problem("A parameter is wrong.")},
        }
    },
    "/app/{name}": {
        "get": {
            "operationId": "getApp",
            "parameters": [NAME],
            "responses": {"200": _json("The app; its revision is the ETag.", _is("Shown")), "404": _problem("No such app.")},
        },
        "put": {
            "operationId": "putApp",
            "summary": "Declare an app or change fields of one; null takes a field away. Idempotent.",
            "parameters": [NAME, IF_MATCH],
            "requestBody": _takes("Changes"),
            "responses": {
                **FORM,
                **UNREADABLE,
                "200": _json("The app as it is declared now.", _is("Shown")),
                "201": _json("The app is new.", _is("Shown")),
                "409": _problem("Its row in the file cannot be read."),
                "412": _problem("The app is not at the expected revision."),
                "422": _problem("A field is wrong."),
            },
        },
        "delete": {
            "operationId": "withdrawApp",
            "summary": "Withdraw an app; the loop stops it.",
            "parameters": [NAME, IF_MATCH],
            "responses": {
                **UNREADABLE,
                "200": _json("It is no longer declared.", {"type": "object"}),
                "404": _problem("No such app."),
                "412": _problem("The app is not at the expected revision."),
            },
        },
    },
}

CLOSED = {"401": _problem("The token is missing or wrong."), "403": _problem("That is not yours.")}


def _closed(paths: dict[str, Any]) -> dict[str, Any]:
    """The same calls for a server that asks who is calling."""
    return {
        path: {verb: {**call, "responses": {**call["responses"], **CLOSED}} for verb, call in calls.items()}
        for path, calls in paths.items()
    }


AGENTS: dict[str, Any] = {
    **RECONCILE,
    "/apps": {
        "get": {
            **RECONCILE["/apps"]["get"],
            "summary": "All apps, for the operator; with nodeName what one agent should make true.",
            "responses": {
                "200": _json("Apps; with nodeName also `kept`, the apps whose copy there must stay for now.", _is("Apps")),
                "422": _problem("A parameter is wrong."),
            },
        },
        "put": {
            "operationId": "bindApps",
            "summary": "Place many apps in one transaction.",
            "requestBody": _takes("Bindings"),
            "responses": {
                **FORM,
                **UNREADABLE,
                "200": _json("What was bound and refused.", _is("Bound")),
                "422": _problem("No."),
            },
        },
    },
    "/nodes": {
        "get": {
            "operationId": "listNodes",
            "parameters": [_parameter("since", {"type": "integer"}, "A revision, with `wait`."), WAIT],
            "responses": {
                "200": _json("The nodes by the server's clock.", _is("Nodes")),
                "422": _problem("A parameter is wrong."),
            },
        }
    },
    "/node/{name}": {
        "put": {
            "operationId": "changeNode",
            "summary": "Cordon or uncordon.",
            "parameters": [NAME],
            "requestBody": _takes("NodeChange"),
            "responses": {**FORM, "200": _json("The node.", _is("Node")), "422": _problem("No such node or field.")},
        }
    },
    "/node/{name}/heartbeat": {
        "put": {
            "operationId": "heartbeat",
            "summary": "An agent lives, and sees these containers.",
            "parameters": [NAME],
            "requestBody": _takes("Heartbeat"),
            "responses": {
                **FORM,
                "200": _json("Heard; `interval` says how often to come, in seconds.", {"type": "object"}),
                "409": _problem("Another agent of this name is alive: touch nothing."),
                "422": _problem("A field is wrong."),
            },
        }
    },
}

TEXT = {"type": "string"}
COUNT = {"type": ["integer", "null"]}
FACTS: dict[str, Any] = {
    "engine": {"type": ["string", "null"], "enum": ["podman", "docker", None]},
    "engine_version": {"type": ["string", "null"]},
    **{size: {**COUNT, "description": "Bytes."} for size in ("disk_free", "disk_total", "memory_free", "memory_total")},
    "load": {"type": ["number", "null"], "description": "The mean of the last minute."},
    "cores": COUNT,
    "architecture": {"type": ["string", "null"], "description": "As images have it, such as amd64."},
    "machine": {"type": ["string", "null"], "description": "The same for two nodes that are one machine."},
    "node_name": {"type": ["string", "null"], "description": "The name that the role gave to the machine."},
}
DESCRIPTIONS = {
    "push": "Push mode: an app starts when the request comes, and nobody looks back.",
    "reconcile": "Reconcile mode: requests change what is desired; a loop of its own makes it true.",
    "agents": "Agents mode: requests change what is desired; scheduler and node-controller place it, agents make it true.",
}

SCHEMAS: dict[str, Any] = {
    "App": APP,
    "Problem": PROBLEM,
    "Started": {"type": "object", "required": ["app", "node"], "properties": {"app": TEXT, "node": TEXT, **SKIPPED}},
    "Declared": {"type": "object", "required": ["app", "revision"], "properties": {"app": TEXT, "revision": TEXT}},
    "Changes": {**APP, "required": []},
    "Shown": {
        "type": "object",
        "required": ["name", "image", "revision", "node", "status"],
        "properties": {
            **APP["properties"],
            "revision": {"type": "string", "description": "Changes whenever the app does."},
            "node": {"type": "string", "description": "Where the loop placed it, empty when it is not placed."},
            "status": {
                "type": "string",
                "description": "The engine's word, or pending, starting, backoff, unreachable, lost.",
                "examples": ["running"],
            },
            "restarts": {"type": "integer"},
            "note": {"type": "string", "description": "Why it is not as desired."},
            "refused": {"type": "string", "description": "Why the engine of its node refuses it."},
        },
    },
    "Apps": {
        "type": "object",
        "required": ["revision", "apps"],
        "properties": {
            "revision": {"type": "integer"},
            "apps": {"type": "array", "items": _is("Shown")},
            "faults": {"type": "array", "items": TEXT, "description": "What of the file cannot be read, with lines."},
        },
    },
    "Bindings": {
        "type": "object",
        "required": ["apps"],
        "properties": {
            "apps": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name", "node"],
                    "properties": {"name": TEXT, "node": TEXT, "revision": {**TEXT, "description": "Bind only this one."}},
                },
            }
        },
    },
    "Bound": {
        "type": "object",
        "properties": {"bound": {"type": "integer"}, "refused": {"type": "object", "additionalProperties": TEXT}},
    },
    "Node": {
        "type": "object",
        "required": ["name", "status", "heartbeat", "age", "apps", "cordoned"],
        "properties": {
            "name": TEXT,
            "status": {"type": "string", "enum": ["ready", "suspect", "silent"]},
            "heartbeat": {"type": "number", "description": "Seconds since the epoch, 0 for never."},
            "age": {"type": "number", "description": "Seconds since it was heard, by the server's clock."},
            "apps": {"type": "integer"},
            "cordoned": {"type": "boolean"},
            "full": {"type": "boolean", "description": "It had no space for an app a short while ago, and gets no new one."},
            "ports": {"type": "array", "items": TEXT, "description": "Host ports that are given away."},
            "refusals": {"type": "array", "items": _is("Refusal"), "description": "What its engine refuses for now."},
            **FACTS,
        },
    },
    "Refusal": {
        "type": "object",
        "required": ["app", "spec", "kind", "reason", "wait"],
        "properties": {
            **dict.fromkeys(("app", "spec", "kind", "reason"), TEXT),
            "words": {**TEXT, "description": "The engine's own."},
            "wait": {"type": "number", "description": "Seconds until the app may be placed there again."},
            "strikes": {"type": "integer", "description": "Refusals in a row."},
        },
    },
    "Nodes": {
        "type": "object",
        "properties": {"revision": {"type": "integer"}, "nodes": {"type": "array", "items": _is("Node")}},
    },
    "NodeChange": {"type": "object", "required": ["cordoned"], "properties": {"cordoned": {"type": "boolean"}}},
    "Heartbeat": {
        "type": "object",
        "required": ["instance"],
        "properties": {
            "instance": {**TEXT, "description": "Kept by an agent for life, so that two of one name are noticed."},
            "containers": {"type": "array", "items": {"type": "object", "required": ["app", "container", "state"]}},
            "refusals": {"type": "array", "items": _is("Refusal"), "description": "What its engine refuses for now."},
            "facts": {"type": "object", "properties": FACTS, "description": "What the node is and has left."},
        },
    },
    "Events": {
        "type": "object",
        "required": ["events"],
        "properties": {
            "cursor": TEXT,
            "events": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["time", "kind", "message"],
                    "properties": {
                        "time": {"type": "number", "description": "Seconds since the epoch."},
                        **dict.fromkeys(("kind", "message", "app", "node", "source"), TEXT),
                    },
                },
            },
        },
    },
}
PATHS = {
    "push": {**PUSH, **OPERATIONS},
    "reconcile": {**RECONCILE, "/apps/confirm": CONFIRM, **OPERATIONS},
    "agents": {**_closed({**AGENTS, "/apps/confirm": CONFIRM, **OPERATIONS}), "/healthz": OPERATIONS["/healthz"]},
}
PATHS["agents"]["/events"] = {
    **PATHS["agents"]["/events"],
    "post": {"summary": "What a component tells.", "requestBody": _takes("Events"), "responses": {**FORM, **CLOSED}},
}


def document(mode: str) -> dict[str, Any]:
    """The whole description of one mode's API."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Duckconf API", "version": VERSION, "description": DESCRIPTIONS[mode]},
        "paths": PATHS[mode],
        "components": {"schemas": SCHEMAS},
    }
