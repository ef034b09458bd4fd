"""Which image an instance runs, as the api-server tells its node's agent and as agents tell what they found. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from duckconf.actions import Pin

ID = re.compile(r"[0-9a-f]{64}")
DIGEST = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")
MOST_DIGESTS = 20


@dataclass(frozen=True)
class ToldImage:
    """`pin` is the image to run. Until it is known, one instance is the `first`, whose node finds it out; the others have in
    `awaits` whom they wait for. `fresh` says that a registry is to be asked what the tag means now."""

    pin: Optional[Pin] = None
    awaits: str = ""
    first: bool = False
    fresh: bool = False


def told_to_json(told: ToldImage) -> dict[str, Any]:
    found: dict[str, Any] = pin_to_json(told.pin) if told.pin is not None else {}
    found |= {"awaits": told.awaits} if told.awaits else {}
    return found | ({"first": True} if told.first else {}) | ({"fresh": True} if told.fresh else {})


def told_from_json(item: Mapping[str, Any]) -> ToldImage:
    """Raises ValueError, TypeError or AttributeError for what is none."""
    pin = pin_from_json(item) if "image_id" in item else None
    return ToldImage(pin, str(item.get("awaits", "")), item.get("first") is True, item.get("fresh") is True)


def pin_to_json(pin: Pin) -> dict[str, Any]:
    return {"image_id": pin.id} | ({} if pin.digests is None else {"digests": list(pin.digests)})


def pin_from_json(item: Mapping[str, Any]) -> Pin:
    """Raises KeyError, ValueError or TypeError for what is none: an agent's word becomes other nodes' command lines."""
    image_id, told = str(item["image_id"]), item.get("digests")
    digests = None if told is None else tuple(str(one) for one in told)
    if not ID.fullmatch(image_id) or not all(DIGEST.fullmatch(one) for one in digests or ()):
        raise ValueError("should have an image's id, and its names with digest")
    return Pin(image_id, digests if digests is None else digests[:MOST_DIGESTS])
