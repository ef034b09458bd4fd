"""Images pushed onto engines of their own: three hosts with nested podman, real sshd, and links that break and freeze."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.engine_hosts import EngineHosts, engine_hosts
from duckconf.actions import Start
from duckconf.cli.cluster.nodes import open_cluster
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.cli.fleet.push_image import PRESENT, PUSHED, Pushed, failures, push_image, push_images
from duckconf.codec import spec_hash, to_label
from duckconf.command import Command
from duckconf.errors import EngineRefused, NodeFailure
from duckconf.inventory import Host
from duckconf.model import App
from duckconf.naming import WEB_IMAGE, app_labels
from duckconf.reach.inventory.project import Project
from duckconf.reach.nodes.image_source import ImageSource
from tests.e2e.conftest import ROOT
from tests.e2e.paused import pause
from tests.waiting import until

pytestmark = pytest.mark.slow

MEGA = 1_000_000
IMAGE = f"localhost/pushed-{os.getpid()}"
PARTS = "/root/.cache/duckconf/images"


@pytest.fixture(scope="module")
def hosts(engine_env: dict[str, str]) -> Iterator[EngineHosts]:
    with engine_hosts(LocalEngine(ROOT)) as running:
        yield running


@pytest.fixture
def image(hosts: EngineHosts) -> Iterator[str]:
    """An image with 12 MB that cannot be compressed, new for each test; on no node before."""
    build(hosts)
    yield IMAGE
    source = ImageSource(ROOT / ".duckconf" / "images", hosts.environ)
    source.forget(source.find(IMAGE))
    hosts.local.run("rmi", IMAGE)
    for node in hosts.names:
        hosts.inside(node, "sh", "-c", f"podman rmi -f {IMAGE}; rm -rf {PARTS}")


def build(hosts: EngineHosts) -> None:
    with tempfile.TemporaryDirectory() as context:
        (Path(context) / "data").write_bytes(os.urandom(12 * MEGA))
        (Path(context) / "Containerfile").write_text(f"FROM {WEB_IMAGE}\nCOPY data /data\n")
        hosts.local.must("build", "-q", "-t", IMAGE, context)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives up on a silent node in a fraction of the usual time."""
    monkeypatch.setattr("duckconf.cli.fleet.push_image.PATIENCE", 2.5)
    monkeypatch.setattr("duckconf.reach.ssh.runner.STALLED", 2.5)


class Link:
    """A way to a node's sshd that carries so many bytes and then ends, or carries nothing more."""

    def __init__(self, port: int, after: int, *, freezes: bool = False) -> None:
        self._to = port
        self._left = after
        self._freezes = freezes
        self._server = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._server]
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            near, _ = self._server.accept()
            far = socket.create_connection(("127.0.0.1", self._to))
            self._sockets += [near, far]
            threading.Thread(target=self._carry, args=(far, near), daemon=True).start()
            self._carry(near, far, limited=True)

    def _carry(self, source: socket.socket, sink: socket.socket, *, limited: bool = False) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if limited:
                    self._left -= len(data)
                    if self._left < 0:
                        break
                sink.sendall(data)
        if limited and not self._freezes:
            self.close()

    def close(self) -> None:
        for item in self._sockets:
            with contextlib.suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)
            item.close()


@contextlib.contextmanager
def through(link: Link, hosts: EngineHosts, tmp_path: Path) -> Iterator[tuple[Project, list[Host]]]:
    """The project with node-1 behind the link."""
    project = hosts.project
    port = project.inventory().node("node-1").port
    path = tmp_path / "hosts.ini"
    path.write_text(project.inventory_path.read_text().replace(f"ansible_port={port}", f"ansible_port={link.port}"))
    pins = project.pins.read_text()
    project.pins.write_text(pins + pins.splitlines()[0].replace(f":{port} ", f":{link.port} ") + "\n")
    changed = replace(project, settings=replace(project.settings, inventory=str(path)))
    try:
        yield changed, changed.inventory().node_hosts()
    finally:
        link.close()
        project.pins.write_text(pins)


