"""What requests and answers look like: JSON schemas, for the API's description. An app's fields come from their declaration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.openapi_rebalance import SCHEMA
from api.schemas_of_updates import OF_UPDATES, TEXT, refer
from duckconf.compose import ALIASES, DEPLOY
from duckconf.model import DECLARED, FIELDS


def _field(name: str) -> dict[str, Any]:
    declared = DECLARED[name]
    return {**declared.kind.schema(), "description": declared.help, "examples": [declared.example]}


FIELD_SCHEMAS: dict[str, Any] = {name: _field(name) for name in FIELDS}
NAMES_OF_COMPOSE = {
    alias: {**_field(name), "description": f"Another name of {name}; only one of them may be given."}
    for alias, name in ALIASES.items()
}


def _nested(paths: Mapping[str, str]) -> dict[str, Any]:
    """An object with these fields at these paths below it."""
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    for first in dict.fromkeys(path.partition("/")[0] for path in paths):
        inside = {path.partition("/")[2]: name for path, name in paths.items() if path.startswith(f"{first}/")}
        schema["properties"][first] = _nested(inside) if inside else _field(paths[first])
    return schema


IN_DEPLOY: dict[str, Any] = {**_nested(DEPLOY), "description": "Fields where Compose has them."}
APP: dict[str, Any] = {
    "type": "object",
    "description": "An app. The body of a Compose service is one, too: docs/compose.md.",
    "required": ["image"],
    "additionalProperties": False,
    "patternProperties": {"^x-": {}},
    "properties": {**FIELD_SCHEMAS, **NAMES_OF_COMPOSE, "deploy": IN_DEPLOY},
}

SKIPPED: dict[str, Any] = {
    "skipped": {"type": "array", "items": {"type": "string"}, "description": "Skipped nodes, in order."},
    "reasons": {"type": "object", "additionalProperties": {"type": "string"}, "description": "The reason for each skipped node."},
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


COUNT = {"type": ["integer", "null"]}
FACTS: dict[str, Any] = {
    "engine": {"type": ["string", "null"], "enum": ["podman", "docker", None]},
    "engine_version": {"type": ["string", "null"]},
    "engine_root": {"type": ["string", "null"], "description": "The folder of its images and containers."},
    **{size: {**COUNT, "description": "Bytes."} for size in ("disk_free", "disk_total", "memory_free", "memory_total")},
    "load": {"type": ["number", "null"], "description": "Load average of the last minute."},
    "cores": COUNT,
    "architecture": {"type": ["string", "null"], "description": "As images spell it, such as amd64."},
    "machine": {"type": ["string", "null"], "description": "Identifies the machine; equal for two nodes on one machine."},
    "node_name": {"type": ["string", "null"], "description": "The name that the role gave to the machine."},
}
# Of an agent of another version, too.
HEARD = {**FACTS, "engine": {"type": ["string", "null"]}}
# Of one container. An app as a whole tells them of its first instance that does not run, or else of its first.
OF_THE_WORST = "Of the first instance that is neither running nor done, or else of the first that runs."
OBSERVED: dict[str, dict[str, Any]] = {
    "node": {**TEXT, "description": "The node on which it is placed; empty if it is not placed."},
    "status": {
        **TEXT,
        "description": "The state of the container, or pending, starting, backoff, unreachable, unreadable, lost, done or "
        "failed (CODE).",
        "examples": ["running"],
    },
    "container": {**TEXT, "description": "The name of the container."},
    "generation": {"type": "integer", "description": "The revision of the placement."},
    "started": {"type": "number", "description": "Seconds since the epoch."},
    "restarts": {"type": "integer", "description": "Restarts since its spec changed."},
    "published": {"type": "array", "items": TEXT, "description": "Its ports on the node, those that the engine chose too."},
    "health": {**TEXT, "enum": ["starting", "healthy", "unhealthy"], "description": "The verdict of its check, if it has one."},
    "image_id": {**TEXT, "description": "The image that its container runs."},
    "digest": {**TEXT, "description": "The digest by which that was pulled; empty if it is not known."},
    "serves": {**TEXT, "description": "Where its container runs on although it is not placed."},
    "note": {**TEXT, "description": "Why the observed state is not the desired one."},
    "refused": {**TEXT, "description": "Why the engine of its node refuses it."},
}
ENCODED = {
    **TEXT,
    "contentEncoding": "base64",
    "pattern": "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
}
TOLD = {**TEXT, "maxLength": 1999}
# Only true; generators of clients stumble over a constant that is no text.
YES = {"type": "boolean", "not": {"const": False}}
SCHEMAS: dict[str, Any] = {
    "Rebalance": SCHEMA,
    "App": APP,
    "Stack": {
        "type": "object",
        "required": ["apps"],
        "properties": {"apps": {"type": "object", "additionalProperties": refer("App")}},
        "description": "The apps of a stack by name.",
    },
    "Problem": PROBLEM,
    "Started": {
        "type": "object",
        "required": ["app", "node"],
        "properties": {
            "app": TEXT,
            "node": TEXT,
            **SKIPPED,
            "instances": {
                "type": "array",
                "items": {"type": "object", "properties": {"app": TEXT, "node": TEXT}},
                "description": "All that were started, when several were asked for.",
            },
        },
    },
    "Declared": {"type": "object", "required": ["app", "revision"], "properties": {"app": TEXT, "revision": TEXT}},
    "Changes": {
        **APP,
        "required": [],
        "description": "Fields of an app; null removes one.",
        "properties": {name: {"anyOf": [field, {"type": "null"}]} for name, field in APP["properties"].items()},
    },
    "Shown": {
        "type": "object",
        "required": ["name", "image", "revision", "node", "status", "running", "instances"],
        "properties": {
            **FIELD_SCHEMAS,
            "revision": {"type": "string", "description": "Changes when the app changes."},
            **{name: {**field, "description": f"{field['description']} {OF_THE_WORST}"} for name, field in OBSERVED.items()},
            "running": {"type": "integer", "description": "How many instances run."},
            "updated": {"type": "integer", "description": "How many instances have the present spec."},
            "rollout": {**TEXT, "description": "How far its update is, while it is not done."},
            "instances": {"type": "array", "items": refer("Instance")},
        },
    },
    **OF_UPDATES,
    "Instance": {
        "type": "object",
        "required": ["slot", "node", "status"],
        "properties": {"slot": {"type": "integer", "minimum": 1}, **OBSERVED},
    },
    "Apps": {
        "type": "object",
        "required": ["revision", "apps"],
        "properties": {
            "revision": {"type": "integer"},
            "apps": {"type": "array", "items": refer("Shown")},
            "moves": {
                "type": "array",
                "items": refer("Shown"),
                "description": "With an empty nodeName: the instance that should leave its node next.",
            },
            "everywhere": {
                "type": "array",
                "items": {"type": "object"},
                "description": "With an empty nodeName: the apps of mode global, each with the node of each slot in `slots`.",
            },
            "faults": {"type": "array", "items": TEXT, "description": "Rows of the file that cannot be read, with line numbers."},
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
                    "properties": {
                        "name": TEXT,
                        "node": TEXT,
                        "slot": {"type": "integer", "minimum": 1, "description": "The instance; 1 by default."},
                        "revision": {**TEXT, "description": "Place the app only at this revision."},
                    },
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
            "status": {"type": "string", "enum": ["ready", "suspect", "unreachable", "unreadable"]},
            "heartbeat": {"type": "number", "description": "Seconds since the epoch, 0 for never."},
            "age": {"type": "number", "description": "Seconds since the last heartbeat, by the server's clock."},
            "apps": {"type": "integer"},
            "cordoned": {"type": "boolean"},
            "full": {"type": "boolean", "description": "Its disk was full a short time ago; it gets no new apps."},
            "ports": {"type": "array", "items": TEXT, "description": "Host ports of the apps placed here."},
            "zone": {**TEXT, "description": "Apps are spread over zones first; empty for none."},
            "reserved": {
                "type": "object",
                "properties": {"cpus": {"type": "number"}, "memory": {"type": "integer"}},
                "description": "Cores and bytes of memory that are set aside for the instances placed here.",
            },
            "refusals": {"type": "array", "items": refer("Refusal"), "description": "Apps that its engine refuses for now."},
            "unreadable": {"type": "string", "description": "Why its agent cannot read what its engine answers."},
            **FACTS,
        },
    },
    "Refusal": {
        "type": "object",
        "required": ["app", "spec", "kind", "reason", "wait"],
        "properties": {
            **dict.fromkeys(("app", "spec", "kind", "reason"), TEXT),
            "words": {**TEXT, "description": "The message of the engine."},
            "wait": {"type": "number", "description": "Seconds until the app may be placed there again."},
            "strikes": {"type": "integer", "description": "Refusals in a row."},
        },
    },
    "Nodes": {
        "type": "object",
        "properties": {"revision": {"type": "integer"}, "nodes": {"type": "array", "items": refer("Node")}},
    },
    "SecretValue": {
        "type": "object",
        "required": ["value"],
        "additionalProperties": False,
        "properties": {
            "value": {**ENCODED, "minLength": 4, "maxLength": 87_384, "description": "64 KiB at most, decoded."},
            "salt": {**ENCODED, "description": "Of a value that had a revision elsewhere, to keep it."},
        },
    },
    "SecretSet": {
        "type": "object",
        "properties": {
            **dict.fromkeys(("secret", "revision"), TEXT),
            "changed": {"type": "boolean", "description": "False if it had this value before."},
            "apps": {"type": "array", "items": TEXT, "description": "The apps that use it."},
        },
    },
    "Secrets": {
        "type": "object",
        "properties": {
            "secrets": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "name": TEXT,
                        "revision": {**TEXT, "description": "Changes with the value and says nothing about it."},
                        "since": {"type": "number", "description": "Seconds since the epoch."},
                        "apps": {"type": "array", "items": TEXT, "description": "The apps that use it."},
                    },
                },
            }
        },
    },
    "Cordon": {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": {
            "cordoned": {"type": "boolean"},
            "draining": {**YES, "description": "The loop moves its apps to other nodes (reconcile)."},
            "frozen": {"type": "boolean", "description": "Freeze a demo host, or thaw it."},
        },
    },
    "NodeChange": {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": {
            "cordoned": {"type": "boolean"},
            "draining": {**YES, "description": "The node is cordoned, and its apps move to other nodes."},
            "again": {**YES, "description": "The node tries at once again what its engine has refused."},
        },
    },
    "Heartbeat": {
        "type": "object",
        "required": ["instance"],
        "properties": {
            "instance": {**TEXT, "description": "Identifies the agent, so that two agents with one name are detected."},
            "containers": {"type": "array", "items": {"type": "object", "required": ["app", "container", "state"]}},
            "refusals": {"type": "array", "items": refer("Refusal"), "description": "Apps that its engine refuses for now."},
            "facts": {"type": "object", "properties": HEARD, "description": "Cores, memory, free disk and load of the node."},
        },
    },
    "Told": {
        "type": "object",
        "required": ["events"],
        "properties": {
            "events": {
                "type": "array",
                "maxItems": 200,
                "items": {
                    "type": "object",
                    "required": ["kind"],
                    "properties": {
                        **dict.fromkeys(("message", "app", "instance", "node", "source"), TOLD),
                        "kind": {**TOLD, "minLength": 1},
                    },
                },
            }
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
                        **dict.fromkeys(("kind", "message", "app", "instance", "node", "source", "id"), TEXT),
                        "apps": {"type": "array", "items": TEXT, "description": "All that it is about, if it is several."},
                    },
                },
            },
        },
    },
}
