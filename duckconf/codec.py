"""An app as JSON and as a hash. Equal specs give equal bytes, whatever order they were written in."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from duckconf.model import App


def to_json(app: App) -> dict[str, Any]:
    """The fields that were set, as `parse_app` takes them."""
    values = {item.name: getattr(app, item.name) for item in fields(app)}
    return {name: _plain(value) for name, value in values.items() if value}


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


def spec_hash(app: App) -> str:
    """16 hex digits that change with anything that a running container cannot take on; the name is not part."""
    return hashlib.sha256(manifest(app).encode()).hexdigest()[:16]


def manifest(app: App) -> str:
    """The spec as canonical JSON, without the name: what the hash is taken of, and what `parse_app` reads back."""
    spec = {name: value for name, value in to_json(app).items() if name != "name"}
    return json.dumps(spec, sort_keys=True, separators=(",", ":"))


def to_label(app: App) -> str:
    """The manifest in letters that every engine prints unchanged: docker lists labels with commas between them."""
    return base64.urlsafe_b64encode(manifest(app).encode()).decode()


def from_label(label: str) -> object:
    """What `parse_app` can read; raises ValueError for a label that is not ours."""
    return json.loads(base64.urlsafe_b64decode(label))