def assert_runs(hosts: EngineHosts, node: str, image: str) -> None:
    """The image runs there and has all its content."""
    program = ("--entrypoint=/bin/busybox", image, "wc", "-c", "/data")
    done = hosts.inside(node, "docker", "run", "--rm", "--network=none", *program)
    assert done.stdout.split() == [str(12 * MEGA), "/data"], done


def cut_off(hosts: EngineHosts, image: str, tmp_path: Path) -> int:
    """A push to node-1 that breaks after 6 MB: how much of it is there. What the sockets on the way still held, up to 2 MB, is
    lost with the connection."""
    with through(Link(hosts.project.inventory().node("node-1").port, 6 * MEGA), hosts, tmp_path) as (project, nodes):
        failed = failures(push_images(project, [image], nodes[:1])[image])
    assert set(failed) == {"node-1"}
    part = f"{PARTS}/$(ls {PARTS})"
    until("the upload has ended there", lambda: hosts.inside("node-1", "pgrep", "-x", "cat").code == 1)
    size = int(hosts.inside("node-1", "sh", "-c", f"wc -c <{part}").stdout)
    assert 3 * MEGA < size < 6 * MEGA
    return size


def test_an_image_reaches_all_nodes_and_the_second_time_nothing_is_sent(hosts: EngineHosts, image: str) -> None:
    first, second = hosts.inv("push-image", image, "--json"), hosts.inv("push-image", image, "--json")

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert [(row["node"], row["status"]) for row in json.loads(first.stdout)] == [(node, PUSHED) for node in hosts.names]
    assert [(row["status"], row["sent"]) for row in json.loads(second.stdout)] == [(PRESENT, 0)] * 3
    for node in hosts.names:
        assert_runs(hosts, node, image)
    assert not any(hosts.inside(node, "ls", PARTS).stdout for node in hosts.names)


def test_a_rebuilt_tag_names_the_apps_that_run_the_old_image(hosts: EngineHosts, image: str) -> None:
    assert hosts.inv("push-image", image, "--to", "node-1,node-2").returncode == 0
    labels = app_labels(hosts.project.cluster, "web", spec_hash(App(image)), 0, to_label(App(image)))
    argv = [f"--label={name}={value}" for name, value in labels.items()]
    program = ("--network=none", "--entrypoint=/bin/busybox", image, "sleep", "600")
    try:
        assert hosts.inside("node-1", "docker", "run", "-d", "--name=old", *argv, *program).ok
        fresh = hosts.inv("push-image", image, "--to", "node-1", "--json")
        assert json.loads(fresh.stdout)[0]["outdated"] == []
        build(hosts)
        done = hosts.inv("push-image", image, "--to", "node-1,node-2")
        assert done.returncode == 0, done.stderr
        assert f"still on an older {image}: web on node-1 (to start one from the new image: ./inv " in done.stdout + done.stderr
    finally:
        hosts.inside("node-1", "docker", "rm", "-f", "-t", "0", "old")


def test_only_the_nodes_that_are_meant_get_it(hosts: EngineHosts, image: str) -> None:
    done = hosts.inv("push-image", image, "--to", "nodes:!node-2")

    assert done.returncode == 0, done.stderr
    have = [node for node in hosts.names if hosts.inside(node, "podman", "image", "exists", image).ok]
    assert have == ["node-1", "node-3"]


def test_a_node_of_another_architecture_is_refused_by_name_and_the_others_get_the_image(hosts: EngineHosts, image: str) -> None:
    assert hosts.inside("node-1", "sh", "-c", "printf '#!/bin/sh\necho aarch64\n' >/usr/local/bin/uname").ok
    assert hosts.inside("node-1", "chmod", "+x", "/usr/local/bin/uname").ok
    try:
        done = hosts.inv("push-image", image, "--json")
    finally:
        hosts.inside("node-1", "rm", "/usr/local/bin/uname")

    assert done.returncode == 4, done.stderr
    rows = {row["node"]: row for row in json.loads(done.stdout)}
    assert {node: row["status"] for node, row in rows.items()} == {"node-1": "failed", "node-2": PUSHED, "node-3": PUSHED}
    assert f"is arm64, and {image} is for amd64" in rows["node-1"]["reason"]
    assert not hosts.inside("node-1", "podman", "image", "exists", image).ok


