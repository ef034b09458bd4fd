"""What a process with open connections saw of the nodes, as JSON for a task that asks it instead of connecting itself. Pure.

A failure keeps its class, because what can be done about it depends on that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Union

from duckconf.engine_output import Container
from duckconf.errors import (
    EngineUnavailable,
    HostKeyRefused,
    LoginRefused,
    NodeFailure,
    NotSupported,
    Unreachable,
    Unreadable,
)  # fmt: skip
from duckconf.facts import Facts, facts_from_json
from duckconf.inventory import Host

KINDS: Mapping[str, type[NodeFailure]] = {
    kind.__name__: kind
    for kind in (Unreachable, LoginRefused, NotSupported, HostKeyRefused, EngineUnavailable, Unreadable, NodeFailure)
}


@dataclass(frozen=True)
class Observation:
    """By node: its containers or why they are unknown, what is known of the machine, and how many seconds ago that was asked.
    The containers were asked for just now."""

    seen: Mapping[str, Union[tuple[Container, ...], NodeFailure]] = field(default_factory=dict)
    facts: Mapping[str, Facts] = field(default_factory=dict)
    ages: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "seen": {
                node: _failure(found) if isinstance(found, NodeFailure) else [*map(vars, found)]
                for node, found in self.seen.items()
            },
            "facts": {node: known.to_json() for node, known in self.facts.items()},
            "ages": dict(self.ages),
        }


def fingerprint(host: Host) -> str:
    """The same for two processes whose inventories say the same of a host, but for its passwords."""
    return hashlib.sha256(repr(host).encode()).hexdigest()[:16]


def observation_from_json(data: Any) -> Observation:
    """Raises ValueError, TypeError, KeyError or AttributeError for something that is none."""
    return Observation(
        {
            str(node): _failed(node, found) if isinstance(found, dict) else _containers(found)
            for node, found in data["seen"].items()
        },
        {str(node): facts_from_json(known) for node, known in data["facts"].items()},
        {str(node): float(age) for node, age in data["ages"].items()},
    )


def _failure(failure: NodeFailure) -> dict[str, str]:
    kind = next(kind for kind in type(failure).__mro__ if kind.__name__ in KINDS)
    return {"kind": kind.__name__, "reason": failure.reason, "remedy": failure.remedy}


def _failed(node: str, data: Mapping[str, str]) -> NodeFailure:
    return KINDS[data["kind"]](node, data["reason"], data["remedy"])


def _containers(rows: Any) -> tuple[Container, ...]:
    """The process may be of another version, whose containers have more that is known of them."""
    known = [item.name for item in fields(Container)]
    found = [{name: row[name] for name in known if name in row} for row in rows]
    return tuple(Container(**{**row, "ports": tuple(row["ports"])}) for row in found)
