"""What can go wrong, and what people do meanwhile. Each seed draws which of it happens, and how often."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Union

from duckconf.codec import spec_hash
from duckconf.model import App
from duckconf.naming import app_labels, declared_container
from duckconf.reach.state.rebalances import RebalanceBook
from tests.sim.engines import CLUSTER, CRASHING, ENDLESS, JOB, KILLED, REFUSED, SHAKY, Box
from tests.sim.world import Node, SimWorld

NAMES = tuple("abcdefgh")
NODES_OWN = (
    "Error: cannot listen on the TCP port: listen tcp4 :8080: bind: address already in use",
    "Error: statfs /data: no such file or directory",
    "Error: writing blob: write /var/lib/containers/storage/overlay: no space left on device",
)


class Faults:
    """Draws from the world's dice and does it to the world."""

    def __init__(self, world: SimWorld, *, kinds: Mapping[str, Callable[[Faults], str]]) -> None:
        self.world = world
        self._dice = world.dice
        self._kinds = {**KINDS, **kinds}
        self._mood = {name: self._dice.choice((0, 0, 1, 1, 1, 3, 8)) for name in self._kinds}

    def begin(self) -> None:
        """The first desired state, and now and then apps that already run as another mode left them."""
        for name in NAMES[: self._dice.randrange(6)]:
            self.world.person.apps[name] = self._app(name)
            if self._dice.random() < 0.2:
                self._leave_running(name)

    def strike(self) -> None:
        """Plan a few faults for the next seconds."""
        for _ in range(self._dice.choice((0, 0, 1, 1, 2))):
            kind = self._dice.choices(tuple(self._mood), tuple(self._mood.values()))[0] if any(self._mood.values()) else ""
            if kind:
                self.world.timeline.after(self._dice.uniform(0, 8), partial(self._do, kind))

    def end(self) -> None:
        """All is well again; what people left lying around stays."""
        world = self.world
        world.calm = True
        self._mend_disk()
        for node in world.nodes.values():
            node.frozen_until = node.unplugged_until = node.down_until = node.garbled_until = world.now()
            node.slowness = 1.0
            node.engine.stubborn.clear()
            node.engine.refusing.clear()
            world.thaw(node)
            for box in node.engine.boxes.values():
                if box.state == "paused":
                    box.turn("running", world.now())
        world.removed.clear()
        world.cordons.clear()
        world.drains.clear()
        world.person.slips.clear()
        world.person.missing = False
        world.person.cut = None
        world.note("fault", "everything is well again")
        world.wake()

    def _do(self, kind: str) -> None:
        if not self.world.calm:
            done = self._kinds[kind](self)
            if done:
                self.world.note("fault", f"{kind}: {done}")

    # Nodes.

    def _freeze(self) -> str:
        node, seconds = self._node(), self._dice.uniform(1, 60)
        node.frozen_until = max(node.frozen_until, self.world.now() + seconds)
        self._after(seconds, lambda: self._back(node))
        return f"{node.name} for {seconds:.1f} s"

    def _unplug(self) -> str:
        node, seconds = self._node(), self._dice.uniform(1, 60)
        node.unplugged_until = max(node.unplugged_until, self.world.now() + seconds)
        self._after(seconds, lambda: self._back(node))
        return f"{node.name} for {seconds:.1f} s"

    def _unplug_all(self) -> str:
        seconds = self._dice.uniform(1, 90)
        for node in self.world.nodes.values():
            until = seconds + self._dice.uniform(0, 2)
            node.unplugged_until = max(node.unplugged_until, self.world.now() + until)
            self._after(until, partial(self._back, node))
        return f"for {seconds:.1f} s"

    def _power_off(self) -> str:
        node, seconds = self._node(), self._dice.uniform(1, 60)
        node.down_until = max(node.down_until, self.world.now() + seconds)
        node.inbox.clear()
        for box in node.engine.of_node(node.name):
            if box.state in ("running", "paused", "stopping"):
                box.turn("exited", self.world.now())
        self._after(seconds, lambda: self._back(node))
        return f"{node.name} for {seconds:.1f} s"

    def _slow_down(self) -> str:
        node = self._node()
        node.slowness = self._dice.choice((1, 1, 5, 20))
        return f"{node.name} is {node.slowness} times as slow"

    def _garble(self) -> str:
        node, seconds = self._node(), self._dice.uniform(1, 90)
        node.garbled_until = max(node.garbled_until, self.world.now() + seconds)
        self._after(seconds, lambda: self._back(node))
        return f"{node.name} for {seconds:.1f} s"

    def _back(self, node: Node) -> None:
        self.world.thaw(node)
        self.world.tell_loop(node)

    # Containers.

    def _crash(self) -> str:
        box = self._ours()
        if box is not None:
            self.world.crash(box)
        return ""

    def _delete(self) -> str:
        box = self._ours()
        if box is None:
            return ""
        del self.world.nodes[box.node].engine.boxes[box.name]
        self.world.tell_loop(self.world.nodes[box.node])
        return f"{box.name} on {box.node}"

    def _pause(self) -> str:
        box = self._ours()
        if box is None or box.state not in ("running", "paused"):
            return ""
        box.turn("running" if box.state == "paused" else "paused", self.world.now())
        return f"{box.name} on {box.node} is {box.state}"

    def _stop(self) -> str:
        box = self._ours()
        if box is None or box.state != "running":
            return ""
        box.turn("stopping", self.world.now())
        self._after(self._dice.uniform(0.1, 10), lambda: self._exit(box))
        return f"{box.name} on {box.node}"

    def _exit(self, box: Box) -> None:
        if box.state == "stopping":
            box.turn("exited", self.world.now(), code=KILLED)
            self.world.tell_loop(self.world.nodes[box.node])

    def _start(self) -> str:
        box = self._ours()
        if box is None or box.state != "exited" or self.world.nodes[box.node].down_until > self.world.now():
            return ""
        box.turn("running", self.world.now())
        if box.image.startswith((JOB, SHAKY)):
            self.world.work(box)
        self.world.begins(box)
        return f"{box.name} on {box.node}"

    def _jam(self) -> str:
        box = self._ours()
        if box is None:
            return ""
        engine, seconds = self.world.nodes[box.node].engine, self._dice.uniform(1, 60)
        engine.stubborn.add(box.name)
        self._after(seconds, lambda: engine.stubborn.discard(box.name))
        return f"{box.name} on {box.node} for {seconds:.1f} s"

    def _refuse(self) -> str:
        """A node's engine refuses an app, or every app, for a while and for a reason of the node."""
        node, app, seconds = self._node(), self._dice.choice(("", *NAMES)), self._dice.choice((2, 20, 200))
        words = self._dice.choice(NODES_OWN)
        node.engine.refusing[node.name, app] = words
        self._after(seconds, lambda: node.engine.refusing.pop((node.name, app), None))
        return f"{app or 'every app'} on {node.name} for {seconds} s: {words}"

    def _stranger(self) -> str:
        """Containers that are none of ours: by name, by label, or by cluster. Some hold the names that we would use."""
        node, app, kind = self._node(), self._dice.choice(NAMES), self._dice.randrange(3)
        name, where, labels = {
            0: (f"redis-{app}", node.name, {}),
            1: (declared_container(CLUSTER, app), "", {}),
            2: (declared_container("other", app), node.name, app_labels("other", app, "0", 1)),
        }[kind]
        if name in node.engine.boxes:
            return ""
        node.engine.make(name, where, labels, "foreign").turn("running", self.world.now())
        return f"{name} on {node.name}"

    def _leave_running(self, app: str) -> None:
        node = self._node()
        labels = app_labels(CLUSTER, app, spec_hash(self.world.person.apps[app]))
        box = node.engine.make(f"left-{app}", node.name, labels, "left")
        box.turn("running", self.world.now())

    # People.

    def _declare(self) -> str:
        name = self._dice.choice(NAMES)
        self.world.person.apps[name] = self._app(name)
        self.world.tell_loop()
        return str(self.world.person.apps[name].image) + f" as {name}"

    def _change(self) -> str:
        apps = self.world.person.apps
        if not apps:
            return ""
        name = self._dice.choice(sorted(apps))
        apps[name] = replace(apps[name], env={"A": str(self._dice.randrange(3))})
        self.world.tell_loop()
        return name

    def _withdraw(self) -> str:
        apps = self.world.person.apps
        if not apps:
            return ""
        name = self._dice.choice(sorted(apps))
        del apps[name]
        self.world.tell_loop()
        return name

    def _job(self) -> str:
        name, policy = self._dice.choice(NAMES), self._dice.choice(("no", "on-failure", "on-failure", "on-failure:2"))
        app = App(f"{self._dice.choice((JOB, SHAKY))}:1", name, restart=policy, replicas=self._dice.choice((1, 1, 3)))
        self.world.person.apps[name] = app
        self.world.tell_loop()
        return f"{app.image} as {name}, {policy}, {app.replicas} times"

    def _prune(self) -> str:
        """What ended is removed, as `docker container prune` does it."""
        node = self._node()
        gone = [box.name for box in node.engine.of_node(node.name) if box.state == "exited" and box.exit_code == 0]
        for name in gone:
            del node.engine.boxes[name]
        return f"{', '.join(gone)} on {node.name}" if gone else ""

    def _strand(self) -> str:
        """A node with a job that ended is away for longer than node_timeout."""
        boxes = {box.node for node in self.world.nodes.values() for box in node.engine.boxes.values() if box.exit_code == 0}
        if not boxes:
            return ""
        node = self.world.nodes[self._dice.choice(sorted(boxes))]
        node.unplugged_until = max(node.unplugged_until, self.world.now() + 50)
        self._after(50, lambda: self._back(node))
        return f"{node.name}, where a job has ended"

    def _scale(self) -> str:
        apps = self.world.person.apps
        if not apps:
            return ""
        name = self._dice.choice(sorted(apps))
        apps[name] = replace(apps[name], mode="", replicas=self._dice.choice((0, 1, 1, 2, 3, 4)))
        self.world.tell_loop()
        return f"{name} to {apps[name].replicas}"

    def _mistype(self) -> str:
        slips = self.world.person.slips
        slip = self._dice.choice(("", *sorted(self.world.person.apps)))
        slips.symmetric_difference_update((slip,))
        self.world.tell_loop()
        return f"{slip or 'a row without a name'} is {'bad' if slip in slips else 'mended'}"

    def _lose_file(self) -> str:
        self.world.person.missing = not self.world.person.missing
        self.world.tell_loop()
        return "gone" if self.world.person.missing else "back"

    def _cut_file(self) -> str:
        person = self.world.person
        person.cut = self._dice.random() if person.cut is None else None
        self.world.tell_loop()
        return "whole again" if person.cut is None else f"{person.cut:.2f} of it is left"

    def _cordon(self) -> str:
        node = self._node()
        self.world.cordons.symmetric_difference_update((node.name,))
        self.world.tell_loop()
        return f"{node.name} is {'cordoned' if node.name in self.world.cordons else 'open'}"

    def _drain(self) -> str:
        node = self._node()
        self.world.drains.symmetric_difference_update((node.name,))
        self.world.tell_loop()
        return f"{node.name} is {'emptied' if node.name in self.world.drains else 'open'}"

    def _rebalance(self) -> str:
        if not self.world.disk.exists():
            return ""
        number = RebalanceBook(self.world.disk).ask()
        self.world.tell_loop()
        return f"request {number}"

    def _edit_inventory(self) -> str:
        node, removed = self._node(), self.world.removed
        if node.name in removed or len(removed) + 1 < len(self.world.nodes):
            removed.symmetric_difference_update((node.name,))
        return f"{node.name} is {'out' if node.name in removed else 'in'}"

    # The loop's own machine.

    def _kill(self) -> str:
        self.world.dies_in = self._dice.randint(1, 25)
        return "soon"

    def _forget(self) -> str:
        self.world.forgetful = True
        return self._kill()

    def _lose_disk(self) -> str:
        if not self.world.disk.exists():
            return ""
        self.world.disk.rename(self.world.disk.with_name("away"))
        self._after(self._dice.uniform(1, 30), self._mend_disk)
        return "cannot be written"

    def _mend_disk(self) -> None:
        self.world.mend_disk()

    # Choices.

    def _node(self) -> Node:
        return self.world.nodes[self._dice.choice(sorted(self.world.nodes))]

    def _ours(self) -> Union[Box, None]:
        boxes = {id(box): box for node in self.world.nodes.values() for box in node.engine.boxes.values() if box.ours}
        return self._dice.choice(list(boxes.values())) if boxes else None

    def _app(self, name: str) -> App:
        ports = (f"{self._dice.choice((8080, 8081))}:80",) if self.world.ported and self._dice.random() < 0.4 else ()
        return App(self._image(), name, ports=ports)

    def _image(self) -> str:
        return self._dice.choice(("web:1", "web:1", "web:2", "web:3", "web:4", f"{REFUSED}:1", f"{CRASHING}:1", f"{ENDLESS}:1"))

    def _after(self, seconds: float, event: Callable[[], object]) -> None:
        self.world.timeline.after(seconds, event)


