"""The container engine of this machine, on which the demo hosts live: present, able to start containers, reachable.
Beside it the docker engine of this machine, which demo nodes borrow where the inventory says so.

Known limits of a machine (cgroups in hybrid mode, rlimits that cannot be raised) are met with a `containers.conf`
of our own under `.duckconf/`; nothing outside the project is changed.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from duckconf import engine
from duckconf.cli.terminal.say import say, step
from duckconf.command import Command, Completed
from duckconf.engine import PODMAN
from duckconf.engine_hints import DELEGATE, hint, why_no_systemd
from duckconf.engine_output import Container, last_line, read_containers
from duckconf.errors import SetupError
from duckconf.naming import LABEL_NODE
from duckconf.reach.nodes.local import LocalRunner

PACKAGES = ("podman", "runc", "crun", "netavark", "aardvark-dns", "catatonit", "nftables", "iptables", "mmdebstrap")
PROGRAMS = ("podman", "runc", "mmdebstrap")
APT_LOCK = Path("/run/lock/duckconf-apt")
REMOVAL_DEADLINE = 300.0
# Seconds in which systemd comes up in a host.
HOST_DEADLINE = 30.0
# Until its socket is there, systemctl cannot wait by itself. Degraded: a unit of the image has failed, such as sshd, which has
# no host key yet.
AWAIT_SYSTEMD = "until systemctl is-system-running --wait 2>/dev/null | grep -Eq 'running|degraded'; do sleep 0.1; done"
DOCKER_ADDRESS = "unix:///var/run/docker.sock"
# In the order in which they are tried; each holds what the one before it holds.
RUNTIME = '[engine]\nruntime = "runc"\n'
LIMITS = '[containers]\ndefault_ulimits = ["nofile=20000:20000","nproc=30000:30000"]\n'
SETTINGS = ((RUNTIME, "runtime runc"), (LIMITS + RUNTIME, "runtime runc, lower limits"))


class LocalEngine:
    """Podman on this machine, with the settings that it needs here; or docker, which is only borrowed from its owner."""

    def __init__(self, project_root: Path, program: str = PODMAN) -> None:
        self.program = program
        self.settings = project_root / ".duckconf" / "containers.conf"
        self._root = project_root

    def environ(self) -> dict[str, str]:
        """The environment for everything that talks to the engine."""
        environ = dict(os.environ)
        if self.settings.exists():
            environ["CONTAINERS_CONF"] = str(self.settings)
        return environ

    def run(self, *argv: str, deadline: float = 60.0, stdin: bytes = b"") -> Completed:
        runner = LocalRunner("this machine's engine", self.environ(), self._root)
        return runner.run(Command((self.program, *argv), stdin=stdin, deadline=deadline))

    def must(self, *argv: str, deadline: float = 60.0, stdin: bytes = b"") -> str:
        """The output; raises SetupError with the engine's own words."""
        done = self.run(*argv, deadline=deadline, stdin=stdin)
        if not done.ok:
            words = last_line(done)
            raise SetupError(f"{self.program} {argv[0]} failed: {words}", hint(words) or "see `./inv doctor`")
        return done.stdout.strip()

    def remove(self, *containers: str) -> None:
        """Gone, with their volumes, after a second in which they may end by themselves."""
        options = ("-f", "-v", "-i", "-t", "1") if self.program == PODMAN else ("-f", "-v")
        # Podman fails for one that ends just when it is to be killed. Asked again, it finds it ended.
        if not self.run("rm", *options, *containers, deadline=REMOVAL_DEADLINE).ok:
            self.must("rm", *options, *containers, deadline=REMOVAL_DEADLINE)

    def each(self, verb: str, found: Callable[[], list[str]]) -> list[str]:
        """Do it to the containers that are found, and return their names. One that has gone meanwhile is an error to the engine:
        what is found then is asked again. Raises SetupError."""
        names = found()
        if names and not self.run(verb, *names).ok and (left := found()):
            self.must(verb, *left)
        return names

    def listing(self, *argv: str) -> list[dict[str, Any]]:
        """The answer to a listing command with `--format json`."""
        return json.loads(self.must(*argv, "--format", "json") or "[]") or []

    def apps(self, cluster: str, node: str = "") -> tuple[Container, ...]:
        """Our containers there that are no demo hosts: those of `node`, or of all of them."""
        _, *argv = engine.list_ours(cluster, self.program).argv
        of_node = (f"--filter=label={LABEL_NODE}={node}",) if node else (f"--filter=label={LABEL_NODE}",)
        return read_containers(node, self.run(*argv, *of_node))

    def has_image(self, name: str) -> bool:
        return self.run("image", "exists", name).ok

    def check(self, image: str) -> None:
        """Start one throwaway container, and adapt to what this machine forbids; raises SetupError in podman's words."""
        done = self._try(image)
        for content, what in SETTINGS if "CONTAINERS_CONF" not in os.environ else ():
            if done.ok:
                return
            self.settings.parent.mkdir(mode=0o700, exist_ok=True)
            self.settings.write_text("# Written because this machine's podman could not start a container.\n" + content)
            done = self._try(image)
            if done.ok:
                say(f"  podman is set up for this machine ({what}) in {self.settings.relative_to(self._root)}")
        if not done.ok:
            self.settings.unlink(missing_ok=True)
            words = last_line(done)
            remedy = hint(words) or "try `podman run --rm -it IMAGE true`"
            raise SetupError(f"podman cannot start a container here: {words}", remedy)

    def check_host(self, image: str, name: str, *options: str) -> None:
        """Start a throwaway host of this image on a network of its own, until its systemd is up; raises SetupError."""
        try:
            self.must("network", "create", name)
            self.must("run", "-d", "--name", name, "--systemd=always", f"--network={name}", *options, "--pull=never", image)
            up = self.run("exec", name, "sh", "-c", AWAIT_SYSTEMD, deadline=HOST_DEADLINE)
            if not up.ok:
                raise SetupError(*self.why_host_ended(name, last_line(up)))
        finally:
            self.run("rm", "-f", "-v", "-i", "-t", "0", name)
            self.run("network", "rm", "-f", name)

    def why_host_ended(self, name: str, seen: str = "") -> tuple[str, str]:
        """What became of a host that does not come up, in words, and what to do."""
        state = self.run("inspect", "--format", "{{.State.Status}} with code {{.State.ExitCode}}", name)
        said = self.run("logs", "--tail=5", name)
        words = " ".join(f"{said.stdout} {said.stderr}".split())[-300:] or seen
        info = self.run("info", "--format", "json")
        reason = why_no_systemd(json.loads(info.stdout)) if info.ok else ""
        told = "; ".join(part for part in (words, reason) if part)
        ended = f"the host's container is {last_line(state)}: {told or 'no output'}"
        return ended, DELEGATE if reason else hint(words) or f"see `podman logs {name}`"

    def _try(self, image: str) -> Completed:
        return self.run("run", "--rm", "--pull=never", image, "true")


