"""One seeded run: passes of the real cycle among faults, then a quiet time after which all must be as desired."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from controllers.cycle import Cycle
from controllers.reconciler import Reconciler
from duckconf.codec import spec_hash
from duckconf.instance import Instance, instances_of
from duckconf.model import App
from duckconf.naming import app_of
from duckconf.place_kinds import GLOBAL
from duckconf.policies import ROLLBACK
from duckconf.reach.state.data import FILE_NAME as DATA
from duckconf.reach.state.data import DataBook
from duckconf.reach.state.placements import FILE_NAME, PlacementBook
from duckconf.reach.state.rebalances import RebalanceBook
from duckconf.reach.state.revisions import FILE_NAME as HISTORY
from duckconf.reach.state.revisions import RevisionBook
from duckconf.restart import recorded
from duckconf.rollout import FAILED, last_good, with_service
from tests.sim.engines import CLUSTER, CRASHING, ENDLESS, JOB, REFUSED, SHAKY, STUCK, Box
from tests.sim.faults import NODES_OWN, Faults, Kinds
from tests.sim.front import Front
from tests.sim.kinds import KINDS, REFUSALS
from tests.sim.services import SERVICES
from tests.sim.sickness import SICKNESS, begin_check, heal_all
from tests.sim.under_way import Violation
from tests.sim.watch import NODE_TIMEOUT
from tests.sim.world import Killed, SimWorld

LOOP_INTERVAL = 10.0
# Longer than two of the longest waits: after the first, a start may teach that its container's name is taken.
QUIET = 640.0
# The last command that was on its way when the faults ended has arrived.
LATEST = 130.0
# After as many passes in a row in which nothing was done and nothing is due, each further one is the same.
STILL = 6
SOON = 6.0
LINES = 40


@dataclass
class Run:
    """One cluster's fate under one seed."""

    seed: int
    folder: Path
    more: Kinds = field(default_factory=dict)
    """Kinds of faults beside the usual ones."""
    front: bool = False
    """Whether all apps have routes, and a front serves them."""

    def __post_init__(self) -> None:
        self.world = SimWorld(self.seed, self.folder)
        if SICKNESS.items() <= self.more.items():
            self.world.begins = partial(begin_check, self.world)
        if SERVICES.items() <= self.more.items():
            names = tuple(self.world.nodes)
            self.world.groups = {"nodes": names, "odd": names[::2], "even": names[1::2]}
            self.world.zones = {name: f"zone-{number % 2}" for number, name in enumerate(names)} if self.seed % 3 else {}
        if self.front:
            self.world.front = Front(self.world, random.Random(-self.seed))
        self.faults = Faults(self.world, kinds={**KINDS, **self.more})
        self._start_loop()

    def go(self, steps: int) -> None:
        """Raises AssertionError with the seed and the last lines of the trace."""
        try:
            self.faults.begin()
            for _ in range(steps):
                self.faults.strike()
                self._step()
            heal_all(self.world)
            self.faults.end()
            self._come_to_rest()
            self._check_rest()
            self._check_that_the_hopeless_delay_nobody()
        except Exception as error:
            trace = "\n".join(self.world.trace[-LINES:])
            raise AssertionError(f"seed {self.seed}: {type(error).__name__}: {error}\n{trace}") from error

    def _start_loop(self) -> None:
        world = self.world
        history = RevisionBook.at(world.disk / HISTORY)
        book, self.rebalances = PlacementBook(world.disk / FILE_NAME), RebalanceBook(world.disk)
        data = DataBook.at(world.disk / DATA, lambda: world.moves)
        reconciler = Reconciler(CLUSTER, book, NODE_TIMEOUT, history=history, rebalances=self.rebalances, data=data)
        last = world.last_report()
        if last is not None:
            reconciler.tries.update(last.tries_at(world.now()))
            reconciler.refusals.update(last.refusals_at(world.now()))
        self.history = history
        self.cycle = Cycle(world, reconciler)
        world.watch.reconciler = reconciler

    def _step(self) -> None:
        """One turn of the loop's `run`: a pass, and the wait until the next one is due; or its process dies in it."""
        try:
            self._turn()
        except Killed:
            self.world.note("fault", "the loop is killed")
            self.world.bury()
            self._start_loop()

    def _turn(self) -> None:
        world = self.world
        world.woken = False
        world.note("pass", "")
        written = True
        try:
            self.cycle.once()
        except OSError:
            written = False
            world.note("loop", "placements cannot be written")
        world.watch.passed(written=written)
        due = self.cycle.due()
        world.timeline.run(LOOP_INTERVAL if due is None else min(LOOP_INTERVAL, due + 0.01), lambda: world.woken)

    def pass_time(self, seconds: float) -> int:
        end, passes = self.world.now() + seconds, 0
        while self.world.now() < end:
            self._step()
            passes += 1
        return passes

    def _come_to_rest(self) -> None:
        """QUIET seconds, or as many as there is something to wait for: no command is on its way, and no pause has an end."""
        acted, passes = -1, 0
        end, earliest = self.world.now() + QUIET, self.world.now() + LATEST
        while self.world.now() < end and not (passes >= STILL and self.world.now() >= earliest):
            self._step()
            idle = acted == len(self.world.watch.issued_at_all) and self.cycle.due() is None
            acted, passes = len(self.world.watch.issued_at_all), passes + 1 if idle else 0

    def _check_rest(self) -> None:
        """Each hopeful app has its one container, nothing else of ours is there, and the loop is at rest."""
        acted = len(self.world.watch.issued_at_all)
        passes = self.pass_time(60)
        wanted = instances_of(self.world.person.meant().values())
        self._check_strangers()
        boxes = [box for box in self._boxes() if box.ours]
        for name, instance in wanted.items():
            app = instance.app
            mine = [box for box in boxes if box.instance == name]
            rivals = [other for key, other in wanted.items() if key != name and ports_of(other.app) & ports_of(app)]
            # Its port may be held by what a hopeless app still runs as, from before it became hopeless.
            blocked = any(
                hopeless(wanted[box.instance].app) and ports_of(app) & box.ports for box in boxes if box.instance in wanted
            )
            if blocked or len(rivals) >= len(self.world.nodes):
                continue
            if app.restart:
                self._check_job(name, app, mine)
                continue
            good = last_good(self.history.revisions.get(app.name, ()))
            meant = (app, with_service(good.app, app)) if good is not None else (app,)
            if not all(self._has_room(one, wanted) for one in meant):
                continue
            spec = self._spec_at_rest(app)
            if spec and [(box.state, box.spec) for box in mine] != [("running", spec)]:
                raise Violation(f"{name} should run once and right, and there is {mine}")
        everywhere = {name: app for name, app in self.world.person.apps.items() if app.mode == GLOBAL}
        for name, app in everywhere.items():
            spec = self._spec_at_rest(app)
            for node in self.world.nodes if spec else ():
                here = [(box.state, box.spec) for box in boxes if (box.app, box.node) == (name, node)]
                if here != [("running", spec)]:
                    raise Violation(f"{name} should run once and right on {node}, and there is {here}")
        for box in boxes:
            if box.instance not in wanted and box.app not in everywhere:
                raise Violation(f"{box} is not desired and stays")
        apps = self.world.person.apps
        if self.world.front is not None:
            hopeful = {name for name, app in apps.items() if not (hopeless(app) or app.restart or app.mode == GLOBAL)}
            self.world.front.check_rest(boxes, hopeful)
        idle = {
            name
            for name in self.world.watch.issued_at_all[acted:]
            if not (hopeless(apps[app_of(name)]) or ports_of(apps[app_of(name)]))
        }
        if idle:
            raise Violation(f"the loop is not at rest: {idle}")
        if passes > 60:
            raise Violation(f"{passes} passes in a minute of rest")

    def _spec_at_rest(self, app: App) -> str:
        """The hash of what its instances should run in the end, "" where nothing may."""
        past = self.history.revisions.get(app.name, ())
        good = last_good(past)
        # Also one that would do is taken back when its instances were made to crash.
        failed = hopeless(app) or (bool(past) and past[-1].outcome == FAILED)
        if failed and app.update_config.get("failure_action", ROLLBACK) != ROLLBACK:
            return ""
        serves = good is not None and not hopeless(good.app)
        return spec_hash(app) if not failed else good.spec if serves and good else ""

    def _has_room(self, app: App, wanted: Mapping[str, Instance]) -> bool:
        """Whether the nodes that the app's pattern means may have all of its instances."""
        nodes = [name for name in self.world.nodes if self.world.watch.promises.sites.allows(app, name)]
        count = sum(other.app.name == app.name for other in wanted.values())
        if ports_of(app):
            # A port is held once on a node, by whichever app, and by whichever of its revisions.
            others = sum(other.app.name != app.name and self._had_ports(other.app) for other in wanted.values())
            return count + others <= len(nodes)
        most = app.max_per_node or count
        return bool(nodes) and most * len(nodes) >= count

    def _had_ports(self, app: App) -> bool:
        return bool(ports_of(app)) or any(ports_of(item.app) for item in self.history.revisions.get(app.name, ()))

    def _check_strangers(self) -> None:
        """Nothing that is none of ours was removed or replaced."""
        there = {id(box) for box in self._boxes()}
        gone = [box for box in self.world.strangers if id(box) not in there]
        if gone:
            raise Violation(f"{gone} were not ours")

    def _check_job(self, name: str, app: App, mine: Sequence[Box]) -> None:
        """It is over, and at most one container tells of it: somebody may have removed that."""
        reconciler = self.world.watch.reconciler
        assert reconciler is not None
        end = recorded(app, reconciler.book.placements[name].end) if name in reconciler.book.placements else None
        if end is None or len(mine) > 1 or any((box.state, box.spec) != ("exited", spec_hash(app)) for box in mine):
            raise Violation(f"{name} should be over, and there is {mine}, {end}")
        if app.restart == "on-failure" and end.code:
            raise Violation(f"{name} failed and was not started again")

    def _check_that_the_hopeless_delay_nobody(self) -> None:
        refusing = list(self.world.nodes.values())[1:3] if REFUSALS.items() <= self.more.items() else []
        for node in refusing:
            node.engine.refusing[node.name, "late"] = NODES_OWN[0]
        self.world.person.apps["late"] = App("web:1", "late")
        self.world.wake()
        self.pass_time(SOON)
        if [box.state for box in self._boxes() if box.app == "late"] != ["running"]:
            raise Violation(f"an app declared among hopeless ones does not run after {SOON} s")
        for node in refusing:
            del node.engine.refusing[node.name, "late"]

    def uneven(self) -> list[str]:
        """What a rebalance would still move, without apps that crash: those may move whenever they are up for a moment."""
        self.rebalances.keep(replace(self.rebalances.progress, moving={}))
        self.rebalances.ask()
        self._turn()
        apps = self.world.person.apps
        told = [line.partition("rebalancing: ")[2] for line in self.world.trace[-30:]]
        return [line for line in told if line and not hopeless(apps[app_of(line.split()[0])])]

    def _boxes(self) -> list[Box]:
        engines = {id(node.engine): node.engine for node in self.world.nodes.values()}
        return [box for engine in engines.values() for box in engine.boxes.values()]


def hopeless(app: App) -> bool:
    """Also what was a job, and comes back as a service when an update of it to one fails: it ends by itself."""
    ends = not app.restart and app.image.startswith((JOB, SHAKY))
    return ends or app.image.startswith((REFUSED, CRASHING, ENDLESS, STUCK))


def ports_of(app: App) -> set[str]:
    """Of the node; the engine chooses the others."""
    return {port.partition(":")[0] for port in app.ports if ":" in port}
