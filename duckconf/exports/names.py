"""Names of objects elsewhere. Pure."""

from __future__ import annotations

import re

STRANGE = re.compile(r"[^a-z0-9.-]+")


def object_name(name: str) -> str:
    """A valid name of a Kubernetes object: volumes and secrets have underscores and capitals too."""
    return STRANGE.sub("-", name.lower()).strip("-.") or "x"
