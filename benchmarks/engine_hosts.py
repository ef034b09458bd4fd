"""A few SSH hosts with a container engine of their own each, for what has to reach separate engines.

A host is one privileged container of the demo node's image with sshd alone, which is up in a second, and podman with its
store on a volume that goes with it. The project around them lies in this checkout, so that `./inv` can be pointed at it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ports import free_ports
from benchmarks.ssh_farm import await_sshd
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.cli.terminal.edge import ROOT
from duckconf.cli.terminal.say import step
from duckconf.command import Completed
from duckconf.naming import NODE_IMAGE
from duckconf.reach.inventory.project import Project, load_project

ADDRESS = "127.0.0.1"
INSIDE = "/host-files"
# A nested engine: no cgroups or journal of its own to write to.
ENGINE_CONF = """[containers]
cgroups = "disabled"
[engine]
runtime = "crun"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
SSHD_CONF = f"""HostKey {INSIDE}/host_key
AuthorizedKeysFile {INSIDE}/id_ed25519.pub
StrictModes no
PermitRootLogin yes
UseDNS no
PidFile none
"""
BEGIN = 'mkdir -p /run/sshd /etc/duckconf && echo "$1" >/etc/duckconf/node && exec /usr/sbin/sshd -D -f "$2"'


@dataclass(frozen=True)
class EngineHosts:
    """The running hosts and the project that knows them."""

    project: Project
    environ: dict[str, str]
    names: Sequence[str]
    local: LocalEngine

    def inside(self, node: str, *argv: str) -> Completed:
        """Run on the host, past SSH and Duckconf."""
        return self.local.run("exec", self.container(node), *argv, deadline=120)

    def container(self, node: str) -> str:
        return f"{self.project.cluster}-{node}"

    def inv(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(ROOT / "inv"), *words], env=self.environ, capture_output=True, text=True, timeout=300, check=False
        )


@contextmanager
def engine_hosts(local: LocalEngine, count: int = 3) -> Iterator[EngineHosts]:
    """`count` hosts called node-1, node-2, …, gone afterwards with everything on them."""
    cluster = f"eh{os.getpid()}"
    names = [f"node-{number}" for number in range(1, count + 1)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ports = dict(zip(names, free_ports(ADDRESS, count)))
        _write_files(folder, cluster, ports)
        ours = {"DUCKCONF_INVENTORY": str(folder / "hosts.ini"), "DUCKCONF_CLUSTER": cluster}
        project = load_project(ROOT, {**os.environ, **ours})
        hosts = EngineHosts(project, {**local.environ(), **ours}, names, local)
        try:
            project.state.mkdir(parents=True)
            shutil.copy(folder / "known_hosts", project.pins)
            with step(f"starting {count} hosts with engines of their own"):
                for node, port in ports.items():
                    _start(hosts, folder, node, port)
                for port in ports.values():
                    await_sshd((ADDRESS, port))
            yield hosts
        finally:
            for node in names:
                local.run("unpause", hosts.container(node))
                local.run("rm", "-f", "-t", "0", "--volumes", hosts.container(node))
            shutil.rmtree(project.state, ignore_errors=True)


def _start(hosts: EngineHosts, folder: Path, node: str, port: int) -> None:
    hosts.local.must(
        "run", "-d", "--name", hosts.container(node), "--privileged", "--stop-signal=KILL", f"--publish={ADDRESS}:{port}:22",
        f"--volume={folder}:{INSIDE}:ro", f"--volume={folder}/containers.conf:/etc/containers/containers.conf:ro",
        "--volume=/var/lib/containers", NODE_IMAGE, "sh", "-c", BEGIN, "sh", node, f"{INSIDE}/sshd.conf",
    )  # fmt: skip


def _write_files(folder: Path, cluster: str, ports: dict[str, int]) -> None:
    for name in ("host_key", "id_ed25519"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)], check=True)
    key = (folder / "host_key.pub").read_text().rsplit(" ", 1)[0]
    (folder / "known_hosts").write_text("".join(f"[{ADDRESS}]:{port} {key}\n" for port in ports.values()))
    (folder / "containers.conf").write_text(ENGINE_CONF)
    (folder / "sshd.conf").write_text(SSHD_CONF)
    hosts = [f"{node} ansible_port={port}" for node, port in ports.items()]
    login = [f"ansible_host={ADDRESS}", "ansible_user=root", f"ansible_ssh_private_key_file={folder / 'id_ed25519'}"]
    lines = ["[nodes]", *hosts, "[all:vars]", *login, f"duckconf_cluster={cluster}", ""]
    (folder / "hosts.ini").write_text("\n".join(lines))
