"""Which unhealthy instances are restarted now. Pure.

At most `parallelism` instances of an app are restarted at once (`update_config`), so that a cause that they share, such as a slow
database, does not take them all down. Those with the fewest tries come first. A restart for being unhealthy counts as any other
does: where the restart policy allows a number of them, an instance that is unhealthy after the last one is left as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from duckconf import policies, restart
from duckconf.actions import Restart
from duckconf.backoff import Tries
from duckconf.counts import counted
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.fleet_seen import Fleet, Placement, copy_at
from duckconf.healthcheck import STARTING, UNHEALTHY
from duckconf.instance import Instance
from duckconf.plan import Plan, Step
from duckconf.readiness import Readiness


def in_turn(
    decided: Plan,
    desired: Desired,
    fleet: Fleet,
    placements: Mapping[str, Placement],
    tries: Mapping[str, Tries],
    busy: Collection[str],
    readiness: Readiness,
) -> Plan:
    """The plan without the restarts whose turn has not come, and with notes that say so."""
    asked: dict[str, list[Step]] = {}
    for step in decided.steps:
        if isinstance(step.action, Restart) and step.action.unhealthy:
            asked.setdefault(step.app, []).append(step)
    if not asked:
        return decided
    repaired = _under_repair(desired, fleet, placements, tries, busy, readiness, asked)
    notes = {}
    for name, steps in asked.items():
        app = desired.instances[steps[0].instance].app
        most = policies.policy_of(app.update_config, app.replicas).parallelism
        first = list(repaired.get(name, ()))
        for step in sorted(steps, key=lambda step: (_strikes(tries.get(step.instance)), step.instance)):
            past = restart.restarts(app, tries.get(step.instance))
            if restart.policy_of(app).most and past >= restart.policy_of(app).most:
                notes[step.instance] = f"{step.reason}; given up after {counted(past, 'restart')}"
            elif len(first) >= most:
                notes[step.instance] = f"{step.reason}; it is restarted after {', '.join(first)}, at most {most} at a time"
            else:
                first.append(step.instance)
    left = tuple(step for step in decided.steps if step.instance not in notes)
    return replace(decided, steps=left, notes={**decided.notes, **notes})


def _under_repair(
    desired: Desired,
    fleet: Fleet,
    placements: Mapping[str, Placement],
    tries: Mapping[str, Tries],
    busy: Collection[str],
    readiness: Readiness,
    apps: Collection[str],
) -> dict[str, list[str]]:
    """By app, the instances that are being restarted, or were and are not healthy or unhealthy yet. One that should be by now
    holds up no other."""
    found: dict[str, list[str]] = {}
    for name, instance in desired.instances.items():
        if instance.app.name in apps and (mine := copy_at(placements.get(name), fleet.copies.get(name, ()))) is not None:
            acted_on = name in busy and not (mine.running and mine.health not in (STARTING, UNHEALTHY))
            if acted_on or _begins_again(instance, mine, tries.get(name), readiness):
                found.setdefault(instance.app.name, []).append(name)
    return found


def _begins_again(instance: Instance, mine: Container, past: Tries | None, readiness: Readiness) -> bool:
    if past is None or not past.again or not mine.running or mine.health != STARTING:
        return False
    left = readiness.left(instance.name, instance.spec, instance.app)
    return left is None or left > 0


def _strikes(past: Tries | None) -> int:
    return past.strikes if past is not None else 0
