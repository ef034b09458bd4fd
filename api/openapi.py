"""The API of a mode described for programs, OpenAPI 3.1. The bodies stand in `schemas.py`."""

from __future__ import annotations

from typing import Any

from api.schemas import SCHEMAS, refer
from duckconf.model import DECLARED

VERSION = "0.1.0"


def _problem(description: str) -> dict[str, Any]:
    schema = refer("Problem")
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _parameter(name: str, schema: dict[str, Any], description: str, where: str = "query") -> dict[str, Any]:
    return {"name": name, "in": where, "required": where == "path", "schema": schema, "description": description}


def _takes(schema: str) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": refer(schema)}}}


WAIT = _parameter("wait", {"type": "number", "minimum": 0}, "Seconds to hold the request until there is a change, 55 at most.")
IF_MATCH = _parameter("If-Match", {"type": "string"}, "The app's revision as it was read; 412 when it has changed.", "header")
NAME = _parameter("name", DECLARED["name"].kind.schema(), "The app.", "path")
SECRET = _parameter("name", {"type": "string"}, "The secret: letters, digits, '.', '_' and '-', 63 at most.", "path")
FORM = {
    "400": _problem("The body is not JSON."),
    "413": _problem("The body is larger than 64 KiB."),
    "415": _problem("The Content-Type is not application/json."),
    "507": _problem("The disk of the server is full; nothing was changed."),
}
UNREADABLE = {"503": _problem("The desired state cannot be read or written now; nothing was changed.")}

CONFIRM = {
    "post": {
        "summary": "Apply a manual edit that withdraws most apps and waits; `confirmed` is false if no edit waits.",
        "responses": {"200": _json("Done.", {"type": "object"}), **UNREADABLE},
    }
}

OPERATIONS: dict[str, Any] = {
    "/healthz": {"get": {"summary": "Is the server alive?", "responses": {"200": _json("Yes.", {"type": "object"})}}},
    "/readyz": {
        "get": {
            "summary": "Is the server ready?",
            "responses": {
                "200": _json("Yes.", {"type": "object"}),
                "503": _json("No: all nodes are unreachable, or the state cannot be read.", {"type": "object"}),
            },
        }
    },
    "/events": {
        "get": {
            "summary": "Events, oldest first.",
            "parameters": [
                _parameter("since", {"type": "string"}, "The cursor of an earlier answer; only later events are returned."),
                _parameter("limit", {"type": "integer"}, "Without `since`: the number of newest events, 100 by default."),
                WAIT,
            ],
            "responses": {"200": _json("Events.", refer("Events")), "422": _problem("A parameter is wrong.")},
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
            "summary": "Start an app on the next node (round-robin).",
            "requestBody": _takes("App"),
            "responses": {
                **FORM,
                "201": _json("The app runs.", refer("Started")),
                "409": _problem("A port or name is in use; the message of the engine."),
                "422": _problem("A field is wrong, or the engine refuses the app (no such image)."),
                "503": _problem("No node is reachable."),
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
                "202": _json("The app is in the desired state, on disk.", refer("Declared")),
                "409": _problem("An app of this name is declared already, or its row cannot be read."),
                "422": _problem("A field is wrong."),
            },
        }
    },
    "/apps": {
        "get": {
            "operationId": "listApps",
            "summary": "All declared apps, with their last observed state.",
            "parameters": [
                _parameter(
                    "nodeName", {"type": "string"}, "Only the apps placed on this node; if empty, the apps without a node."
                ),
                _parameter(
                    "since", {"type": "integer"}, "A revision; with `wait`, the request is held until the revision differs."
                ),
                WAIT,
            ],
            "responses": {"200": _json("Apps.", refer("Apps")), "422": _problem("A parameter is wrong.")},
        }
    },
    "/app/{name}": {
        "get": {
            "operationId": "getApp",
            "parameters": [NAME],
            "responses": {"200": _json("The app; its revision is the ETag.", refer("Shown")), "404": _problem("No such app.")},
        },
        "put": {
            "operationId": "putApp",
            "summary": "Declare an app or change its fields; null removes a field. Idempotent.",
            "parameters": [NAME, IF_MATCH],
            "requestBody": _takes("Changes"),
            "responses": {
                **FORM,
                **UNREADABLE,
                "200": _json("The app as it is declared now.", refer("Shown")),
                "201": _json("The app is new.", refer("Shown")),
                "409": _problem("The row of the app in the file cannot be read."),
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
                "200": _json("The app is no longer declared.", {"type": "object"}),
                "404": _problem("No such app."),
                "412": _problem("The app is not at the expected revision."),
            },
        },
    },
}

