"""What the roles have left on the hosts: looked at over SSH, and remembered from the last run, so that a role whose work
is still as it was need not run again."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from duckconf.command import Command, Runner
from duckconf.errors import Unreachable
from duckconf.host_words import another_program
from duckconf.reach.state.files import write_durably

UNITS = {
    "node": (),
    "agent": ("duckconf-agent",),
    "edge": ("duckconf-edge", "duckconf-edge-watch"),
    "etcd": ("duckconf-etcd", "duckconf-etcd-snapshot.timer"),
    "control_plane": ("duckconf-api", "duckconf-scheduler", "duckconf-node-controller"),
}
# Without these the role has not done its work.
NEEDED = {
    "node": ("/usr/local/bin/docker", "/etc/duckconf/node"),
    "agent": ("/usr/local/lib/duckconf/agent.pyz", "/etc/duckconf/agent.json", "/etc/duckconf/agent.token"),
    "edge": (
        "/usr/bin/caddy",
        "/etc/duckconf/edge.json",
        "/etc/duckconf/edge-first.json",
        "/usr/local/lib/duckconf_edge_watch.py",
    ),
    "etcd": (
        "/etc/duckconf/etcd/ca.pem",
        "/etc/duckconf/etcd/member.pem",
        "/etc/duckconf/etcd/member.key",
        "/etc/duckconf/etcd/client.pem",
        "/etc/duckconf/etcd/client.key",
        "/etc/duckconf/etcd/member.env",
        "/usr/local/sbin/duckconf-etcdctl",
        "/usr/local/lib/duckconf/etcd-snapshot",
        "/etc/systemd/system/duckconf-etcd-snapshot.service",
    ),
    "control_plane": (
        "/usr/local/lib/duckconf/control-plane.pyz",
        "/etc/duckconf/control-plane.json",
        "/etc/duckconf/tokens.json",
        "/etc/duckconf/operator.token",
    ),
}
# It puts these there too, or not, as its arguments want it.
OTHERS = {
    "node": (
        "/etc/duckconf/engine",
        "/etc/duckconf/owner",
        "/etc/duckconf/become",
        "/etc/duckconf/installed",
        "/etc/containers/containers.conf.d/50-duckconf.conf",
        "/etc/sysctl.d/60-duckconf.conf",
        "/etc/docker/daemon.json",
        "/etc/sudoers.d/duckconf",
        "/home/duckconf/.ssh/authorized_keys",
    ),
    "agent": ("/etc/duckconf/ca.pem",),
    "edge": (),
    "etcd": (),
    "control_plane": ("/etc/duckconf/api.pem", "/etc/duckconf/api.key", "/etc/duckconf/ca.pem"),
}
FILE = "provisioned.json"
HEADING = "role "
MISSING = "missing "


def look(node: str, runner: Runner, roles: Sequence[str]) -> dict[str, str]:
    """A digest of what each role has left there, "" where something is missing or does not run. Raises NodeFailure."""
    question = Command(("sh", "-c", "\n".join(line for role in roles for line in _script(role))))
    try:
        done = runner.run(question)
    except Unreachable as failure:
        # Once more where nothing was handed over: a first packet that was lost should not cost a host its roles.
        if failure.may_have_run:
            raise
        done = runner.run(question)
    sections: dict[str, list[str]] = {}
    # What a login file prints stands before the first heading and belongs to no role.
    section: list[str] = []
    for line in done.stdout.splitlines():
        if line.startswith(HEADING):
            sections[line.removeprefix(HEADING)] = section = []
        else:
            section.append(line)
    if done.stdout.strip() and not sections:
        raise another_program(node, done)
    return {role: _digest(sections.get(role, [MISSING])) for role in roles}


def _script(role: str) -> list[str]:
    units = UNITS[role]
    files = (*NEEDED[role], *OTHERS[role], *(f"/etc/systemd/system/{_file_of(unit)}" for unit in units))
    sums = ("find", *files, "-type", "f", "-exec", "sha256sum", "{}", "+", "-exec", "stat", "-c", "%n %a %u %g", "{}", "+")
    return [
        f"echo {shlex.quote(HEADING + role)}",
        *(f"test -f {shlex.quote(file)} || echo {shlex.quote(MISSING + file)}" for file in NEEDED[role]),
        *(f"systemctl {verb} --quiet {unit} || echo {MISSING}{unit}" for unit in units for verb in ("is-active", "is-enabled")),
        f"{shlex.join(sums)} 2>/dev/null || :",
    ]


def _file_of(unit: str) -> str:
    return unit if "." in unit else f"{unit}.service"


def _digest(lines: Sequence[str]) -> str:
    if any(line.startswith(MISSING) for line in lines):
        return ""
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


class Record:
    """What the last runs were given and what they left, for each host and role."""

    def __init__(self, state: Path) -> None:
        self._path = state / FILE
        self._known: dict[str, dict[str, list[str]]] = {}
        try:
            kept = json.loads(self._path.read_bytes())
            self._known = {host: dict(roles) for host, roles in kept.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            # Then everything is to be done again, which changes nothing where nothing is to be changed.
            pass

    def due(self, host: str, wanted: Mapping[str, str], seen: Mapping[str, str]) -> tuple[str, ...]:
        """The roles that have to run: what they are given has changed, or what they left, or it is not known."""
        known = self._known.get(host, {})
        return tuple(role for role in wanted if not seen[role] or known.get(role) != [wanted[role], seen[role]])

    def keep(self, host: str, wanted: Mapping[str, str], seen: Mapping[str, str]) -> None:
        self._known.setdefault(host, {}).update({role: [wanted[role], seen[role]] for role in wanted})

    def forget(self, host: str) -> None:
        self._known.pop(host, None)

    def write(self) -> None:
        write_durably(self._path, json.dumps(self._known, indent=2).encode())
