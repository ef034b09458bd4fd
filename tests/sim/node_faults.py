"""What happens to nodes, and to the machine of the loop."""

from __future__ import annotations

from functools import partial

from tests.sim.faults import Faults
from tests.sim.node import Node


def freeze(faults: Faults) -> str:
    node, seconds = faults.node(), faults.dice.uniform(1, 60)
    node.frozen_until = max(node.frozen_until, faults.world.now() + seconds)
    faults.after(seconds, lambda: back(faults, node))
    return f"{node.name} for {seconds:.1f} s"


def unplug(faults: Faults) -> str:
    node, seconds = faults.node(), faults.dice.uniform(1, 60)
    node.unplugged_until = max(node.unplugged_until, faults.world.now() + seconds)
    faults.after(seconds, lambda: back(faults, node))
    return f"{node.name} for {seconds:.1f} s"


def unplug_all(faults: Faults) -> str:
    seconds = faults.dice.uniform(1, 90)
    for node in faults.world.nodes.values():
        until = seconds + faults.dice.uniform(0, 2)
        node.unplugged_until = max(node.unplugged_until, faults.world.now() + until)
        faults.after(until, partial(back, faults, node))
    return f"for {seconds:.1f} s"


def power_off(faults: Faults) -> str:
    node, seconds = faults.node(), faults.dice.uniform(1, 60)
    node.down_until = max(node.down_until, faults.world.now() + seconds)
    node.inbox.clear()
    for box in node.engine.of_node(node.name):
        if box.state in ("running", "paused", "stopping"):
            box.turn("exited", faults.world.now())
    faults.after(seconds, lambda: back(faults, node))
    return f"{node.name} for {seconds:.1f} s"


def slow_down(faults: Faults) -> str:
    node = faults.node()
    node.slowness = faults.dice.choice((1, 1, 5, 20))
    return f"{node.name} is {node.slowness} times as slow"


def garble(faults: Faults) -> str:
    node, seconds = faults.node(), faults.dice.uniform(1, 90)
    node.garbled_until = max(node.garbled_until, faults.world.now() + seconds)
    faults.after(seconds, lambda: back(faults, node))
    return f"{node.name} for {seconds:.1f} s"


def back(faults: Faults, node: Node) -> None:
    faults.world.thaw(node)
    faults.world.tell_loop(node)


def kill(faults: Faults) -> str:
    faults.world.dies_in = faults.dice.randint(1, 25)
    return "soon"


def forget(faults: Faults) -> str:
    faults.world.forgetful = True
    return kill(faults)


def lose_disk(faults: Faults) -> str:
    if not faults.world.disk.exists():
        return ""
    faults.world.disk.rename(faults.world.disk.with_name("away"))
    faults.after(faults.dice.uniform(1, 30), faults.world.mend_disk)
    return "cannot be written"
