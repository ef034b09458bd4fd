"""The agent of one node: `python3 -I agent.pyz --config FILE`; the role `agent` runs it.

The same loop as the reconciler's, over a world of one node, itself: what should run is what the api-server last said,
and the engine is asked and told by `docker` on this machine. Killed at any point, it loses nothing.
"""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import NoReturn

from controllers.asked import Asked
from controllers.beat import Entry, entries
from controllers.checks import Checks
from controllers.cycle import Cycle, Look, Setpoint
from controllers.edge import Edge
from controllers.heart import Heart
from controllers.orders import Orders
from controllers.reconciler import Reconciler
from controllers.words import LastWords
from duckconf import engine
from duckconf.actions import Restart, Start
from duckconf.desired import UNKNOWN, Desired
from duckconf.engine_output import Container
from duckconf.errors import DuckconfError, NodeFailure, SetupError, Unreachable, Unreadable
from duckconf.events import Event
from duckconf.facts import Facts
from duckconf.inventory import Host, Inventory
from duckconf.leaving import Fronted
from duckconf.overview import PENDING, AppView
from duckconf.pins import Question, found_out
from duckconf.plan import Step
from duckconf.reach.api.agent_config import AgentConfig, read_agent_config
from duckconf.reach.nodes.actuator import execute, last_words
from duckconf.reach.nodes.facts import facts_of
from duckconf.reach.nodes.hands import OwnHands
from duckconf.reach.nodes.identify import Answered, answer
from duckconf.reach.nodes.orphans import starts_under_way, still_starts
from duckconf.reach.nodes.own_line import OwnRunner
from duckconf.reach.nodes.own_name import require_name
from duckconf.reach.nodes.sensor import observe
from duckconf.reach.nodes.watcher import Watcher
from duckconf.reach.state import logs
from duckconf.reach.state.files import FolderLock, write_durably
from duckconf.reach.state.placements import FoundPlacements
from duckconf.reach.state.ready import Readiness
from duckconf.reach.state.reports import ReportFile
from duckconf.refusal import active
from duckconf.report import Report

log = logging.getLogger("agent")

INSTANCE_LENGTH = 32

# Actions at once.
HANDS = 5
FOLLOW_AGAIN = 1.0
LOOK_AT_ORPHANS_EVERY = 0.1
FACTS_EVERY = 60.0
LOCK = "agent.lock"
INSTANCE = "instance"
REPORT = "report.json"
RIVAL = "another agent with the name {} is running; this agent changes nothing until it stops"


