"""A cluster of the bench's own with three demo nodes, and what is measured on it.

An app counts as running from the moment that the engine itself puts into its start event; a local `podman run -d`,
interleaved, is measured to the same event.
"""

from __future__ import annotations

import datetime
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from benchmarks.competitors import Client
from benchmarks.measure import FOLDER, Row
from benchmarks.ports import free_ports
from duckconf.cli.cluster import bring_up, modes
from duckconf.cli.cluster.api import api_client
from duckconf.cli.demo.demo_hosts import DemoHosts
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.cli.terminal.say import say
from duckconf.errors import SetupError
from duckconf.naming import LABEL_APP, LABEL_CLUSTER, WEB_IMAGE
from duckconf.reach.api.client import ApiClient
from duckconf.reach.inventory.project import Project, load_project
from duckconf.reach.state.desired_file import FILE_NAME
from duckconf.reach.state.placements import FILE_NAME as PLACEMENTS

# Not the name of the folder where the results lie: its state goes at the end.
CLUSTER = "bench-nodes"
NODES = 3
APPS = 6
WARM_UP = 2
PASSES = 50
EVENT_SECONDS = 30.0
LABEL_FLOOR = "duckconf.bench"


class Events:
    """The engine's own account of what starts and goes, as it happens."""

    def __init__(self, engine: LocalEngine) -> None:
        wanted = (f"--filter={item}" for item in ("type=container", "event=start", "event=remove"))
        argv = ["podman", "events", "--format=json", *wanted]
        self._process = subprocess.Popen(argv, env=engine.environ(), stdout=subprocess.PIPE, text=True)
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def await_one(self, what: str, labels: Mapping[str, str], seconds: float = EVENT_SECONDS) -> float:
        """When it happened to a container with these labels, in seconds since the epoch. Raises SetupError."""
        end = time.monotonic() + seconds
        while True:
            try:
                event = json.loads(self._lines.get(timeout=max(0.0, end - time.monotonic())))
            except queue.Empty:
                raise SetupError(f"no {what} of {dict(labels)} within {seconds:g} s") from None
            if event["Status"] == what and labels.items() <= event["Attributes"].items():
                return _seconds(event["Time"])

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)

    def __enter__(self) -> Events:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait()


def _seconds(stamp: str) -> float:
    """Of a time as podman writes it, to the microsecond."""
    whole, _, rest = stamp.partition(".")
    digits = rest.rstrip("Z").partition("+")[0]
    zone = stamp[len(whole) + 1 + len(digits) :] if rest else ""
    return datetime.datetime.fromisoformat(f"{whole}.{digits[:6]:0<6}{zone.replace('Z', '+00:00')}").timestamp()


@contextmanager
def own_cluster(root: Path, mode: str, more: str = "") -> Iterator[Project]:
    """Three demo nodes and what `mode` needs, on ports that are free; all gone afterwards. `more` goes into the inventory."""
    control, *ports, api = free_ports("127.0.0.1", NODES + 2)
    inventory = FOLDER / "hosts.ini"
    control_plane = ["[control_plane]", f"control-1 ansible_port={control}"] if mode == modes.AGENTS else []
    hosts = [f"node-{number} ansible_port={port}" for number, port in enumerate(ports, 1)]
    variables = [f"duckconf_cluster={CLUSTER}", "duckconf_provider=container", "ansible_host=127.0.0.1", "ansible_user=root"]
    inventory.parent.mkdir(parents=True, exist_ok=True)
    inventory.write_text("\n".join([*control_plane, "[nodes]", *hosts, "[all:vars]", *variables, more]))
    # The services read them too.
    os.environ["DUCKCONF_INVENTORY"] = str(inventory)
    os.environ["DUCKCONF_CLUSTER"] = CLUSTER
    os.environ["DUCKCONF_API"] = f"http://127.0.0.1:{api}"
    project = load_project(root, os.environ)
    try:
        bring_up.up(project, mode)
        yield project
    finally:
        bring_up.down(project, purge=False)
        shutil.rmtree(project.state, ignore_errors=True)