def test_a_push_that_was_cut_off_goes_on_where_it_was(hosts: EngineHosts, image: str, tmp_path: Path) -> None:
    size = cut_off(hosts, image, tmp_path)

    outcome = push_images(hosts.project, [image], hosts.project.inventory().node_hosts()[:1])[image]["node-1"]
    assert isinstance(outcome, Pushed)
    assert outcome.sent < 14 * MEGA - size
    assert_runs(hosts, "node-1", image)


def test_a_damaged_part_is_noticed_and_sent_again(hosts: EngineHosts, image: str, tmp_path: Path) -> None:
    cut_off(hosts, image, tmp_path)
    damage = f"printf damage | dd of={PARTS}/$(ls {PARTS}) bs=1 seek=100000 conv=notrunc"
    assert hosts.inside("node-1", "sh", "-c", damage).ok

    outcome = push_images(hosts.project, [image], hosts.project.inventory().node_hosts()[:1])[image]["node-1"]
    assert isinstance(outcome, Pushed)
    assert outcome.sent > 12 * MEGA
    assert_runs(hosts, "node-1", image)


def test_a_link_that_takes_nothing_more_is_given_up(hosts: EngineHosts, image: str, tmp_path: Path, impatient: None) -> None:
    link = Link(hosts.project.inventory().node("node-1").port, 2 * MEGA, freezes=True)
    with through(link, hosts, tmp_path) as (project, nodes):
        outcomes = push_images(project, [image], nodes[:2])[image]

    assert isinstance(outcomes["node-1"], NodeFailure)
    assert isinstance(outcomes["node-2"], Pushed)


def test_a_frozen_node_keeps_the_image_from_nobody(
    hosts: EngineHosts, image: str, impatient: None, capsys: pytest.CaptureFixture[str]
) -> None:
    pause(hosts.local.must, hosts.container("node-3"))
    try:
        code = push_image(hosts.project, image, "", as_json=True)
    finally:
        hosts.local.must("unpause", hosts.container("node-3"))

    said = capsys.readouterr()
    assert code == 4
    assert [row["status"] for row in json.loads(said.out)] == [PUSHED, PUSHED, "failed"]
    assert "node-3: no answer" in said.err
    again = push_images(hosts.project, [image], hosts.project.inventory().node_hosts())[image]
    assert [str(outcome).split(":")[0] for outcome in again.values()] == [PRESENT, PRESENT, PUSHED]


def test_a_node_that_cannot_pull_says_how_to_bring_the_image(hosts: EngineHosts) -> None:
    with open_cluster(hosts.project) as cluster, pytest.raises(EngineRefused) as caught:
        cluster.act(Start("node-1", "duckconf-none", App(name="none", image="localhost/no-such-image")))

    assert "./inv push-image localhost/no-such-image --to node-1" in str(caught.value)


def test_an_image_that_nobody_has_is_an_error_before_anything_is_sent(hosts: EngineHosts) -> None:
    done = hosts.inv("push-image", "localhost/no-such-image")

    assert done.returncode == 1
    assert "no image localhost/no-such-image" in done.stderr


def test_what_is_poured_in_arrives_byte_for_byte(hosts: EngineHosts) -> None:
    pieces = [os.urandom(100_000) for _ in range(50)]
    with open_cluster(hosts.project) as cluster:
        done = cluster.fleet.runner("node-1").pour(Command(("sha256sum",)), iter(pieces))
        early = cluster.fleet.runner("node-1").pour(Command(("sh", "-c", "exit 7")), iter(pieces * 4))

    assert done.stdout.split()[0] == hashlib.sha256(b"".join(pieces)).hexdigest()
    assert early.code == 7
