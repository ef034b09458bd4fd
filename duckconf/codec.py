"""An app as JSON and as a hash. Equal specs give equal bytes, whatever order they were written in."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from duckconf.durations import seconds_in
from duckconf.errors import BadInput
from duckconf.model import DECLARED, DEFAULTS, SPEC_FIELDS, App, parse_app

# Of podman and docker, in seconds.
USUAL_GRACE = 10.0
# Where an app, which never changes, keeps the hash that was once taken of it.
_KEPT = "_spec_hash"


def to_json(app: App) -> dict[str, Any]:
    """The fields that were set, as `parse_app` takes them."""
    values = vars(app)
    return {name: DECLARED[name].kind.plain(values[name]) for name, usual in DEFAULTS.items() if values[name] != usual}


def spec_hash(app: App) -> str:
    """16 hex digits that change with anything that a running container cannot take on: not with name or placement."""
    known: str | None = vars(app).get(_KEPT)
    return known if known is not None else hashed_as(app, _hash(manifest(app)))


def hashed_as(app: App, spec: str) -> str:
    """The hash of an app of which it is known already."""
    vars(app)[_KEPT] = spec
    return spec


def runs_as(app: App, spec: str, label: str) -> bool:
    """Whether a container with these labels is what the app asks for, also when that was written in other words: `1024m`
    and `1g` have different hashes."""
    return spec == spec_hash(app) or (label != "" and _meaning_of(label) == meaning(app))


def meaning(app: App) -> Mapping[str, object]:
    """Equal for two apps that make the same container."""
    return {name: DECLARED[name].kind.meaning(getattr(app, name)) for name in SPEC_FIELDS if getattr(app, name)}


def _meaning_of(label: str) -> Mapping[str, object] | None:
    app = app_of_label(label)
    return meaning(app) if app is not None else None


def app_of_label(label: str) -> App | None:
    """The app that a container's manifest describes; None when it is not ours to read."""
    try:
        return read_manifest(label)
    except (BadInput, ValueError):
        return None


def stop_grace(label: str) -> float:
    """The seconds that a container with this manifest may take to stop; the engine's own where it says none."""
    try:
        grace = read_manifest(label).stop_grace_period if label else ""
    except (BadInput, ValueError):
        grace = ""
    return seconds_in(grace) if grace else USUAL_GRACE


def revision(app: App) -> str:
    """16 hex digits that change whenever the app or its placement does."""
    return _hash(_canonical(app, [name for name in DECLARED if name != "name"]))


def manifest(app: App) -> str:
    """The spec as canonical JSON, without name, number and placement: what the hash is taken of, and `parse_app` reads back."""
    return _canonical(app, SPEC_FIELDS)


def _canonical(app: App, names: Collection[str]) -> str:
    fields = {name: value for name, value in to_json(app).items() if name in names}
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def to_label(app: App) -> str:
    """The manifest in letters that every engine prints unchanged: docker lists labels with commas between them."""
    return base64.urlsafe_b64encode(manifest(app).encode()).decode()


def from_label(label: str) -> object:
    """What `parse_app` can read; raises ValueError for a label that is not ours."""
    return json.loads(base64.urlsafe_b64decode(label))


def read_manifest(label: str) -> App:
    """The spec that a container was made from; raises BadInput or ValueError."""
    return parse_app(from_label(label), placed=True)