HISTORY: dict[str, Any] = {
    "/app/{name}/history": {
        "get": {
            "operationId": "getHistory",
            "summary": "The revisions of an app, the newest last.",
            "parameters": [NAME],
            "responses": {"200": _json("Revisions.", refer("History")), "404": _problem("No such app.")},
        }
    },
    "/app/{name}/rollback": {
        "post": {
            "operationId": "rollBack",
            "summary": "Declare the spec of an earlier revision again.",
            "parameters": [NAME],
            "requestBody": _takes("Rollback"),
            "responses": {
                **FORM,
                **UNREADABLE,
                "200": _json("The app as it is declared now.", refer("Shown")),
                "404": _problem("No such app."),
                "409": _problem("No such revision."),
                "422": _problem("A field is wrong."),
            },
        }
    },
}

CLOSED = {"401": _problem("The token is missing or wrong."), "403": _problem("The token does not allow this call.")}


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
            "summary": "All apps, for the operator; with nodeName, the apps that one agent should run.",
            "responses": {
                "200": _json(
                    "Apps; with nodeName also `kept`, the apps whose old container there must stay for now.", refer("Apps")
                ),
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
                "200": _json("The placements that were made, and those that were refused.", refer("Bound")),
                "422": _problem("No."),
            },
        },
    },
    "/nodes": {
        "get": {
            "operationId": "listNodes",
            "parameters": [_parameter("since", {"type": "integer"}, "A revision, with `wait`."), WAIT],
            "responses": {
                "200": _json("The nodes, with heartbeat ages by the server's clock.", refer("Nodes")),
                "422": _problem("A parameter is wrong."),
            },
        }
    },
    "/secrets": {
        "get": {
            "operationId": "listSecrets",
            "summary": "The secrets of the cluster and the apps that use them; never a value.",
            "responses": {"200": _json("Secrets.", refer("Secrets"))},
        }
    },
    "/secret/{name}": {
        "put": {
            "operationId": "setSecret",
            "summary": "Set the value of a secret; the apps that use it are updated if it is a new one.",
            "parameters": [SECRET],
            "requestBody": _takes("SecretValue"),
            "responses": {
                **FORM,
                "200": _json("The secret has this value.", refer("SecretSet")),
                "201": _json("The secret is new.", refer("SecretSet")),
                "422": _problem("The name or the value is wrong."),
            },
        },
        "delete": {
            "operationId": "removeSecret",
            "parameters": [SECRET],
            "responses": {
                "200": _json("It is removed.", {"type": "object"}),
                "404": _problem("No such secret."),
                "409": _problem("Apps use it; they are named."),
            },
        },
    },
    "/node/{name}/secrets": {
        "get": {
            "operationId": "readSecrets",
            "summary": "For the agent of this node alone: the secrets of the apps that it should run, with their values.",
            "parameters": [NAME],
            "responses": {"200": _json("Secrets.", {"type": "object"})},
        }
    },
    "/node/{name}": {
        "put": {
            "operationId": "changeNode",
            "summary": "Cordon or uncordon.",
            "parameters": [NAME],
            "requestBody": _takes("NodeChange"),
            "responses": {**FORM, "200": _json("The node.", refer("Node")), "422": _problem("No such node or field.")},
        }
    },
    "/node/{name}/heartbeat": {
        "put": {
            "operationId": "heartbeat",
            "summary": "A heartbeat of an agent, with the containers that it observes.",
            "parameters": [NAME],
            "requestBody": _takes("Heartbeat"),
            "responses": {
                **FORM,
                "200": _json("Accepted; `interval` is the time until the next heartbeat, in seconds.", {"type": "object"}),
                "409": _problem("Another agent uses this name; this agent must not change anything."),
                "422": _problem("A field is wrong."),
            },
        }
    },
}

DESCRIPTIONS = {
    "push": "Push mode: a request starts an app, which is not observed later.",
    "reconcile": "Reconcile mode: requests change the desired state; a control loop reconciles it.",
    "agents": "Agents mode: requests change the desired state; the scheduler places apps, agents reconcile them.",
}

NO_SECRETS = {"404": _problem("The API of this mode has no secrets; the message says where they are.")}
ELSEWHERE: dict[str, Any] = {
    "/secrets": {"get": {"summary": "Refused in this mode.", "responses": NO_SECRETS}},
    "/secret/{name}": {
        verb: {"summary": "Refused in this mode.", "parameters": [SECRET], "responses": NO_SECRETS} for verb in ("put", "delete")
    },
}
PATHS = {
    "push": {**PUSH, **ELSEWHERE, **OPERATIONS},
    "reconcile": {**RECONCILE, **HISTORY, "/apps/confirm": CONFIRM, **ELSEWHERE, **OPERATIONS},
    "agents": {**_closed({**AGENTS, "/apps/confirm": CONFIRM, **OPERATIONS}), "/healthz": OPERATIONS["/healthz"]},
}
PATHS["agents"]["/events"] = {
    **PATHS["agents"]["/events"],
    "post": {"summary": "Report events of a component.", "requestBody": _takes("Events"), "responses": {**FORM, **CLOSED}},
}


def document(mode: str) -> dict[str, Any]:
    """The whole description of one mode's API."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Duckconf API", "version": VERSION, "description": DESCRIPTIONS[mode]},
        "paths": PATHS[mode],
        "components": {"schemas": SCHEMAS},
    }
