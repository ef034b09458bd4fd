"""A control plane of three demo hosts among faults: how soon it writes and places again, and whether anything was lost.

Clients count twenty running apps up the whole time. For each fault, one after the other in an order of the seed: seconds until
every client has had a write acknowledged that it began after the fault, and until an app that is declared then is placed.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import NamedTuple

from benchmarks.counters import ANSWER_SECONDS, COUNTER, FIRST, Counters, client
from benchmarks.faulty import Hosts
from benchmarks.history import contradictions
from benchmarks.measure import Row
from duckconf.cli.cluster import bring_up, modes
from duckconf.cli.cluster.etcd import Etcd
from duckconf.cli.cluster.nodes import open_cluster
from duckconf.cli.demo.own_cluster import own_cluster
from duckconf.cli.demo.tour_ha import CONTROL_PLANES, INVENTORY, NODES
from duckconf.cli.terminal.edge import ROOT
from duckconf.cli.terminal.say import say, step
from duckconf.errors import DuckconfError
from duckconf.members import Member
from duckconf.naming import WEB_IMAGE
from duckconf.reach.api.client import path_of
from duckconf.reach.inventory.project import Project, load_project
from duckconf.reach.inventory.topology import member_addresses

SEED = "DUCKCONF_BENCH_SEED"
APPS = tuple(f"counted-{number}" for number in range(20))
WRITES_WITHIN, PLACED_WITHIN = 5.0, 8.0
# Seconds for which a fault lasts at least, and until all is well again at most.
LASTS, LONGEST = 10.0, 120.0
LOOK_EVERY = 0.05
AN_HOUR = 3600

Fault = Callable[[], AbstractContextManager[None]]


class Well(NamedTuple):
    """What became of a cluster after a fault."""

    written: float
    placed: float


class Bench:
    def __init__(self, project: Project, seed: int) -> None:
        self.hosts = Hosts(project)
        self.counters = Counters(project, APPS, seed)
        self._api = client(project, "")
        self._project = project
        self._placed: list[str] = []

    def declare(self) -> dict[str, str]:
        """The containers of the apps, which run when this returns."""
        for app in APPS:
            self._api.call("PUT", path_of("app", app), {"image": WEB_IMAGE, COUNTER: FIRST})
        self.until("all apps run", self._all_run)
        return self.containers()

    def containers(self) -> dict[str, str]:
        """What tells that one was started again."""
        return {one.app: f"{one.id} {one.started}" for one in self.hosts.apps() if one.app in APPS}

    def faults(self) -> dict[str, Fault]:
        """By the words of the table. Who leads is asked when the fault begins."""
        hosts, leads = self.hosts, partial(self.leader, "scheduler")
        each = {f"{name} is frozen": partial(hosts.frozen, name) for name in hosts.names}
        each |= {f"{name} is rebooted": partial(hosts.rebooted, name) for name in hosts.names}
        return {
            **each,
            "etcd's leader is frozen": lambda: hosts.frozen(self.leader_of_etcd()),
            "all is killed where the scheduler leads": lambda: hosts.killed(leads()),
            "the scheduler's host is cut off from the other two": lambda: hosts.apart(leads(), hosts.names),
            "etcd's leader is cut off from all": lambda: hosts.apart(self.leader_of_etcd(), [*hosts.names, *hosts.nodes]),
            "the scheduler's server is cut off from etcd": lambda: hosts.without_etcd(leads()),
            "agents are cut off from one server": lambda: hosts.apart(hosts.names[0], hosts.nodes),
            "the disk of etcd's leader is full": lambda: hosts.full(self.leader_of_etcd()),
            "the clock of the scheduler's host is an hour ahead": lambda: hosts.wrong_clock(leads(), AN_HOUR),
            "a host is frozen while etcd forgets": partial(hosts.frozen_over_compactions, hosts.names[1]),
        }

    def under(self, fault: AbstractContextManager[None]) -> Well:
        """Raises DuckconfError when it does not write or place again, or is not well afterwards."""
        with fault:
            begun = time.monotonic()
            placed: list[float] = []
            placing = threading.Thread(target=self._place, args=(begun, placed))
            placing.start()
            written = self.until("all write", lambda: self.counters.all_since(begun)) - begun
            placing.join()
            time.sleep(max(0.0, begun + LASTS - time.monotonic()))
        self.settle()
        if not placed:
            raise DuckconfError(f"not within {LONGEST:g} s: an app is placed")
        return Well(written, placed[0])

    def without_majority(self) -> list[Row]:
        """Two of three are frozen: nothing is written, and agents go on."""
        with self.hosts.frozen(*self.hosts.names[:2]):
            # What was on its way may end, and agents find out.
            time.sleep(LASTS)
            before, begun, crashed = self.counters.acknowledged, time.monotonic(), self._placed[0]
            self.hosts.crash(crashed)
            again = self.until("it runs again", lambda: any(one.app == crashed and one.running for one in self.hosts.apps()))
            time.sleep(max(0.0, begun + LASTS - time.monotonic()))
            found = self.counters.acknowledged - before
        thawed = time.monotonic()
        written = self.until("all write", lambda: self.counters.all_since(thawed))
        self.settle()
        return [
            Row("two of three are frozen: a crashed app runs again", [again - begun], goal=WRITES_WITHIN),
            Row("two of three are frozen: writes acknowledged", [found], goal=0, unit=""),
            Row("all are back: all write again", [written - thawed]),
        ]

    def settle(self) -> None:
        """All members and apps are well, and each instance has one container."""
        self.until("the members are well", lambda: all(member.well for member in self._members()))
        self.until("all apps run", self._all_run)
        self.until("each has one container", lambda: self.surplus() == 0)

    def surplus(self) -> int:
        """Instances with no container, or with several."""
        counted = Counter(one.app for one in self.hosts.apps())
        return sum(counted[app] != 1 for app in {*APPS, *self._placed, *counted})

    def leader(self, lease: str) -> str:
        found = {one["name"]: one["who"] for one in self._api.call("GET", "/leases", deadline=ANSWER_SECONDS)["leases"]}
        return str(found[lease])

    def leader_of_etcd(self) -> str:
        """Raises DuckconfError when nobody leads."""
        for member in self._members():
            if member.leader:
                return member.name
        raise DuckconfError("etcd has no leader")

    def _members(self) -> Sequence[Member]:
        with open_cluster(self._project) as cluster:
            return Etcd(member_addresses(cluster.inventory), cluster.fleet).look().seen.members

    def until(self, what: str, condition: Callable[[], bool]) -> float:
        """When it was so. Raises DuckconfError."""
        end = time.monotonic() + LONGEST
        while True:
            try:
                if condition():
                    return time.monotonic()
                error = ""
            except DuckconfError as refused:
                error = f" ({refused})"
            if time.monotonic() > end:
                raise DuckconfError(f"not within {LONGEST:g} s: {what}{error}")
            time.sleep(LOOK_EVERY)

    def _all_run(self) -> bool:
        shown = {app["name"]: app["status"] for app in self._api.call("GET", "/apps", deadline=ANSWER_SECONDS)["apps"]}
        return all(shown.get(name) == "running" for name in [*APPS, *self._placed])

    def _place(self, begun: float, placed: list[float]) -> None:
        """Declare an app of its own, and add the seconds until it has a node."""
        api, name = client(self._project, "placer"), f"placed-{len(self._placed)}"

        def declared() -> bool:
            return bool(api.call("PUT", path_of("app", name), {"image": WEB_IMAGE}, deadline=ANSWER_SECONDS))

        def has_node() -> bool:
            return bool(api.call("GET", path_of("app", name), deadline=ANSWER_SECONDS)["node"])

        try:
            self.until("an app is declared", declared)
            self._placed.append(name)
            placed.append(self.until("it is placed", has_node) - begun)
        except DuckconfError as error:
            say(f"  {error}")


def faults(*_: object) -> list[Row]:
    """The seed stands in DUCKCONF_BENCH_SEED."""
    seed = int(os.environ.get(SEED) or random.SystemRandom().randrange(10**6))
    say(f"seed {seed}: {SEED}={seed} repeats the order")
    with _cluster() as project:
        bench = Bench(project, seed)
        before = bench.declare()
        todo = sorted(bench.faults().items())
        random.Random(seed).shuffle(todo)  # noqa: S311
        rows: list[Row] = []
        with bench.counters.counting():
            bench.until("all write", lambda: bench.counters.all_since(0.1))
            for what, fault in todo:
                with step(what):
                    well = bench.under(fault())
                rows.append(Row(f"{what}: all write again", [well.written], goal=WRITES_WITHIN))
                rows.append(Row(f"{what}: an app is placed", [well.placed], goal=PLACED_WITHIN))
            with step("two of three are frozen"):
                rows += bench.without_majority()
        return [*rows, *_kept(bench, before)]


def _kept(bench: Bench, before: dict[str, str]) -> list[Row]:
    found = [*contradictions(bench.counters.history, FIRST), *bench.counters.refused]
    for words in found:
        say(f"  {words}")
    after = bench.containers()
    restarted = sum(after.get(app) != container for app, container in before.items())
    return [
        Row("writes acknowledged", [bench.counters.acknowledged], unit=""),
        Row("contradictions in what clients saw, and lost writes", [len(found)], goal=0, unit=""),
        Row("apps that were started again", [restarted], goal=0, unit=""),
        Row("ends of agents", [bench.hosts.ends_of_agents()], goal=0, unit=""),
        Row("instances without or with several containers", [bench.surplus()], goal=0, unit=""),
    ]


@contextmanager
def _cluster() -> Iterator[Project]:
    with own_cluster(load_project(ROOT, os.environ), "faults", INVENTORY, CONTROL_PLANES + NODES, CONTROL_PLANES) as project:
        bring_up.up(project, modes.AGENTS)
        yield project
