"""Which of the four steps of control an event belongs to. Pure.

In agents mode no single loop makes passes: people and the API set the setpoint, scheduler and node-controller compare, the agents
act. Their events tell when each of them last did something.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from duckconf.events import Event
from duckconf.picture import ACTUATOR, COMPARATOR, SETPOINT, Step

OF_KIND: Mapping[str, str] = {
    **dict.fromkeys(("declared", "updated", "withdrawn", "edited", "taken-over", "secret-set", "rebalance-asked"), SETPOINT),
    **dict.fromkeys(("cordoned", "uncordoned"), SETPOINT),
    **dict.fromkeys(("scheduled", "unscheduled", "pending", "update-done", "update-failed", "rebalancing", "moved"), COMPARATOR),
    **dict.fromkeys(("node-suspect", "node-lost", "node-back", "node-unreadable", "node-full", "brake"), COMPARATOR),
    **dict.fromkeys(("started", "restarted", "removed", "failed", "job-done", "job-failed", "already-gone"), ACTUATOR),
}


def steps_in(events: Iterable[Event], before: Mapping[str, Step]) -> dict[str, Step]:
    """What each step last did, by these events, which came after `before`."""
    news = {OF_KIND[event.kind]: Step(event.message, event.time, event.node) for event in events if event.kind in OF_KIND}
    return {**before, **news}
