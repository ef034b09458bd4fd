"""One real cluster for the session: three demo hosts, sshd, the API server, made by the same maker as `./inv up push`.

It has a name and ports of its own and never touches a running demo.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from duckconf.cli.cluster import bring_up, modes
from duckconf.cli.demo.demo_roles import SOCKET_NAME
from duckconf.cli.demo.images import ensure_images
from duckconf.cli.demo.local_engine import LocalEngine, require_engine
from duckconf.naming import LABEL_APP, LABEL_CLUSTER, LABEL_SLOT, WEB_IMAGE, host_container, instance_name
from duckconf.reach.api.client import ApiClient
from duckconf.reach.inventory.project import Project, load_project
from tests.e2e import warm
from tests.e2e.engine_api import containers
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
NODES = ("node-1", "node-2", "node-3")
# Long enough for the frozen to be told from the slow, short enough to wait for.
NODE_TIMEOUT = 8.0

EVENTS_OF_A_FAILURE = 40

# So that a move or an update takes over a second after its start and not five.
SOON_READY = {"update_config": {"monitor": "1s"}}


def second_checkout(folder: Path) -> Path:
    """What is tracked, in another folder, with the same packages; returns its `inv`."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, tracked.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder / "inv"


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


def write_inventory(folder: Path, cluster: str, ports: list[int], extra: str = "", control: int | None = None) -> Path:
    """A demo inventory with one node per port, and a control plane on the port `control`, in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    hosts = [f"node-{index} ansible_port={port}" for index, port in enumerate(ports, 1)]
    variables = [f"duckconf_cluster={cluster}", "duckconf_provider=container", "ansible_host=127.0.0.1", extra]
    plane = [] if control is None else ["[control_plane]", f"control-1 ansible_port={control}"]
    (folder / "hosts.ini").write_text("\n".join([*plane, "[nodes]", *hosts, "[all:vars]", *variables, ""]))
    return folder / "hosts.ini"


@dataclass(frozen=True)
class Live:
    """The running cluster, as a user meets it: HTTP, `./inv`, and the engine behind it."""

    project: Project
    engine: LocalEngine
    environ: dict[str, str]

    def post(self, body: object, **headers: str) -> tuple[int, dict[str, Any]]:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.project.settings.api_url}/app/start", content, {"Content-Type": "application/json", **headers}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def inv(self, *words: str) -> subprocess.CompletedProcess[str]:
        return warm.inv(words, self.environ, timeout=120)

    def settles(self, seconds: float = 20) -> None:
        """Waits until `diff` finds nothing to do; fails with what it found last."""
        found: list[str] = []

        def nothing_is_to_do() -> bool:
            done = self.inv("diff")
            found[:] = [f"exit code {done.returncode}", done.stdout, done.stderr]
            return done.returncode == 0

        until("nothing is to do", nothing_is_to_do, seconds, lambda: "\n".join(found))

    def host(self, node: str) -> str:
        return host_container(self.project.cluster, node)

    def state_of(self, container: str) -> str:
        done = self.engine.run("inspect", "--type=container", "--format", "{{.State.Status}}", container)
        return done.stdout.strip() if done.ok else "absent"

    def apps(self) -> list[dict[str, Any]]:
        """Our app containers as the engine has them, past every layer of ours."""
        labels = (f"{LABEL_CLUSTER}={self.project.cluster}", LABEL_APP)
        try:
            return containers(self.project.state / "engine" / SOCKET_NAME, *labels)
        except (ConnectionError, FileNotFoundError):
            # The socket is closed in some tests, under which podman goes on.
            return self.engine.listing("ps", "-a", *(f"--filter=label={label}" for label in labels))

    def running(self) -> Counter[str]:
        """How many containers run of each app."""
        return Counter(row["Labels"]["duckconf.app"] for row in self.apps() if row["State"] == "running")

    def ids(self) -> dict[str, str]:
        """The container of each app."""
        return {row["Labels"]["duckconf.app"]: row["Id"] for row in self.apps()}

    def instances(self) -> dict[str, tuple[str, str, int]]:
        """By the name of each instance that runs: container, node, and start, which a needless restart would change."""
        return {
            instance_name(row["Labels"][LABEL_APP], int(row["Labels"][LABEL_SLOT])): (
                row["Id"],
                row["Labels"]["node"],
                row["StartedAt"],
            )
            for row in self.apps()
            if row["State"] == "running"
        }

    def once_each(self, names: Iterable[str]) -> bool:
        """Whether these apps run, once each, and no other container of ours is left."""
        rows = self.apps()
        running = [row["Labels"]["duckconf.app"] for row in rows if row["State"] == "running"]
        return len(running) == len(rows) and Counter(running) == Counter(list(names))

    def nodes_of(self) -> dict[str, str]:
        """The node of each app."""
        return {row["Labels"]["duckconf.app"]: row["Labels"]["node"] for row in self.apps()}

    def remove_apps(self) -> None:
        if rows := self.apps():
            self.engine.must("rm", "-f", "-t", "0", *(row["Id"] for row in rows))


@dataclass(frozen=True)
class Declared:
    """What a client of the reconcile API does."""

    cluster: Live

    @property
    def api(self) -> ApiClient:
        return ApiClient(self.cluster.project.settings.api_url)

    def put(self, name: str, **fields: object) -> dict[str, Any]:
        return self.api.call("PUT", f"/app/{name}", {"image": WEB_IMAGE, **SOON_READY, **fields})

    def put_all(self, names: Iterable[str]) -> None:
        for name in names:
            self.put(name)
        until("they run, once each", lambda: self.cluster.once_each(names), 40)

    def withdraw(self, name: str) -> None:
        self.api.call("DELETE", f"/app/{name}")

    def names(self) -> list[str]:
        return [entry["name"] for entry in self.api.call("GET", "/apps")["apps"]]

    def withdraw_all(self) -> None:
        def nothing_is_left() -> bool:
            # An edit by hand is taken over when it has rested, so that a name may come late.
            for name in self.names():
                self.withdraw(name)
            return self.cluster.apps() == []

        until("nothing is left", nothing_is_left, 60)


class Controlled(Protocol):
    """A cluster whose apps somebody keeps running, whichever engine they run on."""

    def put(self, name: str, **fields: object) -> object: ...

    def once_each(self, names: Iterable[str]) -> bool: ...

    def withdraw(self, names: Iterable[str]) -> None:
        """Returns when nothing of them is left."""
        ...


@contextmanager
def kept_running(cluster: Controlled, names: Sequence[str]) -> Iterator[None]:
    """These apps run, once each, at the beginning and, whatever happens meanwhile, at the end; then they go."""
    for name in names:
        cluster.put(name)
    until("they run, once each", lambda: cluster.once_each(names), 40)
    try:
        yield
        until("they run, once each, at the end", lambda: cluster.once_each(names), 40)
    finally:
        cluster.withdraw(names)


@pytest.fixture(scope="session")
def engine_env() -> dict[str, str]:
    """The environment in which podman can start containers on this machine; our images are there."""
    require_engine()
    engine = LocalEngine(ROOT)
    ensure_images(engine, ROOT)
    return engine.environ()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Beside a failure stands what its cluster has done: most say that something did not come in time."""
    report = yield
    if report.failed:
        values = getattr(item, "funcargs", {}).values()
        for cluster in {id(value): value for value in values if isinstance(value, Live)}.values():
            done = cluster.inv("events", "--limit", str(EVENTS_OF_A_FAILURE))
            report.sections.append((f"events of {cluster.project.cluster}", done.stdout + done.stderr))
    return report


