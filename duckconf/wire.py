"""How the engines' HTTP API takes the fields of a container: a part of the body that makes one, for docker and for podman. Pure.

`model.py` says for each field which of these it has. A field without one can be given on a command line only, and so can a
value for which a form gives None: podman and docker do some things in their clients.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from duckconf.container_kinds import NETWORKS, PULLS
from duckconf.durations import seconds_in
from duckconf.healthcheck_kind import replaces_check
from duckconf.ports import Port, parse_port
from duckconf.sizes import size_in_bytes

Form = Callable[[Any], Optional[Mapping[str, Any]]]
PERIOD = 100_000
NO_CHECK = {"Test": ["NONE"]}


@dataclass(frozen=True)
class Wire:
    """The part of the body that says a value, for each engine."""

    docker: Form
    podman: Form


def at(path: str, form: Callable[[Any], Any] = lambda value: value) -> Form:
    """The value in its form at a path such as `HostConfig.Memory`."""
    *folders, name = path.split(".")

    def part(value: Any) -> Mapping[str, Any]:
        body: Mapping[str, Any] = {name: form(value)}
        for folder in reversed(folders):
            body = {folder: body}
        return body

    return part


def merged(body: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Both; what both have as objects is merged in turn."""
    found = dict(body)
    for name, value in more.items():
        old = found.get(name)
        found[name] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return found


def _of_engine(form: Form) -> Form:
    """A network that the engine has by itself. In another one the containers have names, which are said on a command line."""
    return lambda mode: form(mode) if mode in NETWORKS else None


def _pairs(value: Mapping[str, str]) -> list[str]:
    return [f"{name}={text}" for name, text in value.items()]


def _colons(hosts: Sequence[str]) -> list[str]:
    return [host.replace("=", ":", 1) for host in hosts]


def _docker_ports(texts: Sequence[str]) -> Mapping[str, Any]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in map(parse_port, texts):
        for number in range(port.count):
            host = str(port.host + number) if port.host is not None else ""
            inside = f"{port.inside + number}/{port.protocol}"
            bindings.setdefault(inside, []).append({"HostIp": port.address, "HostPort": host})
    return {"ExposedPorts": {inside: {} for inside in bindings}, "HostConfig": {"PortBindings": bindings}}


def _podman_port(port: Port) -> dict[str, Any]:
    found = {"container_port": port.inside, "protocol": port.protocol, "range": port.count, "host_ip": port.address}
    return {**found, "host_port": port.host or 0}


def _podman_memory(text: str) -> Mapping[str, Any]:
    """With as much swap again, as both engines have it where none is given."""
    size = size_in_bytes(text)
    return {"limit": size, "swap": 2 * size}


def _seconds(text: str) -> int:
    return math.ceil(seconds_in(text))


def _no_check(path: str) -> Form:
    """Where the app says what is checked, or that nothing is, the engine does not run the image's check."""
    return lambda value: at(path)(NO_CHECK) if replaces_check(value) else {}


def _program(path: str) -> Form:
    """The words after the first stand before the command. The empty one, which takes the image's away, has no form here."""
    return lambda words: at(path)([words[0]]) if words[0] else None


def _no_pull(policy: str) -> Mapping[str, Any] | None:
    """The API starts what is there. What should be pulled first, or is not there, is for the command."""
    return None if PULLS[policy] == "always" else {}


ENTRYPOINT = Wire(_program("Entrypoint"), _program("entrypoint"))
ENV = Wire(at("Env", _pairs), at("env", dict))
LABELS = Wire(at("Labels", dict), at("labels", dict))
PORTS = Wire(_docker_ports, at("portmappings", lambda texts: [_podman_port(parse_port(text)) for text in texts]))
CPUS = Wire(
    at("HostConfig.NanoCpus", lambda cores: round(cores * 10**9)),
    at("resource_limits.cpu", lambda cores: {"period": PERIOD, "quota": int(cores * PERIOD)}),
)
MEMORY = Wire(at("HostConfig.Memory", size_in_bytes), at("resource_limits.memory", _podman_memory))
USER = Wire(at("User"), at("user"))
GROUPS = Wire(at("HostConfig.GroupAdd", list), at("groups", list))
FOLDER = Wire(at("WorkingDir"), at("work_dir"))
HOSTNAME = Wire(at("Hostname"), at("hostname"))
STDIN = Wire(at("OpenStdin"), at("stdin"))
TTY = Wire(at("Tty"), at("terminal"))
SHM = Wire(at("HostConfig.ShmSize", size_in_bytes), at("shm_size", size_in_bytes))
SYSCTLS = Wire(at("HostConfig.Sysctls", dict), at("sysctl", dict))
CAP_ADD = Wire(at("HostConfig.CapAdd", list), at("cap_add", list))
CAP_DROP = Wire(at("HostConfig.CapDrop", list), at("cap_drop", list))
NETWORK = Wire(
    _of_engine(at("HostConfig.NetworkMode")),
    _of_engine(at("netns", lambda mode: {"nsmode": mode})),
)
DNS = Wire(at("HostConfig.Dns", list), at("dns_server", list))
HOSTS = Wire(at("HostConfig.ExtraHosts", _colons), at("hostadd", _colons))
GRACE = Wire(at("StopTimeout", _seconds), at("stop_timeout", _seconds))
CHECK = Wire(_no_check("Healthcheck"), _no_check("healthconfig"))
PULL = Wire(_no_pull, _no_pull)
