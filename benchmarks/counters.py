"""Clients that count apps up with If-Match while something goes wrong, and what each of them saw."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus

from benchmarks.history import UNKNOWN, Operation
from duckconf.cli.cluster.api import CA_FILE, TOKEN_FILE
from duckconf.errors import DuckconfError
from duckconf.reach.api.client import ApiClient, ApiRefused, path_of
from duckconf.reach.api.secret import read_token
from duckconf.reach.api.servers import Servers
from duckconf.reach.inventory.project import Project

# What is counted: it says where an app may be placed, and changes no container.
COUNTER, FIRST = "max_per_node", 1
ANSWER_SECONDS = 5.0
PAUSE = 0.5
# Somebody else was faster, or nothing can be written now.
PASSING = (HTTPStatus.PRECONDITION_FAILED, HTTPStatus.SERVICE_UNAVAILABLE)


def client(project: Project, name: str) -> ApiClient:
    """One with servers and connections of its own, as a process of that name has."""
    urls, trust = project.api_urls(), project.state / CA_FILE
    servers = Servers(urls, name, str(trust) if urls[0].startswith("https:") else "")
    return ApiClient(servers, token=read_token(project.state / TOKEN_FILE), name=name)


class Counters:
    """As many clients as there are apps, each of which counts any app up, one after the other."""

    def __init__(self, project: Project, apps: Sequence[str], seed: int) -> None:
        self.history: list[Operation] = []
        self.refused: list[str] = []
        """What was answered that no fault is a reason for."""
        self._apps = apps
        self._latest = [0.0] * len(apps)
        self._project = project
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number, seed)) for number in range(len(apps))]

    @contextmanager
    def counting(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in self._threads:
                thread.join(4 * ANSWER_SECONDS)

    @property
    def acknowledged(self) -> int:
        return sum(one.writes and one.ended != UNKNOWN for one in list(self.history))

    def all_since(self, begun: float) -> bool:
        """Whether each client has had a write acknowledged that it began then or later."""
        return all(latest >= begun for latest in self._latest)

    def _run(self, number: int, seed: int) -> None:
        api, chance = client(self._project, f"counter-{number}"), random.Random(f"{seed}/{number}")  # noqa: S311
        while not self._ended.wait(chance.uniform(PAUSE / 2, PAUSE)):
            try:
                self._count_up(api, number, chance.choice(self._apps))
            except ApiRefused as refused:
                if refused.status not in PASSING:
                    self.refused.append(f"{refused.status}: {refused}")
            except DuckconfError:
                continue

    def _count_up(self, api: ApiClient, number: int, app: str) -> None:
        begun = time.monotonic()
        read = api.call("GET", f"{path_of('app', app)}?consistent=1", deadline=ANSWER_SECONDS)
        count, now = int(read[COUNTER]), time.monotonic()
        self.history.append(Operation(app, count, writes=False, begun=begun, ended=now))
        written = Operation(app, count + 1, writes=True, begun=now, ended=UNKNOWN)
        try:
            api.call("PUT", path_of("app", app), {COUNTER: count + 1}, ANSWER_SECONDS, at=read["revision"])
            written = written._replace(ended=time.monotonic())
            self._latest[number] = now
        finally:
            # When it was refused too: the client asks another server when one does not answer, and the first may have done it.
            self.history.append(written)
