"""How long an instance may take until it is ready, and since when one is not. Pure: the clock is an argument.

It counts from the decision that the instance runs this spec: an engine that hangs in a start is late, too. While its node does
not answer nobody knows, and nothing counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from duckconf.backoff import Tries
from duckconf.codec import runs_as
from duckconf.decision import Decision
from duckconf.engine_output import Container
from duckconf.instance import Instance
from duckconf.placement import Fleet, Placement


def with_waits(tries: Mapping[str, Tries], decision: Decision, fleet: Fleet, now: float) -> dict[str, Tries]:
    """The tries with since when each instance is not ready, after a pass that decided this. `now` is in seconds of the clock that
    they are counted with."""
    found = dict(tries)
    wanted = decision.desired.instances if decision.desired is not None else {}
    for name, instance in wanted.items():
        place, past = decision.placements.get(name), found.get(name)
        if place is None or name in decision.over or not _is_late(instance, place, decision, fleet):
            if past is not None and past.waits is not None:
                found[name] = replace(past, waits=None)
        elif past is None or past.waits is None or past.awaited != instance.spec:
            found[name] = replace(past or Tries(instance.spec), waits=now, awaited=instance.spec)
    return found


def _is_late(instance: Instance, place: Placement, decision: Decision, fleet: Fleet) -> bool:
    """Whether it is meant to run this spec there, and is seen not to be ready."""
    if fleet.views.get(place.node) is None or place.spec not in ("", instance.spec):
        return False
    if (place.node, place.container) not in decision.ready:
        return True
    copies = fleet.copies.get(instance.name, ())
    return not any((copy.node, copy.name) == (place.node, place.container) and _is_right(copy, instance) for copy in copies)


def _is_right(copy: Container, instance: Instance) -> bool:
    return copy.spec == instance.spec or runs_as(instance.app, copy.spec, copy.manifest)
