"""Sizes as engines and the Compose Spec write them: `512m`, `1.5g`, `512MiB` or a number of bytes. Pure."""

from __future__ import annotations

import re
from decimal import Decimal

SIZE = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?) ?(?P<unit>[kKmMgGtTpP]?)(?:[iI]?[bB])?")
UNITS = "kmgtp"
# What an engine can count to.
LARGEST_SIZE = 2**63 - 1


def size_in_bytes(text: str) -> int:
    """As the engines count: every unit is a power of 1024, `512MB` too. 0 for "", which means no limit."""
    match = SIZE.fullmatch(text)
    if match is None:
        return 0
    return int(Decimal(match["number"]) * 1024 ** (UNITS.find(match["unit"].lower()) + 1 if match["unit"] else 0))
