"""The API of a mode described for programs, OpenAPI 3.1. The bodies stand in `schemas.py`."""

from __future__ import annotations

from typing import Any

from api.openapi_agents import AGENTS, ROLLOUTS
from api.openapi_data import DATA
from api.openapi_front import EDGES, FRONT
from api.openapi_hands import ANSWERS, FAILURES, HANDS, PLACE
from api.openapi_leases import LEASES
from api.openapi_parts import (
    APPS,
    COUNT,
    FORM,
    IF_MATCH,
    NAME,
    NO_NODE,
    NODE,
    SECRET,
    UNREADABLE,
    WAIT,
    answer,
    parameter,
    problem,
    takes,
)
from api.openapi_rebalance import REBALANCE, REFUSED, SCHEDULED
from api.schemas import SCHEMAS
from api.schemas_of_picture import PICTURE
from api.schemas_of_push import PUSHED_APP
from api.schemas_of_updates import refer
from duckconf.version import VERSION

CURSOR = {"type": "string", "pattern": "^[0-9]{1,18}-[0-9]{1,18}$", "examples": ["1234-0"]}
CONFIRM = {
    "post": {
        "summary": "Apply a manual edit that withdraws most apps and waits; `confirmed` is false if no edit waits.",
        "responses": {"200": answer("Done.", {"type": "object"}), **UNREADABLE},
    }
}

SESSION = {
    "post": {
        "summary": "A session for a browser: a short-lived cookie in place of the operator's token.",
        "responses": {"200": answer("The cookie, and for how many seconds it is valid.", {"type": "object"})},
    },
    "delete": {"summary": "End the session.", "responses": {"200": answer("It has ended.", {"type": "object"})}},
}
OPERATIONS: dict[str, Any] = {
    "/healthz": {"get": {"summary": "Is the server alive?", "responses": {"200": answer("Yes.", {"type": "object"})}}},
    "/readyz": {
        "get": {
            "summary": "Is the server ready?",
            "responses": {
                "200": answer("Yes.", {"type": "object"}),
                "503": answer("No: all nodes are unreachable, or the state cannot be read.", {"type": "object"}),
            },
        }
    },
    "/events": {
        "get": {
            "summary": "Events, oldest first.",
            "parameters": [
                parameter("since", CURSOR, "The cursor of an earlier answer; only later events are returned."),
                parameter("limit", COUNT, "Without `since`: the number of newest events, 100 by default."),
                WAIT,
            ],
            "responses": {
                "200": {
                    "description": "Events; with `Accept: text/event-stream`, a stream of the events and of the picture.",
                    "content": {
                        "application/json": {"schema": refer("Events")},
                        "text/event-stream": {"schema": {"type": "string"}},
                    },
                },
                "422": problem("A parameter is wrong."),
            },
        }
    },
    "/picture": {
        "get": {
            "operationId": "getPicture",
            "summary": "The whole cluster as it is now: control plane, nodes, instances, rollouts, and the loop's four steps.",
            "responses": {"200": answer("The picture.", PICTURE), "422": problem("A parameter is wrong.")},
        }
    },
    "/": {
        "get": {
            "summary": "The web page, for a browser.",
            "responses": {
                "200": {"description": "HTML.", "content": {"text/html": {"schema": {"type": "string"}}}},
                "404": problem("The caller does not ask for HTML."),
            },
        }
    },
    "/page/{name}": {
        "get": {
            "summary": "A file of the web page.",
            "parameters": [parameter("name", {"type": "string"}, "The file.", "path")],
            "responses": {
                "200": {"description": "The file.", "content": {"text/*": {"schema": {"type": "string"}}}},
                "404": problem("No such file."),
            },
        }
    },
    "/metrics": {
        "get": {
            "summary": "Counters in Prometheus' format.",
            "responses": {"200": {"description": "Text.", "content": {"text/plain": {"schema": {"type": "string"}}}}},
        }
    },
    "/openapi.json": {"get": {"summary": "This document.", "responses": {"200": answer("OpenAPI 3.1.", {"type": "object"})}}},
}

