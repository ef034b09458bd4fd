"""The reconciler as a process: `python -m controllers.loop --project DIR`; started by `./inv up reconcile`.

SENSOR, SETPOINT, COMPARATOR, ACTUATOR, over and over: at every `loop_interval`, and at once when the file changes, a
container ends, a node comes back, an action is done, or on SIGHUP. Wake-ups carry nothing: each pass looks at it all.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

from controllers.placements import PlacementBook
from controllers.reconciler import Heard, Reconciler
from duckconf import engine
from duckconf.desired import UNKNOWN, Desired, desired_of
from duckconf.engine_output import Container
from duckconf.errors import BadInput, DuckconfError, NodeFailure, Unreachable
from duckconf.inventory import Host, Inventory
from duckconf.plan import UNDER_WAY, Step
from duckconf.reach.actuator import execute
from duckconf.reach.desired_file import FILE_NAME, DesiredFile
from duckconf.reach.files import FolderLock
from duckconf.reach.fleet import Fleet
from duckconf.reach.host_keys import OWN_PINS, KnownHosts
from duckconf.reach.hosts import InventoryFollower
from duckconf.reach.project import Project, load_project
from duckconf.reach.sensor import observe

log = logging.getLogger("reconciler")

# A node slower than this is left out of the pass; its answer starts the next one.
PATIENCE = 1.0
WATCH_FILE_EVERY = 0.05
FOLLOW_AGAIN = 1.0
WORKERS = 64


class Loop:
    """One cluster's loop with its threads and connections."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._hosts = InventoryFollower(project.inventory_path, project.root)
        self._inventory: Inventory = self._hosts.current()
        pins = KnownHosts(project.pins, OWN_PINS)
        settings = project.settings
        self._fleet = Fleet(self._inventory.node_hosts(), pins, project.login_key, settings.node_deadline, keeps_trying=True)
        self._file = DesiredFile(project.state / FILE_NAME)
        self._reconciler = Reconciler(project.cluster, PlacementBook(project.state / "placements.json"), settings.node_timeout)
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._open_steps: Counter[str] = Counter()
        self._asked: dict[str, tuple[float, Future[tuple[Container, ...]]]] = {}
        self._followed: set[str] = set()
        self._said: tuple[object, ...] = ()
        self._sensors = ThreadPoolExecutor(WORKERS, "sensor")
        self._actuators: dict[str, ThreadPoolExecutor] = {}

    def wake(self) -> None:
        self._wake.set()

    def end(self) -> None:
        self._ended.set()
        self._wake.set()

    def run(self) -> None:
        """Loop until `end`."""
        threading.Thread(target=self._watch_file, daemon=True).start()
        while not self._ended.is_set():
            self._wake.clear()
            heard: dict[str, Heard] = {}
            try:
                heard = self.once()
            except OSError as error:
                log.error("placements cannot be written, nothing is done: %s", error)
            with self._lock:
                due = self._reconciler.wake_after(heard, time.monotonic())
            interval = self._project.settings.loop_interval
            self._wake.wait(interval if due is None else min(interval, due + 0.01))
        self._fleet.close()

    def once(self) -> dict[str, Heard]:
        """One pass; returns who was heard."""
        self._follow_inventory()
        heard, silent = self._sense()
        desired, faults = self._setpoint()
        with self._lock:
            plan = self._reconciler.decide(desired, self._inventory.nodes, heard, (), time.monotonic())
            self._open_steps.update(step.app for step in plan.steps)
        notes = [f"{app}: {note}" for app, note in plan.notes.items() if note != UNDER_WAY]
        self._say(heard, silent, desired, faults, [*plan.steps], notes)
        for step in plan.steps:
            log.info("ACTUATOR    %s", step)
            self._pool(step.action.node).submit(self._act, step)
        return heard

    def _say(
        self,
        heard: Mapping[str, Heard],
        silent: Mapping[str, str],
        desired: Desired,
        faults: Sequence[str],
        steps: Sequence[Step],
        notes: Sequence[str],
    ) -> None:
        """The pass in words, when it has something to do or something new to say."""
        lost = self._reconciler.health.lost
        said = (tuple(sorted(silent)), tuple(faults), tuple(notes), lost)
        if not steps and said == self._said:
            return
        self._said = said
        running = sum(container.running for _, containers in heard.values() for container in containers)
        log.info("SENSOR      %d of %d nodes answer, %d apps run", len(heard), len(heard) + len(silent), running)
        for node, reason in sorted(silent.items()):
            log.info("SENSOR      %s is %s: %s", node, "lost" if node in lost else "silent", reason)
        log.info("SETPOINT    %d apps should run", len(desired.apps))
        for fault in faults:
            log.warning("SETPOINT    %s", fault)
        log.info("COMPARATOR  %s", f"to do: {len(steps)}" if steps else "nothing to do")
        for note in notes:
            log.info("COMPARATOR  %s", note)

    def _sense(self) -> tuple[dict[str, Heard], dict[str, str]]:
        nodes = self._inventory.node_hosts()
        for host in nodes:
            if host.name not in self._asked:
                future = self._sensors.submit(observe, self._project.cluster, host, self._fleet.runner(host.name))
                self._asked[host.name] = (time.monotonic(), future)
                self._follow(host)
        wait([self._asked[host.name][1] for host in nodes], timeout=PATIENCE)
        heard: dict[str, Heard] = {}
        silent: dict[str, str] = {}
        for host in nodes:
            asked, future = self._asked[host.name]
            if not future.done():
                silent[host.name] = "has not answered yet"
                future.add_done_callback(lambda _: self.wake())
                continue
            del self._asked[host.name]
            failure = future.exception()
            if failure is None:
                heard[host.name] = (asked, future.result())
            elif isinstance(failure, DuckconfError):
                silent[host.name] = failure.message
            else:
                raise failure
        return heard, silent

    def _setpoint(self) -> tuple[Desired, list[str]]:
        try:
            document = self._file.read()
        except BadInput as bad:
            return UNKNOWN, [str(bad)]
        return desired_of(document), [str(fault) for fault in document.faults]

    def _act(self, step: Step) -> None:
        failure: DuckconfError | None = None
        begun = time.monotonic()
        try:
            execute(step.action, self._project.cluster, self._fleet.runner(step.action.node))
            log.info("ACTUATOR    done in %.2f s: %s", time.monotonic() - begun, step.action)
        except DuckconfError as error:
            failure = error
            log.warning("ACTUATOR    %s failed: %s", step.action, error)
        except KeyError:
            failure = Unreachable(step.action.node, "is no longer in the inventory")
        with self._lock:
            self._open_steps[step.app] -= 1
            try:
                self._reconciler.settle(step, failure, time.monotonic(), last=self._open_steps[step.app] == 0)
            except OSError as error:
                log.error("placements cannot be written: %s", error)
        self.wake()

    def _pool(self, node: str) -> ThreadPoolExecutor:
        """Each node has hands of its own: a slow one holds up nobody else."""
        if node not in self._actuators:
            self._actuators[node] = ThreadPoolExecutor(5, f"actuator-{node}")
        return self._actuators[node]

    def _follow(self, host: Host) -> None:
        if host.name not in self._followed:
            self._followed.add(host.name)
            threading.Thread(target=self._follow_engine, args=(host,), name=f"events-{host.name}", daemon=True).start()

    def _follow_engine(self, host: Host) -> None:
        """Wake whenever a container ends on the node; and when the node is back after it was away."""
        command = engine.endings(self._project.cluster, host.engine)
        while not self._ended.is_set() and self._inventory.hosts.get(host.name) == host:
            try:
                runner = self._fleet.runner(host.name)
                runner.open()
                self.wake()
                runner.follow(command, self.wake)
            except (NodeFailure, KeyError, OSError):
                pass
            self._ended.wait(FOLLOW_AGAIN)
        self._followed.discard(host.name)

    def _follow_inventory(self) -> None:
        inventory = self._hosts.current()
        if inventory is not self._inventory:
            self._fleet.update(inventory.node_hosts())
            self._inventory = inventory

    def _watch_file(self) -> None:
        while not self._ended.wait(WATCH_FILE_EVERY):
            if self._file.changed():
                self.wake()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m controllers.loop", description="The Duckconf reconciler.")
    parser.add_argument("--project", type=Path, required=True, help="folder that holds invoke.yml and the inventory")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    try:
        project = load_project(options.project, os.environ)
        project.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FolderLock(project.state / "reconciler.lock", "the reconciler")
        loop = Loop(project)
    except DuckconfError as error:
        log.error("%s", error)
        return error.exit_code
    signal.signal(signal.SIGTERM, lambda *_: loop.end())
    signal.signal(signal.SIGHUP, lambda *_: loop.wake())
    log.info("cluster %s, desired state in %s", project.cluster, project.state / FILE_NAME)
    loop.run()
    lock.release()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