KINDS: Mapping[str, Callable[[Faults], str]] = {
    "freeze": Faults._freeze,
    "unplug": Faults._unplug,
    "unplug all": Faults._unplug_all,
    "power off": Faults._power_off,
    "slow": Faults._slow_down,
    "crash": Faults._crash,
    "delete": Faults._delete,
    "pause": Faults._pause,
    "stop": Faults._stop,
    "start": Faults._start,
    "jam": Faults._jam,
    "stranger": Faults._stranger,
    "declare": Faults._declare,
    "change": Faults._change,
    "withdraw": Faults._withdraw,
    "mistype": Faults._mistype,
    "file": Faults._lose_file,
    "cordon": Faults._cordon,
    "inventory": Faults._edit_inventory,
    "kill": Faults._kill,
    "forget": Faults._forget,
    "disk": Faults._lose_disk,
}

# Apart from the others, so that their seeds keep their meaning.
DRAINS: Mapping[str, Callable[[Faults], str]] = {"drain": Faults._drain}
CUTS: Mapping[str, Callable[[Faults], str]] = {"cut": Faults._cut_file}
GARBLED: Mapping[str, Callable[[Faults], str]] = {"garble": Faults._garble}
REFUSALS: Mapping[str, Callable[[Faults], str]] = {"refuse": Faults._refuse}
JOBS: Mapping[str, Callable[[Faults], str]] = {"job": Faults._job, "prune": Faults._prune, "strand": Faults._strand}
REBALANCES: Mapping[str, Callable[[Faults], str]] = {f"rebalance {number}": Faults._rebalance for number in range(3)}
SCALES: Mapping[str, Callable[[Faults], str]] = {"scale": Faults._scale}