PUSH: dict[str, Any] = {
    "/app/start": {
        "post": {
            "operationId": "startApp",
            "summary": "Start an app on the next node (round-robin).",
            "requestBody": takes("App"),
            "responses": {
                **FORM,
                "201": answer("The app runs.", refer("Started")),
                "409": problem("A port or name is in use; the message of the engine."),
                "422": problem("A field is wrong, or the engine refuses the app (no such image)."),
                "503": problem("No node is reachable."),
            },
        }
    },
    "/node/{node}/container/{container}": {
        "delete": {
            "operationId": "stopContainer",
            "summary": "Stop a container with its normal grace, and remove it.",
            "parameters": PLACE,
            "responses": {**FAILURES, "200": answer("It is gone.", {"type": "object"})},
        }
    },
}

APP: dict[str, Any] = {
    "get": {
        "operationId": "getApp",
        "parameters": [NAME],
        "responses": {"200": answer("The app; its revision is the ETag.", refer("Shown")), "404": problem("No such app.")},
    },
    "put": {
        "operationId": "putApp",
        "summary": "Declare an app or change its fields; null removes a field. Idempotent.",
        "parameters": [NAME, IF_MATCH],
        "requestBody": takes("Changes"),
        "responses": {
            **FORM,
            **UNREADABLE,
            "200": answer("The app as it is declared now.", refer("Shown")),
            "201": answer("The app is new.", refer("Shown")),
            "409": problem("The row of the app in the file cannot be read."),
            "412": problem("The app is not at the expected revision."),
            "422": problem("A field is wrong."),
        },
    },
    "delete": {
        "operationId": "withdrawApp",
        "summary": "Withdraw an app; the loop stops it.",
        "parameters": [NAME, IF_MATCH],
        "responses": {
            **UNREADABLE,
            "200": answer("The app is no longer declared.", {"type": "object"}),
            "404": problem("No such app."),
            "412": problem("The app is not at the expected revision."),
            "422": problem("If-Match is no revision."),
        },
    },
}

RECONCILE: dict[str, Any] = {
    "/app/start": {
        "post": {
            "operationId": "declareApp",
            "summary": "Declare a new app; the loop starts it.",
            "requestBody": takes("App"),
            "responses": {
                **FORM,
                **UNREADABLE,
                "202": answer("The app is in the desired state, on disk.", refer("Declared")),
                "409": problem("An app of this name is declared already, or its row cannot be read."),
                "422": problem("A field is wrong."),
            },
        }
    },
    "/apps": APPS,
    "/app/{name}": APP,
}
RECONCILE["/app/start"] |= {
    # This address is also that of an app with this name.
    verb: {
        **call,
        "operationId": f"{call['operationId']}NamedStart",
        "summary": "As `/app/{name}`, for an app whose name is start.",
        "parameters": [one for one in call["parameters"] if one is not NAME],
    }
    for verb, call in APP.items()
}

STACK = parameter("name", {"type": "string"}, "The stack.", "path")
STACKS: dict[str, Any] = {
    "/stacks/{name}": {
        "put": {
            "operationId": "putStack",
            "summary": "Declare the apps of a stack as a whole; those that it has and that are not named are withdrawn.",
            "parameters": [STACK],
            "requestBody": takes("Stack"),
            "responses": {
                **FORM,
                **UNREADABLE,
                "200": answer("The names of the apps that are new, changed and gone.", {"type": "object"}),
                "409": problem("A name or a port of the node is taken, or a row of the file cannot be read. Nothing is changed."),
                "422": problem("A field is wrong. Nothing is changed."),
            },
        },
        "delete": {
            "operationId": "withdrawStack",
            "summary": "Withdraw all apps of a stack.",
            "parameters": [STACK],
            "responses": {
                **UNREADABLE,
                "200": answer("The names of the apps that are gone.", {"type": "object"}),
                "404": problem("No such stack."),
            },
        },
    }
}

HISTORY: dict[str, Any] = {
    "/app/{name}/history": {
        "get": {
            "operationId": "getHistory",
            "summary": "The revisions of an app, the newest last.",
            "parameters": [NAME],
            "responses": {"200": answer("Revisions.", refer("History")), "404": problem("No such app.")},
        }
    },
    "/app/{name}/rollback": {
        "post": {
            "operationId": "rollBack",
            "summary": "Declare the spec of an earlier revision again.",
            "parameters": [NAME],
            "requestBody": takes("Rollback"),
            "responses": {
                **FORM,
                **UNREADABLE,
                "200": answer("The app as it is declared now.", refer("Shown")),
                "404": problem("No such app."),
                "409": problem("No such revision."),
                "422": problem("A field is wrong."),
            },
        }
    },
}

