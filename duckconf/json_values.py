"""Values of decoded JSON, read as what they should be. Pure. Python takes true for 1 and makes text of everything; a caller who
sends that has made a mistake, which is told."""

from __future__ import annotations


def text(value: object) -> str:
    """Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError(f"should be text, got {value!r}")
    return value


def whole(value: object) -> int:
    """Raises ValueError. JSON has one kind of number: 3.0 is 3."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"should be a whole number, got {value!r}")
    return value


def number(value: object) -> float:
    """Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"should be a number, got {value!r}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError("should be a number that fits in 64 bits") from None
