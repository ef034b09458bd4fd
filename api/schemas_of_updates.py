"""What requests and answers about updates look like: JSON schemas."""

from __future__ import annotations

from typing import Any

TEXT = {"type": "string"}
BY_SLOT: dict[str, Any] = {"type": "object", "additionalProperties": TEXT}


def refer(schema: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{schema}"}


OF_UPDATES: dict[str, Any] = {
    "History": {
        "type": "object",
        "required": ["app", "revisions"],
        "properties": {"app": TEXT, "revisions": {"type": "array", "items": refer("Revision")}},
    },
    "Revision": {
        "type": "object",
        "required": ["number", "spec", "outcome", "app"],
        "properties": {
            "number": {"type": "integer"},
            "spec": {**TEXT, "description": "Its hash."},
            "declared": {**TEXT, "description": "Its hash without the revisions of its secrets."},
            "outcome": {"type": "string", "enum": ["", "done", "failed"], "description": "Empty while it is rolled out."},
            "why": {**TEXT, "description": "Why it failed."},
            "since": {"type": "number", "description": "Seconds since the epoch."},
            "app": {"type": "object", "description": "Its fields."},
            "image_id": {**TEXT, "description": "The image that all its instances run, once that is known."},
            "digests": {"type": "array", "items": TEXT, "description": "The names with digest by which it can be pulled."},
        },
    },
    "Rollouts": {
        "type": "object",
        "required": ["revision", "rollouts"],
        "properties": {
            "revision": {"type": "integer"},
            "rollouts": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "app": TEXT,
                        "revision": {**TEXT, "description": "Of its row."},
                        "declared": {"type": "object", "description": "Its fields."},
                        "history": {"type": "array", "items": refer("Revision")},
                        "slots": {"type": "object", "additionalProperties": refer("SlotSeen")},
                        "meant": {**BY_SLOT, "description": "By slot, the hash of the spec that it was placed to run."},
                        "note": {**TEXT, "description": "How far it is."},
                        "said": {**TEXT, "description": "What an instance that failed printed last."},
                    },
                },
            },
        },
    },
    "SlotSeen": {
        "type": "object",
        "properties": {
            "spec": {**TEXT, "description": "The hash of the spec that it runs; empty without a node."},
            "ready_for": {"type": ["number", "null"], "description": "For how many seconds it has been ready."},
            "serves": {"type": "boolean", "description": "Whether any container of it is ready."},
            "alive": {"type": "boolean", "description": "Whether any container of it runs."},
            "failure": {**TEXT, "description": "Why its node cannot bring it up."},
            "refused": {**TEXT, "description": "Why a node refuses the present spec."},
            "able": {"type": "boolean", "description": "Whether something can be done about it now."},
        },
    },
    "Decisions": {
        "type": "object",
        "required": ["rollouts"],
        "properties": {
            "rollouts": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["app", "revision", "slots", "history", "note", "said"],
                    "properties": {
                        **dict.fromkeys(("app", "revision", "note", "said"), TEXT),
                        "slots": BY_SLOT,
                        "history": {"type": "array", "items": refer("Revision")},
                    },
                },
            }
        },
    },
    "Decided": {
        "type": "object",
        "properties": {"decided": {"type": "integer"}, "refused": {"type": "object", "additionalProperties": TEXT}},
    },
    "Takeover": {
        "type": "object",
        "required": ["apps", "data"],
        "properties": {
            "apps": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["app", "nodes", "slots", "ended", "history"],
                    "properties": {
                        "app": {"type": "object", "description": "Its fields."},
                        "nodes": {"type": "array", "items": TEXT, "description": "By slot, empty for the scheduler to choose."},
                        "slots": {**BY_SLOT, "description": "The hash of the spec that each slot runs."},
                        "ended": {**BY_SLOT, "description": "How jobs have ended."},
                        "history": {"type": "array", "items": refer("Revision")},
                    },
                },
            },
            "data": {"type": "object", "description": "As `GET /data` has it."},
        },
    },
    "Rollback": {
        "type": "object",
        "additionalProperties": False,
        "properties": {"to": {"type": "integer", "description": "A revision; the last that served by default."}},
    },
}
