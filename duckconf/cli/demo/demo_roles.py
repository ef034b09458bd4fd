"""What kinds of demo host there are, and what makes each: its image, its container's options, the files it is born with.

A node with a borrowed engine mounts the socket of one of this machine's; one with its own, and a bare host that will get one, are
privileged and keep its store on a volume that goes with them; a control-plane host has its API's port published.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from duckconf.cli.demo.local_engine import docker_socket
from duckconf.control_plane import addresses_of
from duckconf.engine import DOCKER, PODMAN
from duckconf.errors import BadInput, Fault, SetupError
from duckconf.inventory import OWN, TOPOLOGIES, Host
from duckconf.naming import BARE_IMAGE, DOCKER_NODE_IMAGE, NODE_IMAGE
from duckconf.reach.inventory.project import Project
from duckconf.reach.inventory.topology import TOPOLOGY_FILE, topology_of
from duckconf.reach.state.files import write_durably

# A folder that no tmpfiles rule of the host's own podman package empties at boot.
SOCKET_FOLDER_INSIDE = "/run/duckconf-engine"
SOCKET_NAME = "podman.sock"
# Where its own client looks for it.
DOCKER_SOCKET_INSIDE = "/run/docker.sock"
# A nested engine's store: a volume, because overlays do not lie on overlays, that goes with its host.
STORES_INSIDE = {PODMAN: "/var/lib/containers", DOCKER: "/var/lib/docker"}
# A node that has no engine of its own: podman speaks to the one whose socket is mounted.
BORROWED_ENGINE = f"""\
[engine]
remote = true
active_service = "host"

[engine.service_destinations.host]
uri = "unix://{SOCKET_FOLDER_INSIDE}/{SOCKET_NAME}"
"""
# Its own engine. Through systemd it would put all containers into the host's one cgroup for limits.
OWN_ENGINE = """\
[engine]
cgroup_manager = "cgroupfs"
"""
CONTAINERS_CONF = "etc/containers/containers.conf"
# Keeps dockerd from starting in a node that has another's socket.
BORROWED_DOCKER = "etc/duckconf/borrowed"
# Where the API keeps its state on a control-plane host, and the port that it listens on there.
API_STATE_INSIDE = "/var/lib/duckconf"
API_PORT_INSIDE = 8080
LOOPBACK = "127.0.0.1"
# Where this machine reaches a demo host's front: the engine chooses, because fronts of other clusters may run.
FRONT_PORTS = (f"--publish={LOOPBACK}::80", f"--publish={LOOPBACK}::443")
# The role `edge` sets it; in a container it is for reading only.
MIGRATE = Path("/proc/sys/net/ipv4/tcp_migrate_req")


@dataclass(frozen=True)
class Role:
    """The options of a host's container that its groups call for; `spec` is the part whose change makes it anew."""

    options: tuple[str, ...]
    spec: tuple[str, ...] = ()
    api_port: int | None = None
    image: str = NODE_IMAGE
    files: tuple[tuple[str, int, bytes], ...] = ()
    nested: bool = False

    def require_free_port(self, holder: Callable[[int], str]) -> None:
        """As `require_free`, for the API's port."""
        if self.api_port is not None and (reason := is_taken(LOOPBACK, self.api_port)):
            where, reason = f"{LOOPBACK}:{self.api_port}", _held_by(holder(self.api_port)) or reason
            raise SetupError(f"the API cannot listen on {where}: {reason}", "free it, or choose another with DUCKCONF_API")


def check_topology(wanted: str) -> str:
    """ "" for none; raises BadInput."""
    if wanted and wanted not in TOPOLOGIES:
        raise BadInput(Fault("--topology", f"should be {' or '.join(TOPOLOGIES)}, got {wanted!r}"))
    return wanted


class Roles:
    """The roles of one project's demo hosts."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def of(self, host: Host, nodes: Sequence[Host], control_plane: Sequence[Host]) -> Role:
        """What this host's container has that another kind's lacks."""
        role = self._node(host) if host in nodes else Role((), files=_named(host))
        if host.edge:
            front = (*FRONT_PORTS, *(("--sysctl=net.ipv4.tcp_migrate_req=1",) if MIGRATE.exists() else ()))
            role = replace(role, options=(*role.options, *front), spec=(*role.spec, *FRONT_PORTS))
        if host not in control_plane:
            return role
        url = addresses_of(self._project.settings.api_urls, len(control_plane))[control_plane.index(host)]
        port = urlsplit(url).port or API_PORT_INSIDE
        state = self._project.state / "control-plane" / host.name
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        options = (*role.options, f"--publish={LOOPBACK}:{port}:{API_PORT_INSIDE}", f"--volume={state}:{API_STATE_INSIDE}")
        return replace(role, options=options, spec=options, api_port=port)

    def _node(self, host: Host) -> Role:
        nested = ("--privileged", f"--volume={STORES_INSIDE[host.engine]}")
        if host.bare:
            return Role(nested, spec=nested, image=BARE_IMAGE, nested=True)
        if self.has_own_engine(host):
            if host.engine == DOCKER:
                return Role(nested, spec=nested, image=DOCKER_NODE_IMAGE, files=_named(host), nested=True)
            return Role(nested, spec=(*nested, OWN_ENGINE), files=_named(host, OWN_ENGINE), nested=True)
        if host.engine == DOCKER:
            socket_of_docker = (f"--volume={docker_socket()}:{DOCKER_SOCKET_INSIDE}",)
            files = (*_named(host), (BORROWED_DOCKER, 0o644, b""))
            return Role(socket_of_docker, spec=socket_of_docker, image=DOCKER_NODE_IMAGE, files=files)
        borrowed = f"--volume={self._project.state / 'engine'}:{SOCKET_FOLDER_INSIDE}"
        return Role((borrowed,), files=_named(host, BORROWED_ENGINE))

    def choose_topology(self, wanted: str) -> None:
        """For all demo nodes from now on; "" leaves it as it was."""
        if wanted:
            write_durably(self._project.state / TOPOLOGY_FILE, f"{wanted}\n".encode())

    def has_own_engine(self, host: Host) -> bool:
        """Whether the node has an engine of its own, or will get one; else it borrows one of this machine's."""
        return host.bare or topology_of(host, self._project.state) == OWN


def _named(host: Host, engine: str = "") -> tuple[tuple[str, int, bytes], ...]:
    name = ("etc/duckconf/node", 0o644, f"{host.name}\n".encode())
    return (name, (CONTAINERS_CONF, 0o644, engine.encode())) if engine else (name,)


def require_free(host: Host, holder: Callable[[int], str]) -> None:
    """Raises SetupError when something else listens on the port that the inventory gives this host. `holder` names it."""
    if reason := is_taken(host.address, host.port):
        reason = _held_by(holder(host.port)) or reason
        remedy = f"free it, or give {host.name} another ansible_port in the inventory"
        raise SetupError(f"{host.name}: {host.where} cannot be used: {reason}", remedy)


def _held_by(other: str) -> str:
    return f"{other} has it" if other else ""


def is_taken(address: str, port: int) -> str:
    """Why nobody else can listen there, "" when somebody can."""
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
            return ""
    except OSError as error:
        return error.strerror or str(error)
