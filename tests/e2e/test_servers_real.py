"""Three API servers on three members of a real etcd, under clients that write all the time: what was acknowledged is there,
whatever is killed or frozen.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import urllib3

from duckconf.desired import read_document
from duckconf.reach.api.etcd import coded
from tests.e2e.conftest import ROOT, free_ports
from tests.e2e.etcd_real import Line, Member, leader_of, three
from tests.waiting import until

NODES = ("node-1", "node-2")
TOKEN = {"Authorization": "Bearer op"}
# Seconds that a writer waits for a server before it goes on to the next one.
PATIENCE = 3.0
APPS = ("a0", "a1", "a2", "a3")


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: Any


class Server:
    """A process of its own, one among several when it has `members` of etcd."""

    def __init__(self, folder: Path, name: str, members: Mapping[str, Member | Line] | None) -> None:
        folder.mkdir()
        self.url = f"http://127.0.0.1:{free_ports(1)[0]}"
        self._folder = folder
        self._pool = urllib3.PoolManager(retries=False, maxsize=8)
        tokens = {"operator": hashed("op"), "nodes": {node: hashed(node) for node in NODES}}
        (folder / "tokens.json").write_text(json.dumps(tokens))
        config: dict[str, Any] = {
            "cluster": "demo",
            "nodes": NODES,
            "tokens_file": str(folder / "tokens.json"),
            "operator_token_file": "",
            "listen": self.url,
            "state_dir": str(folder),
            "server": name,
        }
        if members is not None:
            config["etcd"] = {"endpoints": [member.endpoint for member in members.values()]}
        self.config = folder / "config.json"
        self.config.write_text(json.dumps(config))
        self.start()

    def start(self) -> None:
        argv = [sys.executable, "-m", "api.agents", "--config", str(self.config)]
        with (self._folder / "log").open("a") as log:
            self.process = subprocess.Popen(argv, cwd=ROOT, stdout=log, stderr=log)
        until("the server answers", lambda: self.code("GET", "/healthz") == 200)

    def __call__(
        self, method: str, path: str, body: Any = None, token: str = "op", seconds: float = 20.0, **headers: str
    ) -> Answer:
        """Raises urllib3's HTTPError without an answer."""
        sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **headers}
        content = json.dumps(body) if body is not None else None
        answer = self._pool.request(method, self.url + path, body=content, headers=sent, timeout=seconds)
        return Answer(answer.status, answer.headers, json.loads(answer.data or b"null"))

    def code(self, method: str, path: str, body: Any = None) -> int:
        """0 without an answer."""
        try:
            return self(method, path, body).status
        except urllib3.exceptions.HTTPError:
            return 0


def hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class Writers:
    """One client for each app, which counts it up with If-Match, at one server after the other, and notes what was said."""

    def __init__(self, servers: list[Server]) -> None:
        self._servers = servers
        self._ended = threading.Event()
        self.acknowledged = dict.fromkeys(APPS, 0)
        self.unsure = dict.fromkeys(APPS, 0)
        self.trouble: list[str] = []
        self._threads = [threading.Thread(target=self._write, args=(number, app)) for number, app in enumerate(APPS)]

    def _write(self, turn: int, app: str) -> None:
        while not self._ended.is_set():
            turn += 1
            server = self._servers[turn % len(self._servers)]
            try:
                read = server("GET", f"/app/{app}?consistent=1", seconds=PATIENCE)
            except urllib3.exceptions.HTTPError:
                continue
            if read.status != 200:
                continue
            count = int(read.body["env"]["COUNT"])
            self._check(app, count)
            body = {"env": {"COUNT": str(count + 1)}}
            try:
                code = server("PUT", f"/app/{app}", body, seconds=PATIENCE, **{"If-Match": read.headers["ETag"]}).status
            except urllib3.exceptions.HTTPError:
                code = 503
            if code == 200:
                self.acknowledged[app] += 1
            elif code == 503:
                self.unsure[app] += 1
            elif code != 412 or not self.unsure[app]:
                self.trouble.append(f"{app}: {code}")

    def _check(self, app: str, count: int) -> None:
        """One client alone writes an app: what it reads is all that was acknowledged, and perhaps what may have been done."""
        if not self.acknowledged[app] <= count <= self.acknowledged[app] + self.unsure[app]:
            self.trouble.append(f"{app} is at {count}: {self.acknowledged[app]} writes are acknowledged")

    def await_more(self) -> None:
        before = sum(self.acknowledged.values())
        until("a write is acknowledged", lambda: sum(self.acknowledged.values()) > before)

    @contextmanager
    def writing(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in self._threads:
                thread.join(30)


class Cluster(NamedTuple):
    members: dict[str, Member]
    servers: list[Server]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("servers")
    members = three(folder)
    servers: list[Server] = []
    try:
        servers += [Server(folder / f"control-{number}", f"control-{number}", members) for number in (1, 2, 3)]
        yield Cluster(members, servers)
    finally:
        for process in [*(server.process for server in servers), *(member.process for member in members.values())]:
            process.kill()
            process.wait(20)


def test_what_one_is_told_all_know(cluster: Cluster) -> None:
    one, two, three = cluster.servers
    assert one("PUT", "/app/web", {"image": "nginx", "node": "node-1"}).status == 201
    assert [server("GET", "/app/web?consistent=1").status for server in cluster.servers] == [200] * 3
    seen = {"app": "web", "container": "duckconf-web", "state": "running", "ready": True}
    beat = {"instance": "x", "containers": [seen]}
    assert two("PUT", "/node/node-1/heartbeat", beat, token="node-1").status == 200
    until("it runs for all", lambda: [server("GET", "/app/web").body["ready"] for server in cluster.servers] == [1] * 3)
    assert float(three("GET", "/apps").headers["Duckconf-Age"]) < 3
    assert three("DELETE", "/app/web").status == 200


def test_a_backup_is_of_one_moment_while_clients_write(cluster: Cluster) -> None:
    """Of two apps, the second one is counted up after the first one was."""
    writer, other, _ = cluster.servers
    ended, written = threading.Event(), 0

    def write() -> None:
        nonlocal written
        while not ended.is_set():
            for name in ("first", "second"):
                assert writer("PUT", f"/app/{name}", {"image": "nginx", "env": {"COUNT": str(written)}}).status in (200, 201)
            written += 1

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            until("both are there", lambda: written > 0)
            for _ in range(3):
                before = written
                argv = [sys.executable, "-m", "api.move", "--config", str(other.config), "--export"]
                done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
                apps = read_document(json.loads(done.stdout)["desired_state.csv"]).apps()
                first, second = (int(dict(apps[name].env)["COUNT"]) for name in ("first", "second"))
                assert second <= first <= second + 1
                assert before - 1 <= second
        finally:
            ended.set()
        writing.result(20)
    for name in ("first", "second"):
        assert writer("DELETE", f"/app/{name}").status == 200


def test_nothing_acknowledged_is_lost_whatever_is_killed_or_frozen(cluster: Cluster) -> None:
    members, servers = cluster
    for app in APPS:
        assert servers[0]("PUT", f"/app/{app}", {"image": "nginx", "env": {"COUNT": "0"}}).status == 201
    writers = Writers(servers)
    with writers.writing():
        writers.await_more()
        leader = leader_of(members)
        members[leader].kill()
        writers.await_more()
        members[leader].start()
        servers[0].process.kill()
        servers[0].process.wait(20)
        writers.await_more()
        servers[0].start()
        frozen_over_a_compaction(members, servers, writers)
        without_majority(members, servers)
        writers.await_more()
    assert writers.trouble == []
    for server in servers:
        await_consistent(server)
        counts = {app: int(server("GET", f"/app/{app}?consistent=1").body["env"]["COUNT"]) for app in APPS}
        for app, count in counts.items():
            writers._check(app, count)
    assert writers.trouble == []


def await_consistent(server: Server) -> None:
    """It was cut off a moment ago, and refuses what must be new until etcd has confirmed something."""
    until("it may be asked for what is new", lambda: server.code("GET", "/apps?consistent=1") == 200)


def frozen_over_a_compaction(members: Mapping[str, Member], servers: list[Server], writers: Writers) -> None:
    """A server wakes up when what it has missed is not known any more: it says how old it is, and knows all again."""
    servers[2]("PUT", "/app/withdrawn", {"image": "nginx"})
    os.kill(servers[2].process.pid, signal.SIGSTOP)
    try:
        for _ in range(3):
            writers.await_more()
        assert servers[0]("DELETE", "/app/withdrawn").status == 200
        gateway = members["m1"].gateway()
        now = gateway.call("/v3/kv/range", {"key": coded("x")})["header"]["revision"]
        gateway.call("/v3/kv/compaction", {"revision": now, "physical": True})
    finally:
        os.kill(servers[2].process.pid, signal.SIGCONT)
    for server in servers:
        await_consistent(server)
    names = [{entry["name"] for entry in server("GET", "/apps?consistent=1").body["apps"]} for server in servers]
    assert names[0] == names[1] == names[2] == set(APPS)


def without_majority(members: Mapping[str, Member], servers: list[Server]) -> None:
    """Two of three members are frozen: writes are refused with the reason, reads say that they may be old."""
    frozen = [member.process.pid for member in list(members.values())[:2]]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        refused = servers[1]("PUT", "/app/late", {"image": "nginx"})
        assert refused.status == 503, refused
        assert "etcd" in refused.body["detail"]
        until("a read warns", lambda: "Warning" in servers[1]("GET", "/apps").headers)
        assert {entry["name"] for entry in servers[1]("GET", "/apps").body["apps"]} >= set(APPS)
        assert servers[1]("GET", "/apps?consistent=1").status == 503
        until("it says that it is in trouble", lambda: servers[1].code("GET", "/readyz") == 503)
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
