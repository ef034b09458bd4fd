"""What people do: to the desired state, to its file, to the inventory."""

from __future__ import annotations

from dataclasses import replace

from duckconf.model import App
from duckconf.reach.state.rebalances import RebalanceBook
from tests.sim import node_faults
from tests.sim.engines import JOB, SHAKY
from tests.sim.faults import NAMES, Faults


def declare(faults: Faults) -> str:
    name = faults.dice.choice(NAMES)
    faults.world.person.apps[name] = faults.app(name)
    faults.world.tell_loop()
    return str(faults.world.person.apps[name].image) + f" as {name}"


def change(faults: Faults) -> str:
    apps = faults.world.person.apps
    if not apps:
        return ""
    name = faults.dice.choice(sorted(apps))
    apps[name] = replace(apps[name], env={"A": str(faults.dice.randrange(3))})
    faults.world.tell_loop()
    return name


def withdraw(faults: Faults) -> str:
    apps = faults.world.person.apps
    if not apps:
        return ""
    name = faults.dice.choice(sorted(apps))
    del apps[name]
    faults.world.tell_loop()
    return name


def job(faults: Faults) -> str:
    name, policy = faults.dice.choice(NAMES), faults.dice.choice(("no", "on-failure", "on-failure", "on-failure:2"))
    app = App(f"{faults.dice.choice((JOB, SHAKY))}:1", name, restart=policy, replicas=faults.dice.choice((1, 1, 3)))
    faults.world.person.apps[name] = app
    faults.world.tell_loop()
    return f"{app.image} as {name}, {policy}, {app.replicas} times"


def prune(faults: Faults) -> str:
    """What ended is removed, as `docker container prune` does it."""
    node = faults.node()
    gone = [box.name for box in node.engine.of_node(node.name) if box.state == "exited" and box.exit_code == 0]
    for name in gone:
        del node.engine.boxes[name]
    return f"{', '.join(gone)} on {node.name}" if gone else ""


def strand(faults: Faults) -> str:
    """A node with a job that ended is away for longer than node_timeout."""
    boxes = {box.node for node in faults.world.nodes.values() for box in node.engine.boxes.values() if box.exit_code == 0}
    if not boxes:
        return ""
    node = faults.world.nodes[faults.dice.choice(sorted(boxes))]
    node.unplugged_until = max(node.unplugged_until, faults.world.now() + 50)
    faults.after(50, lambda: node_faults.back(faults, node))
    return f"{node.name}, where a job has ended"


def scale(faults: Faults) -> str:
    apps = faults.world.person.apps
    if not apps:
        return ""
    name = faults.dice.choice(sorted(apps))
    apps[name] = replace(apps[name], mode="", replicas=faults.dice.choice((0, 1, 1, 2, 3, 4)))
    faults.world.tell_loop()
    return f"{name} to {apps[name].replicas}"


def mistype(faults: Faults) -> str:
    slips = faults.world.person.slips
    slip = faults.dice.choice(("", *sorted(faults.world.person.apps)))
    slips.symmetric_difference_update((slip,))
    faults.world.tell_loop()
    return f"{slip or 'a row without a name'} is {'bad' if slip in slips else 'mended'}"


def lose_file(faults: Faults) -> str:
    faults.world.person.missing = not faults.world.person.missing
    faults.world.tell_loop()
    return "gone" if faults.world.person.missing else "back"


def cut_file(faults: Faults) -> str:
    person = faults.world.person
    person.cut = faults.dice.random() if person.cut is None else None
    faults.world.tell_loop()
    return "whole again" if person.cut is None else f"{person.cut:.2f} of it is left"


def cordon(faults: Faults) -> str:
    node = faults.node()
    faults.world.cordons.symmetric_difference_update((node.name,))
    faults.world.tell_loop()
    return f"{node.name} is {'cordoned' if node.name in faults.world.cordons else 'open'}"


def drain(faults: Faults) -> str:
    node = faults.node()
    faults.world.drains.symmetric_difference_update((node.name,))
    faults.world.tell_loop()
    return f"{node.name} is {'emptied' if node.name in faults.world.drains else 'open'}"


def rebalance(faults: Faults) -> str:
    if not faults.world.disk.exists():
        return ""
    number = RebalanceBook(faults.world.disk).ask()
    faults.world.tell_loop()
    return f"request {number}"


def edit_inventory(faults: Faults) -> str:
    node, removed = faults.node(), faults.world.removed
    if node.name in removed or len(removed) + 1 < len(faults.world.nodes):
        removed.symmetric_difference_update((node.name,))
    return f"{node.name} is {'out' if node.name in removed else 'in'}"
