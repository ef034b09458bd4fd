"""What happens to containers, by themselves or by a hand that is not ours."""

from __future__ import annotations

from duckconf.naming import app_labels, declared_container
from tests.sim.engines import CLUSTER, JOB, KILLED, SHAKY, Box
from tests.sim.faults import NAMES, NODES_OWN, Faults


def crash(faults: Faults) -> str:
    box = faults.ours()
    if box is not None:
        faults.world.crash(box)
    return ""


def delete(faults: Faults) -> str:
    box = faults.ours()
    if box is None:
        return ""
    del faults.world.nodes[box.node].engine.boxes[box.name]
    faults.world.tell_loop(faults.world.nodes[box.node])
    return f"{box.name} on {box.node}"


def pause(faults: Faults) -> str:
    box = faults.ours()
    if box is None or box.state not in ("running", "paused"):
        return ""
    box.turn("running" if box.state == "paused" else "paused", faults.world.now())
    return f"{box.name} on {box.node} is {box.state}"


def stop(faults: Faults) -> str:
    box = faults.ours()
    if box is None or box.state != "running":
        return ""
    box.turn("stopping", faults.world.now())
    faults.after(faults.dice.uniform(0.1, 10), lambda: end(faults, box))
    return f"{box.name} on {box.node}"


def end(faults: Faults, box: Box) -> None:
    if box.state == "stopping":
        box.turn("exited", faults.world.now(), code=KILLED)
        faults.world.tell_loop(faults.world.nodes[box.node])


def start(faults: Faults) -> str:
    box = faults.ours()
    if box is None or box.state != "exited" or faults.world.nodes[box.node].down_until > faults.world.now():
        return ""
    box.turn("running", faults.world.now())
    if box.image.startswith((JOB, SHAKY)):
        faults.world.work(box)
    faults.world.begins(box)
    return f"{box.name} on {box.node}"


def jam(faults: Faults) -> str:
    box = faults.ours()
    if box is None:
        return ""
    engine, seconds = faults.world.nodes[box.node].engine, faults.dice.uniform(1, 60)
    engine.stubborn.add(box.name)
    faults.after(seconds, lambda: engine.stubborn.discard(box.name))
    return f"{box.name} on {box.node} for {seconds:.1f} s"


def refuse(faults: Faults) -> str:
    """A node's engine refuses an app, or every app, for a while and for a reason of the node."""
    node, app, seconds = faults.node(), faults.dice.choice(("", *NAMES)), faults.dice.choice((2, 20, 200))
    words = faults.dice.choice(NODES_OWN)
    node.engine.refusing[node.name, app] = words
    faults.after(seconds, lambda: node.engine.refusing.pop((node.name, app), None))
    return f"{app or 'every app'} on {node.name} for {seconds} s: {words}"


def stranger(faults: Faults) -> str:
    """Containers that are none of ours: by name, by label, or by cluster. Some hold the names that we would use."""
    node, app, kind = faults.node(), faults.dice.choice(NAMES), faults.dice.randrange(3)
    name, where, labels = {
        0: (f"redis-{app}", node.name, {}),
        1: (declared_container(CLUSTER, app), "", {}),
        2: (declared_container("other", app), node.name, app_labels("other", app, "0", 1)),
    }[kind]
    if name in node.engine.boxes:
        return ""
    box = node.engine.make(name, where, labels, "foreign")
    box.turn("running", faults.world.now())
    faults.world.strangers.append(box)
    return f"{name} on {node.name}"
