"""The body of `GET /picture` as a JSON schema, from the values that it is made of. In each part, what is empty is left out."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from duckconf.picture import AppSeen, Call, InstanceSeen, NodeSeen, Process, Step

KINDS = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "Sequence[str]": {"type": "array", "items": {"type": "string"}},
}
PARTS: dict[str, tuple[type, str]] = {
    "processes": (Process, "The processes of the control plane, by name."),
    "nodes": (NodeSeen, "By name; `heard` is when it last answered or sent a heartbeat."),
    "apps": (AppSeen, "What is desired, by name, and how much of it there is."),
    "instances": (InstanceSeen, "By name; those without a node wait, for the reason in `note`."),
    "steps": (Step, "What sensor, setpoint, comparator and actuator did last."),
    "calls": (Call, "What is being done on a node now."),
}


def _part(kind: Any, words: str) -> dict[str, Any]:
    values = {"type": "object", "properties": {item.name: KINDS[str(item.type)] for item in fields(kind)}}
    return {"type": "object", "description": words, "additionalProperties": values}


PICTURE: dict[str, Any] = {
    "type": "object",
    "required": ["cluster", "mode", "timeout", *PARTS, "faults", "now"],
    "properties": {
        "cluster": {"type": "string"},
        "mode": {"type": "string"},
        "timeout": {"type": "number", "description": "node_timeout in seconds; 0 in push mode."},
        **{name: _part(*part) for name, part in PARTS.items()},
        "faults": {"type": "array", "items": {"type": "string"}, "description": "What of the desired state cannot be read."},
        "now": {"type": "number", "description": "The server's clock; all times are in seconds since the epoch."},
    },
}