TOKEN: list[dict[str, Any]] = [{"token": []}]
CLOSED = {"401": problem("The token is missing or wrong."), "403": problem("The token does not allow this call.")}


def _closed(paths: dict[str, Any]) -> dict[str, Any]:
    """The same calls for a server that asks who is calling."""
    return {
        path: {verb: {**call, "security": TOKEN, "responses": {**call["responses"], **CLOSED}} for verb, call in calls.items()}
        for path, calls in paths.items()
    }


DESCRIPTIONS = {
    "push": "Push mode: a request starts an app, which is not observed later.",
    "reconcile": "Reconcile mode: requests change the desired state; a control loop reconciles it.",
    "agents": "Agents mode: requests change the desired state; the scheduler places apps, agents reconcile them.",
}

NO_SECRETS = {"404": problem("The API of this mode has no secrets; the message says where they are.")}
ELSEWHERE: dict[str, Any] = {
    "/secrets": {"get": {"summary": "Refused in this mode.", "responses": NO_SECRETS}},
    "/secret/{name}": {
        verb: {"summary": "Refused in this mode.", "parameters": [SECRET], "responses": NO_SECRETS} for verb in ("put", "delete")
    },
}
NO_STACKS = {"404": problem("Push mode has no stacks.")}
NO_STACK: dict[str, Any] = {
    "/stacks/{name}": {
        verb: {"summary": "Refused in this mode.", "parameters": [STACK], "responses": NO_STACKS} for verb in ("put", "delete")
    }
}
CORDON: dict[str, Any] = {
    "/node/{name}": {
        "put": {
            "operationId": "changeNode",
            "summary": "Keep new apps off a node, let them on again, or (reconcile) have it emptied.",
            "parameters": [NODE],
            "requestBody": takes("Cordon"),
            "responses": {
                **FORM,
                "200": answer("Whether that was a change.", {"type": "object"}),
                **NO_NODE,
                "422": problem("A field is wrong, or the node is no demo host."),
                "503": problem("This server was not started beside the demo hosts."),
            },
        }
    }
}
OF_AGENTS = {
    **RECONCILE,
    **FRONT,
    **EDGES,
    **STACKS,
    **AGENTS,
    **HISTORY,
    **ROLLOUTS,
    **SCHEDULED,
    **LEASES,
    **DATA,
    **HANDS,
    **ANSWERS,
    "/apps/confirm": CONFIRM,
    "/session": SESSION,
    **OPERATIONS,
}
PATHS = {
    "push": {**PUSH, **CORDON, **HANDS, **ELSEWHERE, **NO_STACK, **REFUSED, **OPERATIONS},
    "reconcile": {
        **RECONCILE,
        **CORDON,
        **HANDS,
        **FRONT,
        **STACKS,
        **HISTORY,
        **REBALANCE,
        "/apps/confirm": CONFIRM,
        **ELSEWHERE,
        **OPERATIONS,
    },
    "agents": {
        **_closed(OF_AGENTS),
        **{path: OPERATIONS[path] for path in ("/healthz", "/", "/page/{name}")},
    },
}
PATHS["agents"]["/events"] = {
    **PATHS["agents"]["/events"],
    "post": {
        "security": TOKEN,
        "summary": "Report events of a component.",
        "requestBody": takes("Told"),
        "responses": {
            **FORM,
            **CLOSED,
            "200": answer("How many, and the id that each goes back to.", {"type": "object"}),
            "422": problem("An event is none."),
        },
    },
}


SECURITY = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "Of the operator, or of one node."}}}


def document(mode: str) -> dict[str, Any]:
    """The whole description of one mode's API."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Duckconf API", "version": VERSION, "description": DESCRIPTIONS[mode]},
        "paths": PATHS[mode],
        "components": {
            "schemas": {**SCHEMAS, "App": PUSHED_APP if mode == "push" else SCHEMAS["App"]},
            **(SECURITY if mode == "agents" else {}),
        },
    }
