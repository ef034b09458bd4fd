"""The reconciler as a process: `python -m controllers.loop --project DIR`; started by `./inv up reconcile`.

Runs the cycle over SSH at every `loop_interval`, and at once when the desired file changes, a container ends, a node
comes back, an action is done, or on SIGHUP.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from controllers.checks import Checks, Line
from controllers.cycle import Cycle, Look, Setpoint
from controllers.fronts import Fronts
from controllers.reconciler import Reconciler
from duckconf import engine
from duckconf.actions import Restart
from duckconf.desired import UNKNOWN, Desired, desired_of
from duckconf.engine_output import Container
from duckconf.errors import BadInput, DuckconfError, NodeFailure, Unreachable
from duckconf.events import Event
from duckconf.facts import Facts, ask_machine, read_facts
from duckconf.inventory import Host, Inventory
from duckconf.leaving import Fronted
from duckconf.node_name import misnamed
from duckconf.overview import AppView
from duckconf.picture import ACTUATOR
from duckconf.pins import Question
from duckconf.plan import Step
from duckconf.reach.inventory.follower import InventoryFollower
from duckconf.reach.inventory.project import Project, load_project
from duckconf.reach.inventory.topology import front_addresses
from duckconf.reach.nodes import hands
from duckconf.reach.nodes.actuator import execute, last_words
from duckconf.reach.nodes.hands import OwnHands
from duckconf.reach.nodes.identify import Answered, answer
from duckconf.reach.nodes.observer import Observer, Pairs
from duckconf.reach.nodes.sensor import observe
from duckconf.reach.nodes.watcher import Verdict
from duckconf.reach.ssh.fleet import Fleet
from duckconf.reach.ssh.health_line import HealthLine
from duckconf.reach.ssh.host_keys import OWN_PINS, KnownHosts
from duckconf.reach.ssh.runner import SshRunner
from duckconf.reach.state import asked, cordons, data, journal, logs, observer_socket, passings, reports, secrets
from duckconf.reach.state.desired_file import FILE_NAME, DesiredReader, Stamp, rested, stamp_of
from duckconf.reach.state.files import FolderLock
from duckconf.reach.state.placements import FILE_NAME as PLACEMENTS
from duckconf.reach.state.placements import PlacementBook
from duckconf.reach.state.rebalances import RebalanceBook
from duckconf.reach.state.revisions import FILE_NAME as HISTORY
from duckconf.reach.state.revisions import RevisionBook
from duckconf.reach.state.secrets import SecretFile, resolved
from duckconf.report import Report

log = logging.getLogger("reconciler")

LOOK_AT_FILES_EVERY = 0.05
FOLLOW_AGAIN = 1.0
SENSORS = 64
# Actions at once on one node; sshd serves ten sessions per connection.
HANDS = 5
LOCK = "reconciler.lock"


class Outside:
    """The cycle's world: SSH connections, files, threads and the clock."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._woken = threading.Event()
        self._hosts = InventoryFollower(project.inventory_path, project.root, self.wake)
        self._inventory = self._hosts.current()
        pins, settings = KnownHosts(project.pins, OWN_PINS), project.settings
        self._fleet = Fleet(
            self._inventory.node_hosts(),
            pins,
            project.login_key,
            settings.node_deadline,
            keeps_trying=True,
            refusals=project.refusals,
        )
        self._book = PlacementBook(project.state / PLACEMENTS)
        self._history = RevisionBook.at(project.state / HISTORY)
        self._rebalances = RebalanceBook(project.state)
        self._moves = data.MoveFile(project.state / data.MOVES_NAME)
        self._data = data.DataBook.at(project.state / data.FILE_NAME, self._moves.moves)
        if self._history.trouble:
            log.warning("%s", self._history.trouble)
        self._desired = DesiredReader(project.state / FILE_NAME, lambda: self._book.placements.keys())
        self._cordons = cordons.Cordons(project.state / cordons.FILE_NAME)
        self._drains = cordons.Cordons(project.state / cordons.DRAINS_NAME)
        self._asked = asked.Asked(project.state / asked.FILE_NAME)
        self._secrets = SecretFile(project.state / secrets.FILE_NAME)
        self._journal = journal.Journal(project.state / journal.FILE_NAME, "reconciler")
        self._report = reports.ReportFile(project.state / reports.FILE_NAME)
        self._began = time.monotonic()
        self._passing = passings.PassingFile(project.state / passings.FILE_NAME, time.time)
        self._ended = threading.Event()
        self._followed: set[str] = set()
        self._facts: dict[str, Facts] = {}
        self._checks = Checks(self._health_line, self.tell, self.wake)
        self._sensors = ThreadPoolExecutor(SENSORS, "sensor")
        self._actuators: dict[str, ThreadPoolExecutor] = {}
        self._fronts = Fronts(lambda node: self._fleet.runner(node), self.wake, self.tell)

    def now(self) -> float:
        return time.monotonic()

    def inventory(self) -> Inventory:
        inventory = self._hosts.current()
        if inventory is not self._inventory:
            self._fleet.update(inventory.node_hosts())
            self._inventory = inventory
        for host in inventory.node_hosts():
            self._follow(host)
        self._fronts.follow({name: inventory.hosts[name].acme for name in inventory.edges})
        return inventory

    def cordoned(self) -> Collection[str]:
        return self._cordons.names() | self._drains.names()

    def draining(self) -> Collection[str]:
        return self._drains.names()

    def asked(self) -> Mapping[str, int]:
        return self._asked.numbers()

    def fronted(self) -> Fronted:
        return self._fronts.fronted()

    def serve(self, desired: Desired, views: Sequence[AppView]) -> None:
        self._fronts.serve(desired, views, front_addresses(self._inventory, self._project.state))

    def facts(self) -> Mapping[str, Facts]:
        known = dict(self._facts)
        return {node: known[node] for node in self._inventory.nodes if node in known}

    def setpoint(self) -> Setpoint:
        try:
            document, behind = self._desired.read()
        except BadInput as bad:
            return Setpoint(UNKNOWN, [str(bad), *self._troubles()])
        faults = [f"{FILE_NAME}, {fault}; its app is left unchanged" for fault in document.faults]
        desired, lacking = resolved(desired_of(document), self._secrets)
        return Setpoint(desired, [*([behind] if behind else []), *faults, *lacking, *self._troubles()])

    def _troubles(self) -> Sequence[str]:
        return [trouble] if (trouble := self._hosts.trouble) else []

    def look(self, host: Host) -> Look:
        return self._sensors.submit(self._observe, host, self._fleet.runner(host.name))

    def rest(self, looks: Sequence[Look], seconds: float) -> None:
        wait(looks, timeout=seconds)

    def act(self, step: Step, done: Callable[[DuckconfError | None], None]) -> None:
        node = step.action.node
        if node not in self._actuators:
            # Each node has hands of its own: a slow one holds up nobody else.
            self._actuators[node] = ThreadPoolExecutor(HANDS, f"actuator-{node}")
        self._actuators[node].submit(self._act, step, done)

    def last_words(self, node: str, container: str, done: Callable[[str], None]) -> None:
        def read() -> None:
            try:
                said = last_words(container, self._fleet.runner(node))
            except (DuckconfError, KeyError):
                said = ""
            done(said)

        self._sensors.submit(read)

    def identify(self, question: Question, done: Answered) -> None:
        try:
            runner = self._fleet.runner(question.node)
        except KeyError:
            done(None, Unreachable(question.node, "is no longer in the inventory"))
            return
        self._sensors.submit(answer, question, runner, done)

    def wake(self) -> None:
        self._woken.set()

    def say(self, step: str, text: str) -> None:
        log.info("%s", text, extra={"step": step})

    def passed(self, words: dict[str, str], heard: Collection[str]) -> None:
        self._passing.passed(words, heard, time.monotonic() - self._began)

    def acts(self, step: Step, words: str, *, done: bool) -> None:
        key = f"{step.action.node}/{step.action.container}"
        self._passing.acts(ACTUATOR, key, step.action.node, words, done=done)

    def tell(self, event: Event) -> None:
        self._journal.add(event)

    def publish(self, report: Report) -> None:
        try:
            self._report.write(report)
        except OSError as error:
            log.warning("the report cannot be written: %s", error)

    def run(self) -> None:
        """Pass after pass, until `end`."""
        cluster, timeout = self._project.cluster, self._project.settings.node_timeout
        reconciler = Reconciler(cluster, self._book, timeout, history=self._history, rebalances=self._rebalances, data=self._data)
        last = self._report.read()
        if last is not None:
            reconciler.tries.update(last.tries_at(self.now()))
            reconciler.refusals.update(last.refusals_at(self.now()))
        cycle = Cycle(self, reconciler)
        threading.Thread(target=self._watch_files, name="files", daemon=True).start()
        observer = Observer(self._pairs, self._observe)
        threading.Thread(target=observer.keep_facts, args=(self._ended,), name="facts", daemon=True).start()
        observer_socket.serve(self._project.state, observer.look)
        hands.serve(self._project.state, OwnHands(cluster, self._fleet.runner))
        while not self._ended.is_set():
            self._woken.clear()
            self._began = time.monotonic()
            try:
                cycle.once()
            except OSError as error:
                log.error("placements or history cannot be written, so no action is taken: %s", error)
            log.debug("the pass took %.1f ms", (time.monotonic() - self._began) * 1000)
            due = cycle.due()
            interval = self._project.settings.loop_interval
            self._woken.wait(interval if due is None else min(interval, due + 0.01))
        self._fleet.close()

    def end(self) -> None:
        self._ended.set()
        self._woken.set()

    def _act(self, step: Step, done: Callable[[DuckconfError | None], None]) -> None:
        failure: DuckconfError | None = None
        try:
            execute(step.action, self._project.cluster, self._fleet.runner(step.action.node), self._secrets.value)
        except DuckconfError as error:
            failure = error
        except KeyError:
            failure = Unreachable(step.action.node, "is no longer in the inventory")
        except Exception as error:
            # A step that nobody hears of again would keep its app busy for ever.
            log.exception("a step failed with an unexpected error")
            failure = DuckconfError(f"{type(error).__name__}: {error}")
        if isinstance(step.action, Restart):
            self._checks.restarted(step.action.node, step.action.container)
        done(failure)

    def _pairs(self) -> Pairs:
        """The nodes of the last pass."""
        hosts = self._inventory.node_hosts()
        return {host.name: (host, self._fleet.runner(host.name)) for host in hosts}

    def _observe(self, host: Host, runner: SshRunner) -> tuple[Container, ...]:
        if host.name not in self._facts or misnamed({host.name: self._facts[host.name]}):
            # Before anything is seen there: the machine may be known under another name, until a person has mended that.
            self._facts[host.name] = read_facts(host.engine, runner.run(ask_machine()).stdout)
        return self._checks.over(host.name, observe(self._project.cluster, host, runner))

    def _health_line(self, node: str, hear: Callable[[Verdict], None]) -> Line:
        def trouble(reason: str) -> None:
            words = f"{node}: {reason}; instances with a check stay `starting` there (./inv provision --limit {node})"
            self.tell(Event("no-checks", words, node=node))

        return HealthLine(lambda: self._fleet.runner(node), hear, trouble)

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
                self._facts[host.name] = read_facts(host.engine, runner.run(ask_machine()).stdout)
                runner.follow(command, lambda *_: self.wake())
            except (NodeFailure, KeyError, OSError):
                pass
            self._ended.wait(FOLLOW_AGAIN)
        self._followed.discard(host.name)

    def _watch_files(self) -> None:
        """Wake when a file that people or the API write has changed, and again when it has come to rest."""
        asked = (self._cordons.path, self._drains.path, self._asked.path, self._rebalances.asked_path, self._moves.path)
        paths = (self._project.state / FILE_NAME, self._secrets.path, *asked)
        last = [_version(path) for path in paths]
        while not self._ended.wait(LOOK_AT_FILES_EVERY):
            now = [_version(path) for path in paths]
            if now != last:
                last = now
                self.wake()


def _version(path: Path) -> tuple[Stamp | None, bool]:
    stamp = stamp_of(path)
    return stamp, stamp is None or rested(stamp)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m controllers.loop", description="The Duckconf reconciler.")
    parser.add_argument("--project", type=Path, required=True, help="folder that holds invoke.yml and the inventory")
    parser.add_argument("--json-logs", action="store_true", help="one JSON object per line, for programs")
    options = parser.parse_args(arguments)
    logs.set_up(as_json=options.json_logs)
    try:
        project = load_project(options.project, os.environ)
        project.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FolderLock(project.state / LOCK, "the reconciler")
        outside = Outside(project)
    except DuckconfError as error:
        log.error("%s", error)
        return error.exit_code
    signal.signal(signal.SIGTERM, lambda *_: outside.end())
    signal.signal(signal.SIGHUP, lambda *_: outside.wake())
    log.info("cluster %s, desired state in %s", project.cluster, project.state / FILE_NAME)
    try:
        outside.run()
    except DuckconfError as error:
        log.error("%s", error)
        return error.exit_code
    lock.release()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
