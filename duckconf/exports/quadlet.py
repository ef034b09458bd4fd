"""Apps as quadlet units: `.container`, `.volume` and `.network` files, of which podman 5 makes systemd services. Pure.

What a unit has no key for is an option of podman in `PodmanArgs`, so that no field of the container itself is lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from duckconf.depends_kind import COMPLETED, HEALTHY
from duckconf.durations import seconds_in
from duckconf.engine import CSV, as_csv
from duckconf.exports.lost import NOT_EXPORTED, Lost
from duckconf.healthcheck import command_of
from duckconf.model import DECLARED, App
from duckconf.place_kinds import GLOBAL
from duckconf.ports import parse_port
from duckconf.restart import NO, ON_FAILURE, policy_of
from duckconf.secret_kinds import Use, read_use
from duckconf.shared_network import owner_of
from duckconf.together import unit_of

Lines = Iterable[tuple[str, str]]

# Options of podman that have a key of their own since quadlet came.
KEYS: Mapping[str, str] = {
    "--env": "Environment",
    "--publish": "PublishPort",
    "--label": "Label",
    "--cap-add": "AddCapability",
    "--cap-drop": "DropCapability",
    "--device": "AddDevice",
    "--hostname": "HostName",
    "--ulimit": "Ulimit",
    "--sysctl": "Sysctl",
    "--tmpfs": "Tmpfs",
    "--shm-size": "ShmSize",
    "--read-only": "ReadOnly",
    "--init": "RunInit",
}
# Written in ways of their own below.
WRITTEN = ("volumes", "network_mode", "aliases", "healthcheck", "entrypoint", "stop_grace_period")
CHECK_KEYS = {
    "interval": "HealthInterval",
    "timeout": "HealthTimeout",
    "retries": "HealthRetries",
    "start_period": "HealthStartPeriod",
}
RESTARTS = {NO: "no", ON_FAILURE: "on-failure"}
ONE_MACHINE = "a unit is of one machine: copy it to those that are meant"
LOST: Mapping[str, str] = {
    "max_per_node": ONE_MACHINE,
    "on": ONE_MACHINE,
    "reserve_cpus": "a unit sets nothing aside",
    "reserve_memory": "a unit sets nothing aside",
    "routes": "a unit has no front: write it into the configuration of yours",
    "update_config": "systemctl restart replaces a container",
}


@dataclass
class Units:
    """The files by name, and what is lost."""

    files: dict[str, str] = field(default_factory=dict)
    lost: list[Lost] = field(default_factory=list)


def units(apps: Mapping[str, App]) -> Units:
    made = Units()
    awaited = {name: how for app in apps.values() for name, how in app.depends_on.items()}
    for name, app in apps.items():
        made.lost += [Lost(name, what, why) for what, why in _lost(app)]
        if others := [other for other in app.depends_on if other not in apps]:
            made.lost.append(Lost(name, "depends_on", f"{', '.join(others)} is not exported with it"))
        for unit in _names(app):
            body = _Container(unit, app, apps, awaited.get(name, ""))
            made.files[f"{unit}.container"] = body.text()
        for source in (text.split(":")[0] for text in app.volumes if not text.startswith("/")):
            made.files[f"{source}.volume"] = _file({"Volume": [("VolumeName", source)]})
        if unit_of(app) and not owner_of(app):
            made.files[f"{unit_of(app)}.network"] = _file({"Network": [("NetworkName", unit_of(app))]})
    return made


def _names(app: App) -> list[str]:
    """One unit for each instance that this machine can have: a fixed port is there once."""
    count = 1 if app.mode == GLOBAL or _has_fixed_port(app) else app.replicas
    return [app.name] if count == 1 else [f"{app.name}-{number}" for number in range(1, count + 1)]


def _has_fixed_port(app: App) -> bool:
    return any(port.host is not None for port in map(parse_port, app.ports))


@dataclass(frozen=True)
class _Container:
    unit: str
    app: App
    apps: Mapping[str, App]
    awaited: str
    """How far others wait for it to be."""

    def text(self) -> str:
        named = [("Description", f"{self.app.name} ({self.app.image})")]
        parts = {
            "Unit": [*named, *self._order()],
            "Container": [("ContainerName", self.unit), ("Image", self.app.image), *self._options(), *self._exec()],
            "Service": list(self._service()),
            "Install": [("WantedBy", "multi-user.target default.target")],
        }
        return _file(parts)

    def _order(self) -> Iterator[tuple[str, str]]:
        for name in self.app.depends_on:
            for unit in _names(self.apps[name]) if name in self.apps else ():
                yield "Requires", f"{unit}.service"
                yield "After", f"{unit}.service"

    def _options(self) -> Iterator[tuple[str, str]]:
        app = self.app
        for name, declared in DECLARED.items():
            value = getattr(app, name)
            if not declared.flag or not value or name in WRITTEN:
                continue
            for argument in declared.kind.arguments(value):
                told = as_csv(argument) if name == CSV else argument
                key = KEYS.get(declared.flag)
                yield (key, word(told)) if key else ("PodmanArgs", word(f"{declared.flag}={told}"))
        if app.read_only:
            yield "ReadOnlyTmpfs", "false"
        yield from self._mounts()
        yield from self._network()
        yield from self._check()
        if app.stop_grace_period:
            yield "PodmanArgs", f"--stop-timeout={DECLARED['stop_grace_period'].kind.arguments(app.stop_grace_period)[0]}"

    def _mounts(self) -> Iterator[tuple[str, str]]:
        for text in self.app.volumes:
            source, rest = text.split(":", 1)
            yield "Volume", word(text if source.startswith("/") else f"{source}.volume:{rest}")
        for use in map(read_use, self.app.secrets):
            yield "Secret", _secret(use)

    def _network(self) -> Iterator[tuple[str, str]]:
        if owner := owner_of(self.app):
            yield "Network", f"{owner}.container"
        elif unit := unit_of(self.app):
            yield "Network", f"{unit}.network"
            yield from (("PodmanArgs", f"--network-alias={alias}") for alias in self.app.aliases)
        elif self.app.network_mode:
            yield "Network", self.app.network_mode

    def _check(self) -> Iterator[tuple[str, str]]:
        check = self.app.healthcheck
        if words := command_of(check.get("test", "")):
            yield "HealthCmd", word(json.dumps(["CMD", *words]) if words[0] != "/bin/sh" else words[-1])
            yield "HealthOnFailure", "kill"
        elif check.get("disable") == "true" or "test" in check:
            yield "HealthCmd", "none"
        yield from ((key, check[name]) for name, key in CHECK_KEYS.items() if name in check and "test" in check)
        if self.awaited == HEALTHY and words:
            # Its service has started when it is healthy.
            yield "Notify", "healthy"

    def _exec(self) -> Iterator[tuple[str, str]]:
        first, *rest = self.app.entrypoint or ("",)
        if self.app.entrypoint:
            yield "PodmanArgs", word(f"--entrypoint={first}")
        if words := [*rest, *self.app.command]:
            yield "Exec", " ".join(map(word, words))

    def _service(self) -> Iterator[tuple[str, str]]:
        policy = policy_of(self.app)
        if self.awaited == COMPLETED:
            yield "Type", "oneshot"
            yield "RemainAfterExit", "yes"
        yield "Restart", RESTARTS.get(policy.condition, "always") if self.awaited != COMPLETED else "no"
        if policy.pause:
            yield "RestartSec", f"{policy.pause:g}"
        # The image may have to be pulled.
        yield "TimeoutStartSec", "900"
        if self.app.stop_grace_period:
            yield "TimeoutStopSec", f"{seconds_in(self.app.stop_grace_period) + 10:g}"


def _secret(use: Use) -> str:
    if use.variable:
        return f"{use.source},type=env,target={use.variable}"
    owner = "".join(f",{key}={value}" for key, value in (("uid", use.uid), ("gid", use.gid)) if value)
    return f"{use.source},type=mount,target={use.path}{owner},mode={use.mode:04o}"


def word(text: str) -> str:
    """One word as systemd reads it: neither its specifiers nor variables are meant."""
    plain = text.replace("%", "%%").replace("$", "$$")
    if plain and all(sign.isalnum() or sign in "$%+,-./:=@_[]{}()&#~^!?*" for sign in plain):
        return plain
    signs = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    escaped = "".join(signs.get(sign, sign if sign.isprintable() else _code(sign)) for sign in plain)
    return f'"{escaped}"'


def _code(sign: str) -> str:
    return f"\\U{ord(sign):08x}" if ord(sign) > 127 else f"\\x{ord(sign):02x}"


def _file(parts: Mapping[str, list[tuple[str, str]]]) -> str:
    blocks = ["\n".join([f"[{name}]", *(f"{key}={value}" for key, value in lines)]) for name, lines in parts.items()]
    return "\n\n".join(blocks) + "\n"


def _lost(app: App) -> Iterator[tuple[str, Any]]:
    yield from ((name, why) for name, why in LOST.items() if getattr(app, name))
    if app.paused:
        yield "paused", NOT_EXPORTED["paused"]
    if app.mode == GLOBAL:
        yield "mode", ONE_MACHINE
    if app.mode != GLOBAL and app.replicas != 1 and _has_fixed_port(app):
        yield "replicas", "a machine has a fixed port once: there is one unit"
    for key in ("http", "tcp"):
        if key in app.healthcheck:
            yield f"healthcheck/{key}", "podman asks in the container only"
    if "start_interval" in app.healthcheck:
        yield "healthcheck/start_interval", "a unit has no such key"
    if app.restart_policy.keys() - {"condition", "delay"} or ":" in app.restart:
        yield "restart", "how often it may be restarted; see StartLimitBurst"
    for name in dict.fromkeys(use.source for use in map(read_use, app.secrets)):
        yield "secrets", f"{name} is one of podman there: podman secret create {name} FILE"
