"""What a control loop tells about itself, as JSON that tasks and the API read. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from duckconf.backoff import Tries
from duckconf.overview import AppView
from duckconf.refusal import Refusal, shifted

READY = "ready"
UNREACHABLE = "unreachable"
UNREADABLE = "unreadable"
LOST = "lost"


@dataclass(frozen=True)
class NodeView:
    """`status` is ready, unreachable (no answer in this pass), unreadable (it answers and its answer cannot be read, or the
    inventory keeps us from asking it) or lost (unreachable for longer than node_timeout). `reason` says why it is not ready."""

    status: str
    reason: str = ""
    demo: bool = False
    """Whether it is a demo host, which can be frozen."""


@dataclass(frozen=True)
class Report:
    """The state of a loop after a pass. `clock` is the loop's own, in which the tries are counted."""

    nodes: Mapping[str, NodeView] = field(default_factory=dict)
    apps: Sequence[AppView] = ()
    faults: Sequence[str] = ()
    tries: Mapping[str, Tries] = field(default_factory=dict)
    refusals: Sequence[Refusal] = ()
    clock: float = 0.0
    rollouts: Mapping[str, str] = field(default_factory=dict)
    """Of each app whose update is not done, how far it is."""

    def to_json(self) -> dict[str, Any]:
        return {
            "nodes": {name: {**vars(view)} for name, view in self.nodes.items()},
            "apps": [{**vars(view)} for view in self.apps],
            "faults": list(self.faults),
            "tries": {name: {**vars(tries)} for name, tries in self.tries.items()},
            "refusals": [{**vars(refusal)} for refusal in self.refusals],
            "clock": self.clock,
            "rollouts": dict(self.rollouts),
        }

    def full_nodes(self) -> set[str]:
        return {refusal.node for refusal in self.refusals if refusal.of_node}

    def refusals_at(self, now: float) -> dict[tuple[str, str], Refusal]:
        """The refusals on the clock of another process that begins at `now`."""
        return shifted(self.refusals, now - self.clock)

    def tries_at(self, now: float) -> dict[str, Tries]:
        """The tries on the clock of another process that begins at `now`: what was still to wait is still to wait."""
        shift = now - self.clock

        def later(past: Tries) -> Tries:
            waits = None if past.waits is None else past.waits + shift
            return replace(past, not_before=past.not_before + shift, since=past.since + shift, waits=waits)

        return {name: later(past) for name, past in self.tries.items()}


def report_from_json(data: Any) -> Report:
    """Raises ValueError, TypeError, KeyError or AttributeError for something that is no report."""
    return Report(
        {str(name): NodeView(**_known(NodeView, view)) for name, view in data["nodes"].items()},
        tuple(AppView(**_known(AppView, view)) for view in data["apps"]),
        tuple(str(fault) for fault in data["faults"]),
        {str(name): Tries(**_known(Tries, tries)) for name, tries in data["tries"].items()},
        tuple(Refusal(**_known(Refusal, refusal)) for refusal in data.get("refusals", ())),
        float(data["clock"]),
        {str(app): str(note) for app, note in data.get("rollouts", {}).items()},
    )


def _known(kind: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    """A report of another version may have fields that this one does not know."""
    return {item.name: data[item.name] for item in fields(kind) if item.name in data}