@contextmanager
def brought_up(inventory: Path, cluster: str, api_port: int, mode: str, topology: str = "") -> Iterator[Live]:
    """A cluster in this mode, as `./inv up` makes it; nothing of it is left afterwards."""
    ours = {
        "DUCKCONF_INVENTORY": str(inventory),
        "DUCKCONF_CLUSTER": cluster,
        "DUCKCONF_API": f"http://127.0.0.1:{api_port}",
        "DUCKCONF_NODE_TIMEOUT": str(NODE_TIMEOUT),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ours.items():
            patch.setenv(name, value)
        project = load_project(ROOT, os.environ)
        try:
            bring_up.up(project, mode, topology)
            yield Live(project, LocalEngine(ROOT), dict(os.environ))
        finally:
            bring_up.down(project, purge=False)
            shutil.rmtree(project.state, ignore_errors=True)


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    cluster = f"t{os.getpid()}"
    *ports, api_port = free_ports(4)
    inventory = write_inventory(tmp_path_factory.mktemp("inventory"), cluster, ports)
    with brought_up(inventory, cluster, api_port, modes.PUSH) as running:
        yield running


def in_mode(live: Live, mode: str) -> Live:
    """The live cluster in this mode, without apps; it stays so for the next file, which may want the same."""
    if modes.mode_of(live.project) == modes.RECONCILE:
        Declared(live).withdraw_all()
    live.remove_apps()
    if modes.mode_of(live.project) != mode:
        bring_up.up(live.project, mode)
    return live


@pytest.fixture(scope="module")
def pushing(live: Live) -> Live:
    """The live cluster in push mode."""
    return in_mode(live, modes.PUSH)


@pytest.fixture(scope="module")
def reconciling(live: Live) -> Live:
    """The live cluster with the control loop and its API."""
    return in_mode(live, modes.RECONCILE)


@pytest.fixture
def cluster(pushing: Live) -> Iterator[Live]:
    """The live cluster with no apps before and after."""
    pushing.remove_apps()
    yield pushing
    pushing.remove_apps()


@pytest.fixture
def declared(reconciling: Live) -> Iterator[Declared]:
    """A client of the reconciling cluster, with nothing declared before and after."""
    client = Declared(reconciling)
    yield client
    client.withdraw_all()


@pytest.fixture
def stranger(live: Live) -> Iterator[str]:
    """A running container that is not ours, on the same engine, with labels that are nearly ours."""
    name = f"stranger-{os.getpid()}"
    live.engine.must("run", "-d", "--name", name, "--label=node=node-1", "--label=duckconf.app=web", WEB_IMAGE)
    yield name
    live.engine.run("rm", "-f", "-t", "0", name)
