"""Which slot of an app belongs on which node, as `PUT /apps` is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from duckconf.errors import BadInput, Fault


class Binding(NamedTuple):
    """Slot `slot` of an app belongs on `node`, "" for none. `revision` is what the app should be at, "" for any. Where it
    `stops_first`, its old copy ends before the new one starts."""

    name: str
    slot: int
    node: str
    revision: str
    stops_first: bool = False


def by_app(bindings: Iterable[Binding]) -> dict[str, list[Binding]]:
    found: dict[str, list[Binding]] = {}
    for binding in bindings:
        found.setdefault(binding.name, []).append(binding)
    return found


def read_bindings(data: object) -> list[Binding]:
    """From {"apps": [{"name", "node", "slot"?, "revision"?}, …]}; raises BadInput."""
    entries = data.get("apps") if isinstance(data, Mapping) else None
    if not isinstance(entries, list):
        raise BadInput(Fault("apps", 'should be a list such as [{"name": "web", "node": "node-1"}]'))
    faults: list[Fault] = []
    found = []
    for number, entry in enumerate(entries):
        told = entry if isinstance(entry, Mapping) else {}
        texts, slot = [told.get("name"), told.get("node"), told.get("revision", "")], told.get("slot", 1)
        if all(isinstance(text, str) for text in texts) and isinstance(slot, int) and not isinstance(slot, bool) and slot > 0:
            found.append(Binding(str(texts[0]), slot, str(texts[1]), str(texts[2]), told.get("stops_first") is True))
        else:
            what = 'should be {"name", "node"} and perhaps "revision", all text, and perhaps "slot", a number from 1 on'
            faults.append(Fault(f"apps/{number}", what))
    if faults:
        raise BadInput(*faults[:10])
    return found
