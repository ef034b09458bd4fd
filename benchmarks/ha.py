"""Several API servers on etcd, beside etcd itself in the same run: `python -m benchmarks.ha`, or `./inv bench ha`.

`--only writes,size,beats` runs parts of it: what an acknowledged write costs, whether that grows with the number of apps, and
what many agents cost three servers. Everything is a process on loopback, with three members of etcd that sync to disk. For
`faults`, three demo hosts are frozen, rebooted, cut off and more: `benchmarks/faults.py`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import psutil

from benchmarks.crowds import Crowds, heartbeat_rows
from benchmarks.faults import faults
from benchmarks.measure import Row, timed
from benchmarks.ports import free_ports
from benchmarks.run import main
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.cli.terminal.edge import ROOT
from duckconf.cli.terminal.say import say, step
from duckconf.command import Secret
from duckconf.errors import DuckconfError
from duckconf.reach.api.client import ApiClient
from duckconf.reach.api.etcd import Gateway, coded
from duckconf.reach.state.etcd_table import EtcdTable

SERVERS = 3
WRITES = 200
CLIENTS = 16
SUBMITTED = 2000
SMALL, LARGE = 1000, 100_000
BATCH = 2000
AGENTS = 3000
NODE_TIMEOUT = 40.0
REST_SECONDS = 30.0
MOST_OPERATIONS = "10000"
LARGEST_REQUEST = str(8 * 1024 * 1024)


class Plane:
    """Three members of etcd, and a server of Duckconf beside each."""

    def __init__(self, folder: Path, nodes: int) -> None:
        self.names = [f"n{number}" for number in range(nodes)]
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._folder = folder
        ports = free_ports("127.0.0.1", 3 * SERVERS)
        self._peers, clients, apis = (
            [f"http://127.0.0.1:{port}" for port in ports[part * SERVERS : (part + 1) * SERVERS]] for part in range(3)
        )
        self.endpoints, self.urls = clients, apis
        tokens = {name: f"token-{name}" for name in self.names}
        hashes = {"operator": _hash("operator"), "nodes": {name: _hash(token) for name, token in tokens.items()}}
        (folder / "tokens.json").write_text(json.dumps(hashes))
        self.tokens = tokens

    def api(self, number: int = 0) -> ApiClient:
        return ApiClient(self.urls[number % SERVERS], token=Secret("operator"))

    def start(self) -> None:
        initial = ",".join(f"m{number}={url}" for number, url in enumerate(self._peers))
        for number, (peer, client) in enumerate(zip(self._peers, self.endpoints)):
            self._run(
                f"m{number}", "etcd", "--name", f"m{number}", "--data-dir", str(self._folder / f"m{number}"),
                "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
                "--initial-advertise-peer-urls", peer, "--initial-cluster", initial, "--max-txn-ops", MOST_OPERATIONS,
                "--max-request-bytes", LARGEST_REQUEST,
            )  # fmt: skip
        self._await("etcd answers", lambda: bool(self.revision()), 60)

    def start_servers(self) -> None:
        for number, url in enumerate(self.urls):
            state = self._folder / f"s{number}"
            config = {
                "cluster": "bench",
                "nodes": self.names,
                "tokens_file": str(self._folder / "tokens.json"),
                "operator_token_file": "",
                "listen": url,
                "state_dir": str(state),
                "node_timeout": NODE_TIMEOUT,
                "server": f"s{number}",
                "etcd": {"endpoints": [*self.endpoints[number:], *self.endpoints[:number]]},
            }
            path = self._folder / f"s{number}.json"
            path.write_text(json.dumps(config))
            self._run(f"s{number}", sys.executable, "-m", "api.agents", "--config", str(path))
        for number in range(SERVERS):
            self._await("the servers answer", lambda: bool(self.api(number).call("GET", "/healthz", deadline=5.0)), 120)  # noqa: B023

    def revision(self) -> int:
        return int(Gateway(self.endpoints).call("/v3/kv/range", {"key": coded("x")})["header"]["revision"])

    def table(self) -> EtcdTable:
        return EtcdTable(Gateway(self.endpoints), "bench", "bench")

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()

    def stop_servers(self) -> None:
        for number in range(SERVERS):
            process = self.processes.pop(f"s{number}")
            process.kill()
            process.wait()

    def _run(self, name: str, *argv: str) -> None:
        with (self._folder / f"{name}.log").open("a") as log:
            self.processes[name] = subprocess.Popen(argv, cwd=ROOT, stdout=log, stderr=log)

    def _await(self, what: str, condition: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(DuckconfError):
                if condition():
                    return
            if time.monotonic() > end:
                raise DuckconfError(f"not within {seconds:g} s: {what}")
            time.sleep(0.05)


@contextmanager
def running(nodes: int) -> Iterator[Plane]:
    with tempfile.TemporaryDirectory() as folder:
        plane = Plane(Path(folder), nodes)
        try:
            plane.start()
            yield plane
        finally:
            plane.stop()


def writes(*_: object) -> list[Row]:
    """One client: a change of an app, and a put of the same text by etcd's own gateway, turn by turn."""
    with running(1) as plane:
        plane.start_servers()
        api, gateway = plane.api(), Gateway(plane.endpoints)
        text = json.dumps({"image": "nginx", "env": {"COUNT": "0"}})
        ours, floor = [], []
        with step(f"{WRITES} writes of ours, and as many of etcd's own"):
            for number in range(WRITES):
                body = {"image": "nginx", "env": {"COUNT": str(number)}}
                ours.append(timed(lambda: api.call("PUT", "/app/web", body)))  # noqa: B023
                put = {"key": coded("/other"), "value": coded(text)}
                floor.append(timed(lambda: gateway.call("/v3/kv/put", put)))  # noqa: B023
        return [Row("one acknowledged write, beside etcd's own put", ours, floor, goal=1.5)]


