"""Somebody's own front over real instances: what is exported is run as it is, but for the port that it listens on."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.conftest import Declared, free_ports
from tests.e2e.updated import QUICK
from tests.waiting import until

pytestmark = pytest.mark.slow

HOST = "shop.example.org"
CHECKS = {"caddy": ("caddy", "validate", "--adapter", "caddyfile", "--config"), "haproxy": ("haproxy", "-c", "-f")}
RUNS = {"caddy": ("caddy", "run", "--adapter", "caddyfile", "--config"), "haproxy": ("haproxy", "-db", "-f")}


def on_port(form: str, exported: str, port: int) -> str:
    """The configuration for one port of this machine, without certificates."""
    if form == "haproxy":
        return exported.replace("bind :80,[::]:80 v6only", f"bind 127.0.0.1:{port}")
    return "{\n\tadmin off\n}\n" + exported.replace(f"\n{HOST} {{", f"\nhttp://{HOST}:{port} {{")


@contextmanager
def front(form: str, folder: Path, exported: str) -> Iterator[Callable[[str, str], int]]:
    """A front with what was exported; yields what it answers to a host and a path: the status, 0 for none."""
    (folder / "whole").write_text(exported)
    environ = {"HOME": str(folder), "PATH": "/usr/local/sbin:/usr/sbin:/usr/bin:/bin"}
    checked = subprocess.run([*CHECKS[form], folder / "whole"], env=environ, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    (port,) = free_ports(1)
    (folder / "here").write_text(on_port(form, exported, port))
    process = subprocess.Popen([*RUNS[form], folder / "here"], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def status(host: str, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", path, headers={"Host": host})
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    try:
        until("it serves", lambda: status(HOST, "/") == 200, 20)
        yield status
    finally:
        process.terminate()
        process.wait(20)


def test_fronts_serve_from_the_instances_that_are_ready_and_are_told_of_each_change(declared: Declared, tmp_path: Path) -> None:
    inv, engine = declared.cluster.inv, declared.cluster.engine
    started = inv(
        "start-app", "localhost/duckconf/web", "--name", "web", "--replicas", "3", "--port", "80", "--route", HOST, *QUICK
    )
    assert started.returncode == 0, started.stderr
    until("three serve", lambda: len(upstreams(declared)) == 3, 40)
    taken = inv("start-app", "localhost/duckconf/web", "--name", "other", "--port", "80", "--route", f"{HOST.upper()}/")
    assert (taken.returncode, f"{HOST} leads to web already" in taken.stderr) == (1, True), taken.stderr
    assert inv("routes").stdout.splitlines()[1].split()[:3] == [HOST, "web", "3"]
    revision = declared.api.call("GET", "/routes")["revision"]
    for form in CHECKS:
        folder = tmp_path / form
        folder.mkdir()
        with front(form, folder, inv("export", form).stdout) as status:
            # One ends, and nobody has told the front yet.
            engine.must("kill", next(row["Id"] for row in declared.cluster.apps()))
            assert {status(HOST, "/?any=query") for _ in range(30)} == {200}
        told = declared.api.call("GET", f"/routes?since={revision}&wait=30", deadline=40.0)
        assert told["revision"] != revision
        until("three serve again", lambda: len(upstreams(declared)) == 3, 40)
        revision = declared.api.call("GET", "/routes")["revision"]
    assert (inv("update", "web", "--unset", "route").returncode, inv("routes", "--json").stdout) == (0, "[]\n")


def upstreams(declared: Declared) -> list[str]:
    told = json.loads(declared.cluster.inv("routes", "--json").stdout)
    return [upstream["address"] for route in told for upstream in route["upstreams"]]