def start_and_heal(project: Project, engine: LocalEngine, rounds: int) -> list[Row]:
    """Declared until it runs, killed until it runs again, and the floor of both."""
    api = api_client(project)
    declared, healed, floor, revived = [], [], [], []
    say(f"  {rounds} times: declared, killed, and podman run -d")
    with Events(engine) as events:
        for number in range(WARM_UP + rounds):
            begun = time.time()
            app = api.call("POST", "/app/start", {"image": WEB_IMAGE, "name": f"bench-{number}"})["app"]
            # Other clusters on this engine may have an app of this name.
            ours = {LABEL_CLUSTER: CLUSTER, LABEL_APP: app}
            started = events.await_one("start", ours) - begun
            found = engine.must("ps", "-q", *(f"--filter=label={label}={value}" for label, value in ours.items()))
            begun = time.time()
            engine.must("kill", found)
            again = events.await_one("start", ours) - begun
            begun = time.time()
            local = engine.must("run", "-d", f"--label={LABEL_CLUSTER}={CLUSTER}", f"--label={LABEL_FLOOR}={number}", WEB_IMAGE)
            least = events.await_one("start", {LABEL_CLUSTER: CLUSTER, LABEL_FLOOR: str(number)}) - begun
            begun = time.time()
            engine.must("kill", local)
            engine.must("start", local)
            back = events.await_one("start", {LABEL_CLUSTER: CLUSTER, LABEL_FLOOR: str(number)}) - begun
            engine.must("rm", "-f", "-t", "0", local)
            api.call("DELETE", f"/app/{app}")
            events.await_one("remove", ours)
            if number >= WARM_UP:
                declared.append(started)
                healed.append(again)
                floor.append(least)
                revived.append(back)
    return [
        Row("declared until it runs, against podman run -d", declared, floor, 3.0),
        Row("declared until it runs", declared, (), 1.0),
        Row("killed until it runs again, against podman run -d", healed, floor, 2.0),
        # For as long as podman clears up after a container that has died (0.2 s), it answers no look: only who starts it
        # before that, without looking, waits less.
        Row("killed until it runs again, against podman kill and start", healed, revived, None),
        Row("killed until it runs again", healed, (), 1.0),
    ]


def lost_node(project: Project, engine: LocalEngine, rounds: int) -> list[Row]:
    """A node freezes until its app runs elsewhere, beyond the timeout."""
    api, hosts = api_client(project), DemoHosts(project)
    timeout = project.settings.node_timeout
    took = []
    say(f"  {rounds} times: a node freezes; node_timeout is {timeout:g} s")
    with Events(engine) as events:
        for number in range(rounds):
            ours = {LABEL_CLUSTER: CLUSTER, LABEL_APP: f"lost-{number}"}
            api.call("POST", "/app/start", {"image": WEB_IMAGE, "name": f"lost-{number}"})
            events.await_one("start", ours)
            node = api.call("GET", f"/app/lost-{number}")["node"]
            begun = time.time()
            hosts.freeze(node)
            took.append(events.await_one("start", ours, timeout + EVENT_SECONDS) - begun - timeout)
            hosts.thaw(node)
            events.await_one("remove", ours)
            api.call("DELETE", f"/app/lost-{number}")
            events.await_one("remove", ours)
    return [Row("frozen until it runs elsewhere, beyond node_timeout", took, (), 2.0)]


def idle_pass(project: Project, engine: LocalEngine) -> list[Row]:
    """A pass of the loop's own code over the running nodes, in a process and state folder of its own."""
    api = ApiClient(project.settings.api_url)
    names = [api.call("POST", "/app/start", {"image": WEB_IMAGE})["app"] for _ in range(APPS)]
    until(lambda: all(entry["status"] == "running" for entry in api.call("GET", "/apps")["apps"]))
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / ".duckconf" / CLUSTER
        state.mkdir(parents=True)
        for name in (project.login_key.name, project.pins.name, FILE_NAME, PLACEMENTS):
            shutil.copy(project.state / name, state)
        os.utime(state / FILE_NAME, (0, 0))
        shutil.copy(project.inventory_path, folder)
        with Client(Path(sys.executable), "ours", folder, CLUSTER) as client:
            client.tell("connect")
            say(f"  {PASSES} passes with nothing to do")
            passes = [client.tell("pass")[0] for _ in range(WARM_UP + PASSES)][WARM_UP:]
    for name in names:
        api.call("DELETE", f"/app/{name}")
    until(lambda: not engine.listing("ps", "-a", f"--filter=label={LABEL_CLUSTER}={CLUSTER}", f"--filter=label={LABEL_APP}"))
    return [Row(f"pass with nothing to do, {NODES} nodes, {APPS} apps", [1000 * one for one in passes], (), 60.0, "ms")]


def until(condition: Callable[[], bool], seconds: float = EVENT_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SetupError(f"the cluster is not ready after {seconds:g} s", "see its logs")
        time.sleep(0.1)
