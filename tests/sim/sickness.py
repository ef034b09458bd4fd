"""Health in the simulator: containers that are checked, and those whose process runs and does not serve."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from duckconf.healthcheck import HEALTHY, STARTING, UNHEALTHY
from tests.sim.engines import STUCK, Box
from tests.sim.faults import Faults
from tests.sim.world import SimWorld


def sicken(faults: Faults) -> str:
    world = faults.world
    boxes = {id(box): box for node in world.nodes.values() for box in node.engine.boxes.values() if box.ours}
    well = [box for box in boxes.values() if box.state == "running" and box.health == HEALTHY]
    return fall_ill(world, world.dice.choice(well)) if well else ""


def fall_ill(world: SimWorld, box: Box) -> str:
    """A restart helps, or only time does."""
    seconds = world.dice.uniform(1, 200)
    box.sick = world.dice.random() < 0.5
    turn(world, box, UNHEALTHY)
    world.timeline.after(seconds, lambda: recover(world, box))
    return f"{box.name} on {box.node}" + (f" for {seconds:.1f} s" if box.sick else "")


def recover(world: SimWorld, box: Box) -> None:
    box.sick = False
    if box.state == "running" and box.health == UNHEALTHY:
        turn(world, box, HEALTHY)


def begin_check(world: SimWorld, box: Box) -> None:
    """It has just been started."""
    box.health, box.checks = STARTING, box.checks + 1
    check = box.checks
    if box.image.startswith(STUCK):
        return

    def judge() -> None:
        if box.state == "paused" and box.checks == check:
            world.timeline.after(1.0, judge)
        elif box.state == "running" and box.checks == check and box.health == STARTING:
            turn(world, box, UNHEALTHY if box.sick else HEALTHY)

    def later() -> None:
        if (box.state, box.checks, box.health) == ("running", check, HEALTHY) and not world.calm:
            fall_ill(world, box)

    world.timeline.after(world.dice.uniform(0.1, 4), judge)
    if world.dice.random() < 0.4:
        world.timeline.after(world.dice.uniform(5, 300), later)


def turn(world: SimWorld, box: Box, health: str) -> None:
    box.health = health
    world.note("check", f"{box.name} on {box.node} is {health}")
    world.tell_loop(world.nodes.get(box.node))


def heal_all(world: SimWorld) -> None:
    for node in world.nodes.values():
        for box in node.engine.boxes.values():
            recover(world, box)


SICKNESS: Mapping[str, Callable[[Faults], str]] = {"sicken": sicken}
