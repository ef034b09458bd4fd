"""The calls of agents mode that the other modes do not have, and those that mean more there."""

from __future__ import annotations

from typing import Any

from api.openapi_parts import APPS, FORM, NO_NODE, NODE, REVISION, SECRET, UNREADABLE, WAIT, answer, problem, takes
from api.schemas_of_updates import refer

ROLLOUTS: dict[str, Any] = {
    "/rollouts": {
        "get": {
            "operationId": "listRollouts",
            "summary": "For the scheduler: the apps whose update is not done, with what is seen of each slot.",
            "parameters": [REVISION, WAIT],
            "responses": {"200": answer("Updates.", refer("Rollouts")), "422": problem("A parameter is wrong.")},
        },
        "put": {
            "operationId": "decideRollouts",
            "summary": "For the scheduler: the spec that each slot runs from now on, and the revisions with their outcomes.",
            "requestBody": takes("Decisions"),
            "responses": {
                **FORM,
                **UNREADABLE,
                "200": answer("What was kept; apps that have changed since they were read are named.", refer("Decided")),
                "422": problem("A decision is wrong."),
            },
        },
    },
    "/takeover": {
        "put": {
            "operationId": "takeOver",
            "summary": "What another mode ran is the state from now on, all of it and nothing else.",
            "requestBody": takes("Takeover"),
            "responses": {
                **FORM,
                **UNREADABLE,
                "200": answer("The names of the apps.", {"type": "object"}),
                "422": problem("An app, its past or its data is none."),
            },
        },
    },
}

AGENTS: dict[str, Any] = {
    "/apps": {
        "get": {
            **APPS["get"],
            "summary": "All apps, for the operator; with nodeName, the apps that one agent should run.",
            "responses": {
                "200": answer(
                    "Apps; with nodeName also `kept`, the apps whose old container there must stay for now.", refer("Apps")
                ),
                **NO_NODE,
                "422": problem("A parameter is wrong."),
            },
        },
        "put": {
            "operationId": "bindApps",
            "summary": "Place many apps in one transaction.",
            "requestBody": takes("Bindings"),
            "responses": {
                **FORM,
                **UNREADABLE,
                "200": answer("The placements that were made, and those that were refused.", refer("Bound")),
                "422": problem("A placement is none, or its node is unknown or cordoned."),
            },
        },
    },
    "/nodes": {
        "get": {
            "operationId": "listNodes",
            "parameters": [REVISION, WAIT],
            "responses": {
                "200": answer("The nodes, with heartbeat ages by the server's clock.", refer("Nodes")),
                "422": problem("A parameter is wrong."),
            },
        }
    },
    "/secrets": {
        "get": {
            "operationId": "listSecrets",
            "summary": "The secrets of the cluster and the apps that use them; never a value.",
            "responses": {"200": answer("Secrets.", refer("Secrets"))},
        }
    },
    "/secret/{name}": {
        "put": {
            "operationId": "setSecret",
            "summary": "Set the value of a secret; the apps that use it are updated if it is a new one.",
            "parameters": [SECRET],
            "requestBody": takes("SecretValue"),
            "responses": {
                **FORM,
                "200": answer("The secret has this value.", refer("SecretSet")),
                "201": answer("The secret is new.", refer("SecretSet")),
                "422": problem("The name or the value is wrong."),
            },
        },
        "delete": {
            "operationId": "removeSecret",
            "parameters": [SECRET],
            "responses": {
                "200": answer("It is removed.", {"type": "object"}),
                "404": problem("No such secret."),
                "409": problem("Apps use it; they are named."),
                "422": problem("The name is wrong."),
            },
        },
    },
    "/node/{name}/secrets": {
        "get": {
            "operationId": "readSecrets",
            "summary": "For the agent of this node alone: the secrets of the apps that it should run, with their values.",
            "parameters": [NODE],
            "responses": {"200": answer("Secrets.", {"type": "object"})},
        }
    },
    "/node/{name}": {
        "put": {
            "operationId": "changeNode",
            "summary": "Cordon, uncordon or drain.",
            "parameters": [NODE],
            "requestBody": takes("NodeChange"),
            "responses": {**FORM, **NO_NODE, "200": answer("The node.", refer("Node")), "422": problem("A field is wrong.")},
        }
    },
    "/node/{name}/heartbeat": {
        "put": {
            "operationId": "heartbeat",
            "summary": "A heartbeat of an agent, with the containers that it observes.",
            "parameters": [NODE],
            "requestBody": takes("Heartbeat"),
            "responses": {
                **FORM,
                **NO_NODE,
                "200": answer(
                    "Accepted; `interval` is the time until the next heartbeat in seconds, `front` has the containers that a "
                    "front may send requests to, and `fronts_told` says whether the fronts are told of changes.",
                    {"type": "object"},
                ),
                "409": problem("Another agent uses this name; this agent must not change anything."),
                "422": problem("A field is wrong."),
            },
        }
    },
}
