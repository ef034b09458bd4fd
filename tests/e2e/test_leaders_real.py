"""Schedulers of which one leads, as processes: one that is frozen is followed by another and changes nothing when it wakes up."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from duckconf.leading import HEADER, LEASE
from tests.e2e.conftest import ROOT
from tests.e2e.etcd_real import Line
from tests.e2e.test_servers_real import NODES, Cluster, Server, await_consistent, cluster
from tests.waiting import until

__all__ = ["cluster"]
BEAT_EVERY = 1.0


class Scheduler:
    def __init__(self, folder: Path, name: str, servers: Sequence[Server]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self._log = folder / f"{name}.log"
        token = folder / f"{name}.token"
        token.write_text("op")
        urls = ",".join(server.url for server in servers)
        config = {"cluster": "demo", "nodes": NODES, "tokens_file": "", "operator_token_file": str(token)}
        path = folder / f"{name}.json"
        path.write_text(json.dumps({**config, "api_url": urls, "server": name}))
        argv = [sys.executable, "-m", "controllers.scheduler", "--config", str(path)]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(argv, cwd=ROOT, stdout=log, stderr=log)

    def said(self) -> str:
        return self._log.read_text()

    def signal(self, number: signal.Signals) -> float:
        """When it was sent."""
        os.kill(self.process.pid, number)
        return time.monotonic()


@contextmanager
def schedulers(*made: Scheduler) -> Iterator[None]:
    try:
        yield
    finally:
        for one in made:
            one.process.kill()
            one.process.wait(20)


@contextmanager
def beating(server: Server) -> Iterator[None]:
    """Agents that tell that they are there."""
    ended = threading.Event()

    def beat() -> None:
        while True:
            for node in NODES:
                server("PUT", f"/node/{node}/heartbeat", {"instance": node, "containers": []}, token=node)
            if ended.wait(BEAT_EVERY):
                return

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(30)


@contextmanager
def declaring(server: Server, names: list[str]) -> Iterator[None]:
    """One app after the other, so that a scheduler always has something to write."""
    ended = threading.Event()

    def declare() -> None:
        while not ended.is_set():
            name = f"b{len(names)}"
            if server.code("PUT", f"/app/{name}", {"image": "nginx"}) == 201:
                names.append(name)

    thread = threading.Thread(target=declare)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(30)


def lease(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = server("GET", "/leases").body["leases"][0]
    return found


def await_leader(server: Server, who: str, since: float) -> float:
    """Seconds from then until it leads."""
    until(f"{who} leads", lambda: lease(server)["who"] == who, seen=lambda: str(lease(server)))
    return time.monotonic() - since


def all_placed(server: Server, names: Sequence[str]) -> bool:
    return all(entry["instances"][0]["node"] for entry in server("GET", "/apps").body["apps"] if entry["name"] in names)


def placements(server: Server) -> Counter[str]:
    """How often each app was given a node."""
    events = server("GET", "/events?limit=10000").body["events"]
    return Counter(match[1] for event in events if (match := re.match(r"(\S+) placed on node", event["message"])))


def refused(server: Server, late: dict[str, Any]) -> int:
    """What the server says to a placement of a term that is over."""
    headers: dict[str, Any] = {HEADER: f"scheduler/{late['term']}/{late['process']}"}
    return server("PUT", "/apps", {"apps": [{"name": "b0", "slot": 1, "node": "", "revision": ""}]}, **headers).status


def test_a_frozen_scheduler_is_followed_within_a_lease_and_changes_nothing_when_it_wakes_up(tmp_path: Path) -> None:
    server = Server(tmp_path / "api", "control-1", None)
    names: list[str] = []
    one = Scheduler(tmp_path, "one", [server])
    try:
        await_leader(server, "one", 0.0)
        two = Scheduler(tmp_path, "two", [server])
        with schedulers(one, two), beating(server):
            until("the other one waits", lambda: "follows one" in two.said())
            with declaring(server, names):
                until("some are placed", lambda: len(placements(server)) > 3)
                before = lease(server)
                assert await_leader(server, "two", one.signal(signal.SIGSTOP)) < LEASE + 3
                assert lease(server)["term"] == before["term"] + 1
                known = len(names)
                until("it places what comes", lambda: len(names) > known + 3 and all_placed(server, names[: known + 3]))
                one.signal(signal.SIGCONT)
                until("the woken one has seen it", lambda: "does not lead any more" in one.said())
                assert refused(server, before) == 412
            until("all are placed", lambda: all_placed(server, names))
            assert {count for name, count in placements(server).items() if name in names} == {1}
            assert await_leader(server, "one", two.signal(signal.SIGTERM)) < 2
            assert two.process.wait(20) == 0
    finally:
        server.process.kill()
        server.process.wait(20)


def test_with_its_server_frozen_too_another_schedules_and_the_thawed_server_lets_nothing_late_through(
    cluster: Cluster, tmp_path: Path
) -> None:
    first, second, third = cluster.servers
    one = Scheduler(tmp_path, "control-1", [first, second, third])
    try:
        await_leader(second, "control-1", 0.0)
        two = Scheduler(tmp_path, "control-2", [second, third, first])
        with schedulers(one, two), beating(third):
            until("the other one waits", lambda: "follows control-1" in two.said())
            late = lease(second)
            os.kill(first.process.pid, signal.SIGSTOP)
            begun = one.signal(signal.SIGSTOP)
            assert second("PUT", "/app/b0", {"image": "nginx"}).status == 201
            until("it is placed", lambda: bool(second("GET", "/app/b0").body["instances"][0]["node"]))
            assert time.monotonic() - begun < LEASE + 3
            os.kill(first.process.pid, signal.SIGCONT)
            one.signal(signal.SIGCONT)
            # It writes nothing before it knows what the others have written, and then it knows the term.
            until("the thawed server answers", lambda: refused(first, late) != 503)
            assert refused(first, late) == 412
            until("the woken one has seen it", lambda: "does not lead any more" in one.said())
            assert lease(second)["who"] == "control-2"
            assert placements(second)["b0"] == 1
            assert second("GET", "/app/b0?consistent=1").body["instances"][0]["node"]
    finally:
        os.kill(first.process.pid, signal.SIGCONT)


def test_a_scheduler_whose_server_is_cut_off_from_etcd_goes_on_at_another_one(cluster: Cluster, tmp_path: Path) -> None:
    lines = {name: Line(member) for name, member in cluster.members.items()}
    others, one, cut = cluster.servers, None, None
    try:
        cut = Server(tmp_path / "api", "control-4", lines)
        one = Scheduler(tmp_path, "control-4", [cut, *others])
        await_leader(others[1], "control-4", 0.0)
        with beating(others[1]):
            assert others[1]("PUT", "/app/before", {"image": "nginx"}).status == 201
            until("it is placed", lambda: all_placed(others[1], ["before"]))
            for line in lines.values():
                os.kill(line.process.pid, signal.SIGSTOP)
            begun = time.monotonic()
            assert others[1]("PUT", "/app/cut", {"image": "nginx"}).status == 201
            until("it is placed", lambda: all_placed(others[1], ["cut"]))
            assert time.monotonic() - begun < LEASE + 3
            until("it says that it is cut off", lambda: "Warning" in cut("GET", "/apps").headers)
            for line in lines.values():
                os.kill(line.process.pid, signal.SIGCONT)
            await_consistent(cut)
            assert cut("GET", "/app/cut").body["instances"][0]["node"]
            assert placements(others[1])["cut"] == 1
    finally:
        for process in [line.process for line in lines.values()] + [made.process for made in (one, cut) if made is not None]:
            process.kill()
            process.wait(20)
