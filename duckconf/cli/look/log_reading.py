"""Reads the logs of containers on many nodes at once, each over its own channel, and follows instances to where they move.

Every node has a thread that looks which containers it has, and every container one that reads: what a node does not answer
delays nobody else. All that they find goes into one queue; nothing is printed here.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Union

from duckconf import engine
from duckconf.cli.cluster.nodes import Cluster
from duckconf.command import Completed
from duckconf.engine_output import Container, engine_words, is_gone
from duckconf.errors import DuckconfError, NodeFailure
from duckconf.log_lines import Cutter, Line, Source, moment
from duckconf.reach.ssh.fleet import Fleet
from duckconf.reach.ssh.runner import SshRunner

# sshd serves ten commands on a connection: one is for looks, and one that was cut off counts until its program ends.
ON_ONE_CONNECTION = 8
# Seconds. Events wake us before that.
LOOK_EVERY = 5.0
# Who reads faster than we print has to wait.
WAITING = 256


class Opens(NamedTuple):
    source: Source


class Said(NamedTuple):
    source: Source
    lines: list[Line]


class Ends(NamedTuple):
    source: Source


class Looked(NamedTuple):
    """`failure` is "" where the node answered with the names of what it has of the containers that are read."""

    node: str
    names: tuple[str, ...]
    failure: str = ""
    first: bool = True


class Notice(NamedTuple):
    text: str


News = Union[Opens, Said, Ends, Looked, Notice]


@dataclass(frozen=True)
class Question:
    """`wanted` says of which containers; `tail` and `since` as the engine takes them, and only for what is there at first."""

    wanted: Callable[[Container], bool]
    tail: str = ""
    since: str = ""
    follow: bool = False


class LogReading:
    def __init__(self, cluster: Cluster, question: Question) -> None:
        self.news: queue.Queue[News] = queue.Queue(WAITING)
        self._cluster = cluster
        self._question = question
        self._lanes = Lanes(cluster)
        self._over = threading.Event()
        self._wakes: dict[str, threading.Event] = {}
        self._lock = threading.Lock()
        self._open: set[tuple[str, str]] = set()
        self._read_to: dict[tuple[str, str], int] = {}
        self._readers: dict[str, list[threading.Thread]] = {}

    def start(self) -> list[str]:
        """The nodes that are looked at."""
        names = self._cluster.names()
        # In this thread: two that made it at once would make two.
        _ = self._cluster.fleet
        for node in names:
            self._wakes[node] = threading.Event()
            threading.Thread(target=self._attend, args=(node,), name=f"logs-{node}", daemon=True).start()
        return names

    def wake(self) -> None:
        """Something happened: look again now."""
        for wake in self._wakes.values():
            wake.set()

    def close(self) -> None:
        self._over.set()
        self.wake()
        self._lanes.close()

    def _attend(self, node: str) -> None:
        first, before = True, ""
        while not self._over.is_set():
            self._wakes[node].clear()
            try:
                found = self._look(node)
            except DuckconfError as error:
                failure = error.reason if isinstance(error, NodeFailure) else str(error)
                self.news.put(Looked(node, (), failure, first=failure != before))
                before = failure
            else:
                for container in found:
                    self._read(container, at_first=first)
                self.news.put(Looked(node, tuple(container.instance or container.name for container in found)))
                first, before = False, ""
            if not self._question.follow:
                return
            self._wakes[node].wait(LOOK_EVERY)

    def _look(self, node: str) -> list[Container]:
        seen = self._cluster.observe(node)[node]
        if isinstance(seen, DuckconfError):
            raise seen
        return [container for container in seen if self._question.wanted(container)]

    def _read(self, container: Container, *, at_first: bool) -> None:
        key = (container.node, container.id)
        with self._lock:
            if key in self._open or (key in self._read_to and not container.running):
                return
            self._open.add(key)
        source = Source(container.instance or container.name, container.app, container.slot, container.node, container.name)
        # Before the node counts as looked at.
        self.news.put(Opens(source))
        threading.Thread(target=self._pump, args=(source, key, at_first), name=f"log-{container.name}", daemon=True).start()

    def _pump(self, source: Source, key: tuple[str, str], at_first: bool) -> None:
        asked, cutter = self._question, Cutter(self._read_to.get(key, 0))
        since = moment(cutter.last) if cutter.last else asked.since if at_first else ""
        tail = asked.tail if at_first and not cutter.last else ""

        def told(data: bytes) -> None:
            if lines := cutter.cut(data):
                self.news.put(Said(source, lines))

        try:
            with self._lanes.runner(source.node) as runner:
                attended = runner.attend(engine.words(source.container, tail=tail, since=since, follow=asked.follow))
                try:
                    code = attended.pump(told, told)
                finally:
                    attended.close()
            if rest := cutter.end():
                self.news.put(Said(source, rest))
            self._tell_refusal(source, code or 0, cutter)
        except NodeFailure as failure:
            goes_on = "; its lines follow when it answers again" if asked.follow else ""
            if not self._over.is_set():
                self.news.put(Notice(f"{source.name} on {source.node}: {failure.reason}{goes_on}"))
        finally:
            with self._lock:
                self._read_to[key] = cutter.last
                self._open.discard(key)
            self.news.put(Ends(source))

    def _tell_refusal(self, source: Source, code: int, cutter: Cutter) -> None:
        said = b"\n".join(cutter.complaints).decode("utf-8", errors="replace")
        done = Completed(code, "", said)
        if said.strip() and not done.ok and not is_gone(done):
            self.news.put(Notice(f"{source.name} on {source.node}: {engine_words(said)}"))


class Lanes:
    """Connections for more commands at once than one connection serves."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()
        self._fleets: list[Fleet] = []
        self._used: dict[tuple[int, str], int] = {}

    @contextmanager
    def runner(self, node: str) -> Iterator[SshRunner]:
        with self._lock:
            lane = next(lane for lane in range(len(self._fleets) + 1) if self._used.get((lane, node), 0) < ON_ONE_CONNECTION)
            if lane == len(self._fleets):
                self._fleets.append(self._cluster.make_fleet() if lane else self._cluster.fleet)
            fleet = self._fleets[lane]
            self._used[lane, node] = self._used.get((lane, node), 0) + 1
        try:
            yield fleet.runner(node)
        finally:
            with self._lock:
                self._used[lane, node] -= 1

    def close(self) -> None:
        """The first one is the cluster's own."""
        with self._lock:
            for fleet in self._fleets[1:]:
                fleet.close()