class Itself:
    """The cycle's world: this machine's engine, the api-server, threads and the clock."""

    def __init__(self, config: AgentConfig) -> None:
        """Raises SetupError when the state folder cannot serve."""
        state = Path(config.state_dir)
        self._config = config
        self._host = Host(config.node, "localhost", engine=config.engine)
        self._inventory = Inventory({config.node: self._host}, (config.node,), cluster=config.cluster)
        self._runner = OwnRunner(config.node)
        self._report = ReportFile(state / REPORT)
        self._woken = threading.Event()
        self._heart = Heart(config, _instance(state / INSTANCE), self.wake)
        self._checks = Checks(lambda _, hear: Watcher(hear), self.tell, self.wake)
        self._containers: tuple[Container, ...] = ()
        self._unreadable = ""
        self._views: Sequence[AppView] = ()
        self._asked = Asked(config, OwnHands(config.cluster, {config.node: self._runner}.__getitem__))
        self._orders = Orders(config, self._heart, self._present, self.wake, self._take_questions)
        self._orphans: Mapping[int, str] = {}
        self._sensor = ThreadPoolExecutor(1, "sensor")
        self._hands = ThreadPoolExecutor(HANDS, "actuator")
        self._looked = 0.0
        self._readiness = Readiness()
        self._edge = Edge(config, self._runner, self.tell)
        self._words = LastWords(partial(self.last_words, config.node), self.wake)

    def now(self) -> float:
        return time.monotonic()

    def inventory(self) -> Inventory:
        return self._inventory

    def cordoned(self) -> Collection[str]:
        return ()

    def draining(self) -> Collection[str]:
        return ()

    def asked(self) -> Mapping[str, int]:
        return {self._config.node: self._orders.again}

    def fronted(self) -> Fronted:
        return Fronted([(self._config.node, container) for container in self._heart.front], self._heart.fronts_told)

    def serve(self, desired: Desired, views: Sequence[AppView]) -> None:
        # The api-server tells the fronts.
        pass

    def facts(self) -> Mapping[str, Facts]:
        # What the node is too small for was placed by somebody who knows it.
        return {}

    def setpoint(self) -> Setpoint:
        if self._heart.rival:
            return Setpoint(UNKNOWN, [RIVAL.format(self._config.node)])
        # What was desired last may be long out of date: the server is asked first, if it can be.
        return self._orders.setpoint() if self._orders.asked.is_set() else Setpoint(UNKNOWN)

    def look(self, host: Host) -> Look:
        asked = self.now()
        look: Look = self._sensor.submit(self._observe, host)
        look.add_done_callback(lambda done: self._seen(done, asked))
        return look

    def rest(self, looks: Sequence[Look], seconds: float) -> None:
        wait(looks, timeout=seconds)

    def act(self, step: Step, done: Callable[[DuckconfError | None], None]) -> None:
        self._hands.submit(self._act, step, done)

    def last_words(self, node: str, container: str, done: Callable[[str], None]) -> None:
        self._sensor.submit(lambda: done(last_words(container, self._runner)))

    def identify(self, question: Question, done: Answered) -> None:
        self._sensor.submit(answer, question, self._runner, done)

    def wake(self) -> None:
        self._woken.set()

    def passed(self, words: dict[str, str], heard: Collection[str]) -> None:
        """Heartbeat and events tell the api-server."""

    def acts(self, step: Step, words: str, *, done: bool) -> None:
        """Its end is an event."""

    def say(self, step: str, text: str) -> None:
        log.info("%s", text, extra={"step": step})

    def tell(self, event: Event) -> None:
        # Where an app fits is the scheduler's to say: it knows the other nodes.
        if event.kind != PENDING:
            self._heart.tell(event)

    def publish(self, report: Report) -> None:
        self._views = report.apps
        try:
            self._report.write(report)
        except OSError as error:
            log.warning("the report cannot be written: %s", error)

    def run(self) -> NoReturn:
        """Pass after pass, for ever."""
        config = self._config
        self._orphans = starts_under_way(config.cluster, config.node)
        reconciler = Reconciler(config.cluster, FoundPlacements(), config.interval, only_mine=True)
        last = self._report.read()
        if last is not None:
            reconciler.tries.update(last.tries_at(self.now()))
        cycle = Cycle(self, reconciler)
        threads = {"heart": self._heart.run, "orders": self._orders.run, "events": self._follow_engine, "facts": self._keep_facts}
        threads["edge"] = self._edge.run
        for name, target in threads.items():
            threading.Thread(target=_or_end, args=(target,), name=name, daemon=True).start()
        while True:
            self._woken.clear()
            cycle.once()
            if self._looked:
                refusals = tuple(active(reconciler.refusals, self.now()).values())
                found = found_out(self._orders.setpoint().desired.instances.values(), dict(reconciler.images.learned))
                self._heart.see(self._seen_here(), self._looked, refusals, self._unreadable, found)
            self._readiness.tell()
            due = cycle.due()
            self._woken.wait(config.interval if due is None else min(config.interval, due + 0.01))

    def _seen_here(self) -> Sequence[Entry]:
        wanted = self._orders.setpoint().desired.instances
        return entries(self._containers, self._views, wanted, self._words.of(self._views, self._containers))

    def _observe(self, host: Host) -> tuple[Container, ...]:
        require_name(host.name)
        return self._checks.over(host.name, observe(self._config.cluster, host, self._runner))

    def _seen(self, look: Future[tuple[Container, ...]], asked: float) -> None:
        failure = look.exception()
        if failure is None:
            self._containers, self._looked, self._unreadable = look.result(), asked, ""
        elif isinstance(failure, Unreadable):
            # This node lives, and what it was told to run may well run.
            self._looked, self._unreadable = asked, f"{failure.reason} ({failure.remedy})" if failure.remedy else failure.reason

    def _take_questions(self, questions: object) -> None:
        if not self._heart.rival:
            self._asked.take(questions)

    def _present(self) -> Collection[str]:
        return {container.instance for container in self._containers}

    def _act(self, step: Step, done: Callable[[DuckconfError | None], None]) -> None:
        failure: DuckconfError | None = None
        try:
            if isinstance(step.action, Start):
                self._wait_for_orphans(step.action.container)
            execute(step.action, self._config.cluster, self._runner, self._orders.value)
        except DuckconfError as error:
            failure = error
        except Exception as error:
            # A step that nobody hears of again would keep its app busy for ever.
            log.exception("a step failed with an unexpected error")
            failure = DuckconfError(f"{type(error).__name__}: {error}")
        if isinstance(step.action, Restart):
            self._checks.restarted(step.action.node, step.action.container)
        done(failure)

    def _wait_for_orphans(self, container: str) -> None:
        """Raises Unreachable when an agent before this one had begun to start the container: what came of it is seen."""
        mine = [process for process, starting in self._orphans.items() if starting == container]
        if mine:
            end = self.now() + engine.RUN_DEADLINE
            while self.now() < end and any(still_starts(process, container) for process in mine):
                time.sleep(LOOK_AT_ORPHANS_EVERY)
            self._orphans = {process: starting for process, starting in self._orphans.items() if process not in mine}
            raise Unreachable(self._config.node, "an earlier agent was still starting it", may_have_run=True)

    def _keep_facts(self) -> None:
        pairs = {self._config.node: (self._host, self._runner)}
        known: dict[str, Facts] = {}
        while True:
            known = facts_of(pairs, known)
            self._heart.know(known[self._config.node])
            time.sleep(FACTS_EVERY)

    def _follow_engine(self) -> None:
        """Wake whenever a container ends here."""
        command = engine.endings(self._config.cluster, self._config.engine)
        pause = FOLLOW_AGAIN
        while True:
            begun = self.now()
            self.wake()
            try:
                self._runner.follow(command, lambda _: self.wake())
            except (NodeFailure, OSError) as error:
                log.debug("the engine's events cannot be followed: %s", error)
            pause = FOLLOW_AGAIN if self.now() - begun > self._config.interval else min(2 * pause, self._config.interval)
            time.sleep(pause)


