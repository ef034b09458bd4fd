"""`x-duckconf` of a service: fields of the app that Compose has no key for. They stand over what the other keys say; null is as
if nothing was said. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from duckconf.compose import canonical
from duckconf.compose_file.tree import Node, plain
from duckconf.model import FIELDS

OWN = "x-duckconf"
# What a service has by its place in the file.
BY_PLACE = ("name", "stack", "image")


def with_own_fields(body: Mapping[str, Any], service: Node) -> Mapping[str, Any]:
    """The body of an app with what `x-duckconf` says; a mapping there changes the keys that it has."""
    own = service.entries.get(OWN)
    if own is None or not own.entries:
        return body
    told, under = canonical(body), {key: plain(value) for key, value in own.entries.items()}
    both = {key: (told.get(key), value) for key, value in under.items()}
    merged = {
        key: {**before, **value} if isinstance(before, Mapping) and isinstance(value, Mapping) else value
        for key, (before, value) in both.items()
    }
    return {**told, **merged}


def strange_fields(service: Node) -> Iterator[tuple[tuple[str, ...], str]]:
    """What cannot stand there: its path, and why."""
    own = service.entries.get(OWN)
    if own is not None and not own.entries and own.value not in (None, {}):
        yield (OWN,), 'should be a mapping of fields of an app, such as {"on": "web"}'
    for key in own.entries if own is not None else ():
        if key not in FIELDS or key in BY_PLACE:
            yield (OWN, key), "is no field that x-duckconf may have; docs/fields.md has the list"
