"""The API of reconcile mode as a process on a real disk: killed while it writes, out of space, edited behind its back."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from duckconf.desired import empty_document, read_document
from duckconf.errors import DuckconfError
from duckconf.reach.api.client import ApiClient, ApiRefused
from tests.e2e.conftest import ROOT, free_ports
from tests.waiting import until

pytestmark = pytest.mark.slow

KILLS = 20
WRITERS = 8


@dataclass
class Server:
    """An API server with a state folder of its own; it needs no node."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def file(self) -> Path:
        return self.folder / ".duckconf" / "alone" / "desired_state.csv"

    def client(self) -> ApiClient:
        return ApiClient(f"http://127.0.0.1:{self.port}")

    def start(self) -> None:
        environ = {**os.environ, "DUCKCONF_CLUSTER": "alone", "DUCKCONF_API": f"http://127.0.0.1:{self.port}"}
        argv = [sys.executable, "-m", "api.serve", "--project", str(self.folder), "--mode", "reconcile"]
        with (self.folder / "api.log").open("ab") as log:
            self.process = subprocess.Popen(argv, cwd=ROOT, env=environ, stdout=log, stderr=log)
        until("the API answers", self.answers)

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "api.log").read_text()[-1000:]
        try:
            return bool(self.client().call("GET", "/healthz", deadline=1.0))
        except DuckconfError:
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def apps(self) -> dict[str, str]:
        return {name: app.image for name, app in read_document(self.file.read_text()).apps().items()}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path, free_ports(1)[0])
    made.file.parent.mkdir(parents=True)
    made.file.write_text(empty_document().text())
    os.utime(made.file, (0, 0))
    made.start()
    yield made
    made.kill()


def test_killed_twenty_times_under_eight_writers_no_acknowledged_write_is_lost(server: Server) -> None:
    acknowledged = [0] * WRITERS
    over, serving = threading.Event(), threading.Event()
    serving.set()

    def write(writer: int) -> None:
        client = server.client()
        while not over.is_set():
            try:
                client.call("PUT", f"/app/w{writer}-{acknowledged[writer]}", {"image": "nginx"}, deadline=5.0)
            except DuckconfError:
                # Cut off: nobody knows whether it was written, so it is sent again.
                serving.wait(20)
                continue
            acknowledged[writer] += 1

    with ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(write, number) for number in range(WRITERS)]
        try:
            for kill in range(KILLS):
                enough = sum(acknowledged) + 20
                until("writes are acknowledged", functools.partial(lambda goal: sum(acknowledged) >= goal, enough))
                serving.clear()
                server.kill()
                assert read_document(server.file.read_text()).faults == (), f"after kill {kill}"
                server.start()
                serving.set()
        finally:
            over.set()
            serving.set()
        for done in writers:
            done.result()
    expected = {f"w{writer}-{number}" for writer in range(WRITERS) for number in range(acknowledged[writer])}
    assert len(expected) >= 20 * KILLS
    assert expected <= set(server.apps())


def test_fifty_puts_at_once_on_different_names_all_survive(server: Server) -> None:
    with ThreadPoolExecutor(50) as pool:
        list(pool.map(lambda number: server.client().call("PUT", f"/app/w{number}", {"image": "nginx"}), range(50)))
    assert set(server.apps()) == {f"w{number}" for number in range(50)}


def test_a_full_disk_is_507_keeps_the_old_state_and_heals_by_itself(tmp_path: Path) -> None:
    server = Server(tmp_path, free_ports(1)[0])
    state = server.file.parent
    state.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(state)], check=True)
    try:
        server.file.write_text(empty_document().text())
        server.start()
        client = server.client()
        client.call("PUT", "/app/web", {"image": "nginx"})
        before = server.file.read_bytes()
        filler = state / "filler"
        subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=4k"], check=False, capture_output=True)
        with pytest.raises(ApiRefused) as refused:
            client.call("PUT", "/app/b", {"image": "nginx", "env": {"BIG": "x" * 8000}})
        assert refused.value.status == 507
        assert server.file.read_bytes() == before
        assert [entry["name"] for entry in client.call("GET", "/apps")["apps"]] == ["web"]
        filler.unlink()
        client.call("PUT", "/app/c", {"image": "nginx"})
        assert set(server.apps()) == {"web", "c"}
        server.kill()
    finally:
        if server.process is not None:
            server.process.kill()
            server.process.wait()
        subprocess.run(["umount", str(state)], check=True)


def test_an_editor_and_the_api_at_the_same_time_lose_nothing(server: Server) -> None:
    """A person saves an old version with a row of theirs again and again, while clients write."""
    client = server.client()
    names = [f"api-{number}" for number in range(30)]
    edits = []
    for number, name in enumerate(names):
        opened = server.file.read_text()
        client.call("PUT", f"/app/{name}", {"image": "nginx"})
        if number % 10 == 5:
            edits.append(f"hand-{number}")
            saved = server.file.with_suffix(".swp")
            saved.write_text(opened + f"{edits[-1]},nginx\n")
            os.replace(saved, server.file)
            until("the edit is merged", lambda: set(edits) <= {entry["name"] for entry in client.call("GET", "/apps")["apps"]})
    until("all rows are in the file", lambda: set(server.apps()) == {*names, *edits})


def test_a_second_server_on_the_same_state_refuses_to_start(server: Server) -> None:
    environ = {**os.environ, "DUCKCONF_CLUSTER": "alone", "DUCKCONF_API": f"http://127.0.0.1:{free_ports(1)[0]}"}
    argv = [sys.executable, "-m", "api.serve", "--project", str(server.folder), "--mode", "reconcile"]
    refused = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=30, check=False)
    assert refused.returncode == 1
    assert "in use by the API server" in refused.stderr