def require_engine(*, announce: bool = True) -> None:
    """Podman and its company are installed; as root they are brought with apt, otherwise SetupError says how."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None] + ([] if _netavark() else ["netavark"])
    if missing:
        install(PACKAGES, f"{', '.join(missing)} missing", announce=announce)


def _netavark() -> bool:
    return any((Path(folder) / "netavark").exists() for folder in ("/usr/lib/podman", "/usr/libexec/podman", "/usr/bin"))


def install(packages: tuple[str, ...], why: str, *, announce: bool = True) -> None:
    """apt-get install as root; raises SetupError with the command for someone who may."""
    command = f"apt-get install --no-install-recommends {' '.join(packages)}"
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise SetupError(
            f"{why}", f"install it with: sudo {command}" if shutil.which("apt-get") else f"install {' '.join(packages)}"
        )
    runner = LocalRunner(environ={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    # Two tasks that begin together, as in CI: apt does not wait for another one that is reading the lists.
    with step(f"installing {' '.join(packages)} with apt"), APT_LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for argv in (("apt-get", "update", "-q"), ("apt-get", "install", "-y", "-q", "--no-install-recommends", *packages)):
            done = runner.run(Command(argv, deadline=600))
            if not done.ok:
                raise SetupError(f"{' '.join(argv[:2])} failed: {last_line(done)}", f"by hand: {command}")


def docker_socket() -> Path:
    """The socket of this machine's docker; raises SetupError when it is reached in another way."""
    address = os.environ.get("DOCKER_HOST", DOCKER_ADDRESS)
    if not address.startswith("unix://"):
        raise SetupError(f"demo nodes can borrow docker only over a socket, not over {address}", "unset DOCKER_HOST")
    return Path(address.removeprefix("unix://"))


def require_docker(docker: LocalEngine) -> None:
    """Docker answers on this machine; raises SetupError."""
    done = docker.run("version")
    if not done.ok:
        remedy = "start docker, or set DOCKER_HOST to its socket, or `./inv up MODE --topology own`"
        raise SetupError(f"the inventory has nodes with docker, but none answers at {docker_socket()}: {last_line(done)}", remedy)
