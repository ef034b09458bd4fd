"""What is declared of each field of an app. Pure: `model.py` declares them, and everything about fields derives from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from duckconf.kinds import Kind
from duckconf.wire import Wire

# A change of the spec makes new containers; a change of the other parts replaces none.
SPEC = "spec"
SERVICE = "service"
PLACED = "placed"
# Of the container too, but found out by the control plane and never typed.
RESOLVED = "resolved"


@dataclass(frozen=True)
class Declaration:
    """One field. `option` is the option of `start-app`, `flag` that of the engine; "" if there is none. A field that is put
    together from several options has the key that each of them sets in `options`. `part` says what it is about: the container
    (SPEC, RESOLVED), the app as a set of containers (SERVICE), or where it runs (PLACED). `wire` is how the engine's HTTP API
    takes what `flag` says; an app with a field that has none is started by a command. `found_from` is the field of a request
    that a RESOLVED one follows from."""

    kind: Kind
    help: str
    example: object
    option: str = ""
    flag: str = ""
    part: str = SPEC
    options: Mapping[str, str] = field(default_factory=dict)
    wire: Wire | None = None
    found_from: str = ""


KEY = "declaration"


def required(*args: Any) -> Any:
    """A field that must be given, with its `Declaration`."""
    return field(metadata={KEY: Declaration(*args)})


def given(kind: Kind, *args: Any, **more: Any) -> Any:
    """A field that need not be given."""
    metadata = {KEY: Declaration(kind, *args, **more)}
    empty = kind.empty()
    if isinstance(empty, dict):
        return field(default_factory=dict, metadata=metadata)
    return field(default=empty, metadata=metadata)