def size(*_: object) -> list[Row]:
    """The same writes with few and with many apps."""
    rates = {}
    with running(1) as plane:
        known = 0
        for apps in (SMALL, LARGE):
            with step(f"{apps} apps are there"):
                fill(plane, known, apps)
                known = apps
            plane.start_servers()
            rates[apps] = submit(plane, apps)
            plane.stop_servers()
    say(f"  with {SMALL} apps {rates[SMALL]:.0f}/s, with {LARGE} apps {rates[LARGE]:.0f}/s")
    few, many = (Row(f"writes with {apps} apps, {CLIENTS} clients", [rate], unit="/s") for apps, rate in rates.items())
    kept = Row("what is left of that rate", [rates[LARGE]], [rates[SMALL]], goal=0.9, unit="/s", at_least=True)
    return [few, many, kept]


def fill(plane: Plane, first: int, last: int) -> None:
    table, names = plane.table(), (f"apps/f{number}" for number in range(first, last))
    while batch := list(islice(names, BATCH)):
        table.commit(dict.fromkeys(batch, json.dumps({"image": "nginx"})))


def submit(plane: Plane, label: int) -> float:
    """Writes per second, at all servers."""

    def write(client: int) -> None:
        api = plane.api(client)
        for number in range(client, SUBMITTED, CLIENTS):
            api.call("PUT", f"/app/w{label}-{number}", {"image": "nginx"})

    with step(f"{SUBMITTED} writes of {CLIENTS} clients"), ThreadPoolExecutor(CLIENTS) as pool:
        took = timed(lambda: list(pool.map(write, range(CLIENTS))))
    return SUBMITTED / took


def beats(*_: object) -> list[Row]:
    with running(AGENTS) as plane:
        plane.start_servers()
        with Crowds(plane.urls, plane.tokens) as crowds:
            with step(f"{AGENTS} simulated agents report to {SERVERS} servers"):
                plane._await("all are ready for all", lambda: all(_all_ready(plane, one) for one in range(SERVERS)), 240)
            crowds.come_to_rest(NODE_TIMEOUT / 4)
            servers = [psutil.Process(plane.processes[f"s{number}"].pid) for number in range(SERVERS)]
            before, revision, begun = [sum(one.cpu_times()[:2]) for one in servers], plane.revision(), time.monotonic()
            crowds.ask("stats")
            with step(f"at rest for {REST_SECONDS:g} s"):
                time.sleep(REST_SECONDS)
            took, seconds = [one for answer in crowds.ask("stats") for one in answer["took"]], time.monotonic() - begun
            shares = [(sum(one.cpu_times()[:2]) - was) / seconds * 100 for one, was in zip(servers, before)]
            commits = (plane.revision() - revision) / seconds
    return [
        *heartbeat_rows(took, f"{AGENTS} agents on {SERVERS} servers"),
        Row("the busiest server at rest", [max(shares)], goal=30, unit="% core"),
        Row("writes of etcd at rest", [commits], unit="/s"),
    ]


def _all_ready(plane: Plane, number: int) -> bool:
    return all(node["status"] == "ready" for node in plane.api(number).call("GET", "/nodes")["nodes"])


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _measured(part: str) -> Callable[[LocalEngine, Collection[str], int], list[Row]]:
    return {"writes": writes, "size": size, "beats": beats, "faults": faults}[part]


if __name__ == "__main__":
    alone = ("writes", "size", "beats")
    sys.exit(main("ha", {(part,): _measured(part) for part in (*alone, "faults")}, without_engine=alone))
