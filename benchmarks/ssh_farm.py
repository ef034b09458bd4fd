"""Many SSH hosts on this machine's loopback: sshd at 127.0.2.1 to 127.0.2.100, each with a name and a canned engine.

They live in one container of the demo host's image on the host's network, so that nothing is installed here and removing
the container ends them all. Each host serves, in a few lines of sh, the list of its own containers.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clients.passes import Target
from benchmarks.ports import free_ports
from duckconf import engine
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.cli.terminal.say import step
from duckconf.codec import spec_hash, to_label
from duckconf.command import Command
from duckconf.desired import changed, empty_document
from duckconf.errors import SetupError
from duckconf.model import App
from duckconf.naming import LABEL_NODE, NODE_IMAGE, WEB_IMAGE, app_labels, declared_container
from duckconf.reach.state.desired_file import FILE_NAME

CLUSTER = "farm"
ADDRESSES = tuple(f"127.0.2.{number}" for number in range(1, 101))
APPS_PER_HOST = 3
# sshd listens on 16 sockets and no more.
PER_DAEMON = 16
INSIDE = "/farm"
READY_SECONDS = 60.0

# Answers `docker ps`, stays quiet as `docker events`, and speaks HTTP as `docker system dial-stdio`.
CANNED_ENGINE = r"""#!/bin/sh
list=${DUCKCONF_NODE_FILE%.name}.json
case $1 in
  ps) exec cat "$list" ;;
  events) exec sleep 100000 ;;
  system) ;;
  *) exit 125 ;;
esac
body=$(cat "$list")
end=$(printf '\r')
while IFS= read -r line; do
  [ "$line" != "$end" ] ||
    printf 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' "${#body}" "$body"
done
"""
# A host is told from the others of its machine by its namespaces; these have the same ones, and names of their own.
CANNED_NAMESPACE = """#!/bin/sh
echo "$DUCKCONF_NODE_FILE"
"""
# As in the demo hosts; the login shell is the one that starts fastest, for those who start one per look.
BEGIN = f"""
mkdir -p /run/sshd && usermod -s /bin/sh root
for file in {INSIDE}/sshd_*; do /usr/sbin/sshd -D -f "$file" & done
wait
"""


@dataclass(frozen=True)
class Farm:
    """The running hosts; `folder` is a project folder whose inventory has all of them."""

    folder: Path
    hosts: Sequence[tuple[str, int]]

    @property
    def target(self) -> Path:
        """For clients that are not ours: where to find what they need to know."""
        return self.folder / "target.json"


@contextmanager
def ssh_farm(local: LocalEngine, folder: Path, daemons: int = 1) -> Iterator[Farm]:
    """A hundred hosts for each of `daemons` ports, gone afterwards. `folder` is empty and stays."""
    hosts = [(address, port) for port in free_ports(ADDRESSES[0], daemons) for address in ADDRESSES]
    _write_keys(folder, hosts)
    apps = [_write_host(folder, number, where) for number, where in enumerate(hosts)]
    _write_daemons(folder, hosts)
    _write_project(folder, hosts, [app for some in apps for app in some])
    programs = {"docker": CANNED_ENGINE, "readlink": CANNED_NAMESPACE}
    for program, script in programs.items():
        (folder / program).write_text(script)
        (folder / program).chmod(0o755)
    name = f"{CLUSTER}-{os.getpid()}"
    with step(f"starting {len(hosts)} SSH hosts"):
        local.must(
            "run", "-d", "--name", name, "--network=host", "--pids-limit=-1", "--stop-signal=KILL",
            f"--volume={folder}:{INSIDE}:ro",
            *(f"--volume={folder / program}:/usr/local/bin/{program}:ro" for program in programs), NODE_IMAGE, "sh", "-c", BEGIN,
        )  # fmt: skip
    try:
        for where in hosts:
            await_sshd(where)
        yield Farm(folder, hosts)
    finally:
        local.must("rm", "-f", "-t", "0", name)


def await_sshd(where: tuple[str, int]) -> None:
    end = time.monotonic() + READY_SECONDS
    while True:
        try:
            with socket.create_connection(where, timeout=1.0) as talk:
                if talk.recv(4) == b"SSH-":
                    return
        except OSError:
            time.sleep(0.05)
        if time.monotonic() > end:
            raise SetupError(f"no sshd at {where[0]}:{where[1]} after {READY_SECONDS:g} s")


def _write_keys(folder: Path, hosts: Sequence[tuple[str, int]]) -> None:
    for name in ("host_key", "id_ed25519"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)], check=True)
    key = (folder / "host_key.pub").read_text().rsplit(" ", 1)[0]
    (folder / "known_hosts").write_text("".join(f"[{address}]:{port} {key}\n" for address, port in hosts))


def _write_host(folder: Path, number: int, where: tuple[str, int]) -> list[App]:
    """The host's own name, and its list of containers as podman gives it."""
    apps = [App(name=f"app-{number * APPS_PER_HOST + index}", image=WEB_IMAGE) for index in range(1, APPS_PER_HOST + 1)]
    (folder / f"{where[0]}-{where[1]}.name").write_text(f"{node_name(number)}\n")
    (folder / f"{where[0]}-{where[1]}.json").write_text(json.dumps([_row(app, node_name(number)) for app in apps]))
    return apps


