"""What the scheduler decides, as values that can be printed and sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Schedule(NamedTuple):
    """Bindings as `PUT /apps` takes them, and for the instances that fit nowhere the reason."""

    bindings: tuple[dict[str, Any], ...]
    reasons: Mapping[str, str]
