"""What may stand in the fields that say where an app runs: patterns of nodes, how many instances a node gets, and whether there
is one on each. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from duckconf.errors import BadInput, Fault
from duckconf.kinds import Number, Word, encodable, shown
from duckconf.patterns import ALL, check_pattern

LONGEST_PATTERN = 1000
REPLICATED = "replicated"
GLOBAL = "global"
# Fields of an app whose number of instances somebody chooses.
OF_REPLICATED = ("replicas", "max_per_node")
MOST_PER_NODE = 10_000
# What of the Compose Spec's constraints a pattern can say.
CONSTRAINT = re.compile(r"node\.hostname\s*(?P<sign>==|!=)\s*(?P<name>[a-zA-Z0-9][a-zA-Z0-9_.-]*)")


def _pattern(value: object) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_PATTERN or not value.isprintable() or not encodable(value):
        raise ValueError("should be a pattern of nodes such as web:!node-3")
    try:
        check_pattern(value)
    except BadInput as bad:
        raise ValueError(f"should be a pattern of nodes such as web:!node-3: {bad.faults[0].message}") from None
    return value


class On(Word):
    """A pattern, or the Compose Spec's list of constraints that all hold."""

    def check(self, path: str, value: object, faults: list[Fault]) -> str:
        if isinstance(value, (list, tuple)):
            return _constraints(path, value, faults)
        return str(super().check(path, value, faults))


def _constraints(path: str, entries: Sequence[object], faults: list[Fault]) -> str:
    found = [
        (index, CONSTRAINT.fullmatch(entry.strip()) if isinstance(entry, str) else None, entry)
        for index, entry in enumerate(entries)
    ]
    rule = "should be node.hostname==NODE or node.hostname!=NODE; for anything else give the nodes a group and use on"
    faults += [Fault(f"{path}/{index}", f"{rule}, got {shown(entry)}") for index, match, entry in found if match is None]
    matches = [match for _, match, _ in found if match is not None]
    names = [match["name"] for match in matches if match["sign"] == "=="]
    first = names[:1] or ([ALL] if matches else [])
    return ":".join(
        [*first, *(f"&{name}" for name in names[1:]), *(f"!{match['name']}" for match in matches if match["sign"] == "!=")]
    )


def _most(value: object) -> int:
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 9 else value
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= MOST_PER_NODE:
        return number
    raise ValueError(f"should be a whole number from 0 to {MOST_PER_NODE}")


def _mode(value: object) -> str:
    if value in (REPLICATED, GLOBAL):
        return str(value)
    raise ValueError(f"should be {REPLICATED} (`replicas` instances) or {GLOBAL} (one on each node that it may run on)")


def faults_in(values: Mapping[str, Any], typed: Mapping[str, str]) -> list[Fault]:
    """The fields that mode global has no use for, as they were typed."""
    wrong = [name for name in OF_REPLICATED if name in values] if values.get("mode") == GLOBAL else []
    what = "cannot be given with mode global, which runs one instance on each node that it may run on (on); omit it, or set mode"
    return [Fault(typed.get(name, name), f"{what} {REPLICATED}") for name in wrong]


ON_KIND = On(_pattern, {"type": ["string", "array"], "items": {"type": "string"}})
MODE_KIND = Word(_mode, {"enum": [REPLICATED, GLOBAL]})
MOST_KIND = Number(_most, {"type": ["integer", "string"], "minimum": 0, "maximum": MOST_PER_NODE}, blank=0)
