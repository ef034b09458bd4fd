"""A Docker Swarm of a few daemons on this machine, each in a network namespace of its own, to be measured beside ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.nodes import NODES, until
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.cli.terminal.say import step
from duckconf.errors import SetupError
from duckconf.naming import WEB_IMAGE

NETWORK = "10.213.87"
# Where rlimits cannot be raised, containers get no more than is there.
LIMITS = ("nofile=20000:20000", "nproc=30000:30000")
SERVICE = "web"


class Swarm:
    """The daemons by number, the first of which manages."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mark = f"dc{os.getpid()}"
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self, engine: LocalEngine) -> None:
        engine.must("save", "-q", "--format=docker-archive", "-o", str(self._folder / "image.tar"), WEB_IMAGE)
        _must("ip", "link", "add", self._bridge, "type", "bridge")
        _must("ip", "link", "set", self._bridge, "up")
        for number in range(1, NODES + 1):
            self._start_daemon(number)
        for number in range(1, NODES + 1):
            until(partial(self._answers, number), 60)
            self.docker(number, "load", "-q", "-i", str(self._folder / "image.tar"))
        self.docker(1, "swarm", "init", f"--advertise-addr={NETWORK}.1")
        token = self.docker(1, "swarm", "join-token", "-q", "worker")
        for number in range(2, NODES + 1):
            self.docker(number, "swarm", "join", f"--token={token}", f"{NETWORK}.1:2377")

    def docker(self, number: int, *words: str) -> str:
        """Raises SetupError."""
        return _must("docker", f"--host={self._socket(number)}", *words)

    def create(self, replicas: int) -> None:
        policy = ("--update-parallelism=1", "--update-order=start-first", "--update-delay=0s", "--update-monitor=1s")
        words = (f"--name={SERVICE}", f"--replicas={replicas}", "--no-resolve-image", "--detach", *policy)
        self.docker(1, "service", "create", *words, f"{WEB_IMAGE}:latest")
        until(lambda: self.docker(1, "service", "ls", "--format={{.Replicas}}") == f"{replicas}/{replicas}", 120)

    def update(self, number: int) -> None:
        """Returns when it is completed."""
        self.docker(1, "service", "update", "--detach", f"--env-add=ROUND={number}", SERVICE)
        shown = ("service", "inspect", SERVICE, "--format={{.UpdateStatus.State}}")
        until(lambda: self.docker(1, *shown) == "completed", 300)

    def stop(self) -> None:
        for number in range(1, len(self._daemons) + 1):
            subprocess.run(
                ["docker", f"--host={self._socket(number)}", "swarm", "leave", "--force"], capture_output=True, check=False
            )
        for daemon in self._daemons:
            daemon.terminate()
        for number, daemon in enumerate(self._daemons, 1):
            daemon.wait(60)
            for left in (self._folder / str(number) / "exec" / "netns").glob("*"):
                subprocess.run(["umount", left], check=False, capture_output=True)
            subprocess.run(["ip", "netns", "del", f"{self._mark}-{number}"], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", self._bridge], check=False, capture_output=True)

    @property
    def _bridge(self) -> str:
        return f"{self._mark}b"

    def _socket(self, number: int) -> str:
        return f"unix://{self._folder / str(number)}/docker.sock"

    def _answers(self, number: int) -> bool:
        argv = ["docker", f"--host={self._socket(number)}", "version"]
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0

    def _start_daemon(self, number: int) -> None:
        space, cable, folder = f"{self._mark}-{number}", f"{self._mark}v{number}", self._folder / str(number)
        folder.mkdir()
        _must("ip", "netns", "add", space)
        _must("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
        _must("ip", "link", "set", cable, "master", self._bridge, "up")
        _must("ip", "-n", space, "addr", "add", f"{NETWORK}.{number}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            _must("ip", "-n", space, "link", "set", device, "up")
        options = [
            f"--host={self._socket(number)}",
            f"--pidfile={folder}/pid",
            *(f"--default-ulimit={limit}" for limit in LIMITS),
        ]
        options += [f"--data-root={folder}/data", f"--exec-root={folder}/exec"]
        named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec dockerd "$@"', f"node-{number}", *options]
        with (folder / "log").open("wb") as log:
            argv = ["nsenter", f"--net=/var/run/netns/{space}", *named]
            self._daemons.append(subprocess.Popen(argv, stdout=log, stderr=log))


@contextmanager
def swarm(engine: LocalEngine) -> Iterator[Swarm]:
    """Raises SetupError where there is no dockerd, or it does not come up."""
    if shutil.which("dockerd") is None:
        raise SetupError("there is no dockerd", "install docker.io")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        running = Swarm(Path(folder))
        try:
            with step(f"starting a swarm of {NODES} daemons"):
                running.start(engine)
            yield running
        finally:
            running.stop()


def _must(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        raise SetupError(f"{argv[0]} {argv[1]}: {done.stderr.strip()[-300:]}")
    return done.stdout.strip()