def _or_end(target: Callable[[], None]) -> None:
    """A thread that fails in an unforeseen way takes the process with it: the next one begins anew."""
    try:
        target()
    except BaseException:
        log.exception("ended by an unexpected error")
        os._exit(1)


def _instance(path: Path) -> str:
    """What tells this installation of an agent from another one of the same name; made once, and again when it was cut."""
    try:
        if not path.exists() or len(path.read_bytes().strip()) != INSTANCE_LENGTH:
            write_durably(path, secrets.token_hex(INSTANCE_LENGTH // 2).encode() + b"\n")
        return path.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        raise SetupError(f"{path} cannot be used: {error}", "is the state folder writable?") from error


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="agent.pyz", description="The Duckconf agent of one node.")
    parser.add_argument("--config", type=Path, required=True, help="the JSON file that the role `agent` writes")
    parser.add_argument("--json-logs", action="store_true", help="one JSON object per line, for programs")
    options = parser.parse_args(arguments)
    logs.set_up(as_json=options.json_logs)
    # At once and without a word to the containers: whatever is under way is found again at the next start.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    try:
        config = read_agent_config(options.config)
        state = Path(config.state_dir)
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        FolderLock(state / LOCK, f"the agent of {config.node}", "one agent per node is enough")
        itself = Itself(config)
        signal.signal(signal.SIGHUP, lambda *_: itself.wake())
        log.info("node %s of cluster %s, api-server %s", config.node, config.cluster, config.api_url)
        itself.run()
    except DuckconfError as error:
        log.error("%s", error)
        return error.exit_code
    except OSError as error:
        log.error("%s", error)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