def _row(app: App, node: str) -> dict[str, object]:
    labels = app_labels(CLUSTER, app.name, spec_hash(app), 1, to_label(app))
    return {
        "AutoRemove": False, "Command": ["/usr/local/bin/serve"], "CreatedAt": "10 minutes ago", "Exited": False,
        "ExitedAt": -62135596800, "ExitCode": 0, "Id": f"{app.name:0>64}", "Image": app.image, "ImageID": "0" * 64,
        "IsInfra": False, "Labels": {**labels, LABEL_NODE: node}, "Mounts": [], "Names": [declared_container(CLUSTER, app.name)],
        "Namespaces": {}, "Networks": ["podman"], "Pid": 4242, "Pod": "", "PodName": "", "Ports": None, "Size": None,
        "StartedAt": 1767225600, "State": "running", "Status": "Up 10 minutes ago", "Created": 1767225600,
    }  # fmt: skip


def _write_daemons(folder: Path, hosts: Sequence[tuple[str, int]]) -> None:
    for first in range(0, len(hosts), PER_DAEMON):
        some = hosts[first : first + PER_DAEMON]
        lines = [f"ListenAddress {address}:{port}" for address, port in some]
        lines += [f"HostKey {INSIDE}/host_key", f"AuthorizedKeysFile {INSIDE}/id_ed25519.pub", "StrictModes no"]
        lines += ["PermitRootLogin yes", "UseDNS no", "MaxStartups 200", f"PidFile /run/sshd-{first}.pid"]
        for address, port in some:
            lines += [f"Match LocalAddress {address} LocalPort {port}"]
            lines += [f"SetEnv DUCKCONF_NODE_FILE={INSIDE}/{address}-{port}.name"]
        (folder / f"sshd_{first}").write_text("\n".join([*lines, ""]))


def _write_project(folder: Path, hosts: Sequence[tuple[str, int]], apps: Sequence[App]) -> None:
    """Inventory and state for our loop, and the same for the others; what runs is what should run."""
    names = [f"{node_name(number)} ansible_host={host} ansible_port={port}" for number, (host, port) in enumerate(hosts)]
    variables = ["ansible_user=root", f"ansible_ssh_private_key_file={folder / 'id_ed25519'}", f"duckconf_cluster={CLUSTER}"]
    (folder / "hosts.ini").write_text("\n".join(["[nodes]", *names, "[all:vars]", *variables, ""]))
    state = folder / ".duckconf" / CLUSTER
    state.mkdir(parents=True)
    (state / "known_hosts").write_bytes((folder / "known_hosts").read_bytes())
    (state / FILE_NAME).write_text(changed(empty_document(), {app.name: app for app in apps}).text())
    os.utime(state / FILE_NAME, (0, 0))
    key, known = str(folder / "id_ed25519"), str(folder / "known_hosts")
    target = Target(hosts, "root", key, known, listing_command().shell_line())
    (folder / "target.json").write_text(json.dumps(target._asdict()))


def node_name(number: int) -> str:
    return f"host-{number + 1}"


def listing_command() -> Command:
    return engine.list_ours(CLUSTER)
