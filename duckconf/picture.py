"""One picture of a cluster at a moment, in the same shape for every mode: who controls it, its nodes, what runs there, what is
desired beside it, and what each step of the control loop did last. Pure.

The web page and `watch` draw it; nothing here knows how. It is made of the answers of `GET /apps`, so that nothing is judged
twice. In its JSON, what is empty is left out: a change of it is then a small merge patch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from duckconf.naming import instance_name
from duckconf.place_kinds import GLOBAL
from duckconf.restart import DONE

SENSOR = "sensor"
SETPOINT = "setpoint"
COMPARATOR = "comparator"
ACTUATOR = "actuator"
STEPS = (SENSOR, SETPOINT, COMPARATOR, ACTUATOR)

# States of a process of the control plane.
RUNS = "running"
SILENT = "silent"
STOPPED = "stopped"


@dataclass(frozen=True)
class Process:
    """A process of the control plane: `running`, `silent` (not heard for longer than it should be) or `stopped`."""

    state: str
    words: str = ""
    does: Sequence[str] = ()
    """Which of the four steps are its own."""


@dataclass(frozen=True)
class NodeSeen:
    """`heard` is when it last answered or sent a heartbeat, in seconds since the epoch; 0 where that is not known."""

    status: str
    reason: str = ""
    heard: float = 0.0
    cordoned: bool = False
    draining: bool = False
    zone: str = ""
    instances: int = 0
    ready: int = 0
    demo: bool = False
    """Whether it is a demo host, which can be frozen from the page."""


@dataclass(frozen=True)
class InstanceSeen:
    """One container, or one instance that waits for a place. `ready` is also one that was to end and is done, `surplus` says that
    nobody asks for it, `outdated` that its app asks for another spec by now."""

    app: str
    slot: int = 1
    node: str = ""
    status: str = ""
    container: str = ""
    ready: bool = False
    health: str = ""
    image: str = ""
    outdated: bool = False
    surplus: bool = False
    ports: Sequence[str] = ()
    started: float = 0.0
    restarts: int = 0
    note: str = ""


@dataclass(frozen=True)
class AppSeen:
    """What is desired of an app, and how much of it there is: `updated` are the ready ones that run what is desired now.
    `rollout` is how far its update is, "" without one."""

    image: str
    wanted: int = 0
    running: int = 0
    ready: int = 0
    updated: int = 0
    everywhere: bool = False
    stack: str = ""
    revision: str = ""
    rollout: str = ""


@dataclass(frozen=True)
class Step:
    """What one of the four steps last did, and when (seconds since the epoch). `absent` says why the mode has no such step."""

    words: str = ""
    at: float = 0.0
    node: str = ""
    absent: str = ""


@dataclass(frozen=True)
class Call:
    """What is being done on a node now."""

    node: str
    words: str
    since: float = 0.0


@dataclass(frozen=True)
class Picture:
    """`timeout` is node_timeout in seconds."""

    cluster: str
    mode: str
    timeout: float = 0.0
    processes: Mapping[str, Process] = field(default_factory=dict)
    nodes: Mapping[str, NodeSeen] = field(default_factory=dict)
    apps: Mapping[str, AppSeen] = field(default_factory=dict)
    instances: Mapping[str, InstanceSeen] = field(default_factory=dict)
    steps: Mapping[str, Step] = field(default_factory=dict)
    calls: Mapping[str, Call] = field(default_factory=dict)
    faults: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        parts = ("processes", "nodes", "apps", "instances", "steps", "calls")
        told: dict[str, Any] = {"cluster": self.cluster, "mode": self.mode, "timeout": self.timeout}
        told |= {part: {name: _told(one) for name, one in getattr(self, part).items()} for part in parts}
        return told | {"faults": list(self.faults)}


def _told(part: Any) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(part).items() if value}


def apps_in(listing: Iterable[Mapping[str, Any]]) -> dict[str, AppSeen]:
    """Of the apps as `GET /apps` has them."""
    return {str(entry["name"]): _app(entry) for entry in listing}


def _app(entry: Mapping[str, Any]) -> AppSeen:
    everywhere = entry.get("mode") == GLOBAL
    return AppSeen(
        str(entry["image"]),
        len(entry["instances"]) if everywhere else int(entry.get("replicas", 1)),
        int(entry["running"]),
        int(entry["ready"]) + sum(_is_done(one) for one in entry["instances"]),
        sum(bool(one.get("updated")) and _is_ready(one) for one in entry["instances"]),
        everywhere,
        str(entry.get("stack", "")),
        str(entry["revision"]),
        str(entry.get("rollout", "")),
    )


def instances_in(listing: Iterable[Mapping[str, Any]]) -> dict[str, InstanceSeen]:
    """By the name of the instance. One that lost its place is where its container serves on."""
    return {
        instance_name(str(entry["name"]), int(one["slot"])): _instance(entry, one)
        for entry in listing
        for one in entry["instances"]
    }


def _instance(app: Mapping[str, Any], one: Mapping[str, Any]) -> InstanceSeen:
    status = str(one["status"])
    return InstanceSeen(
        str(app["name"]),
        int(one["slot"]),
        str(one["node"] or one.get("serves", "")),
        status,
        str(one.get("container", "")),
        _is_ready(one) or _is_done(one),
        str(one.get("health", "")),
        str(one.get("image") or app["image"]),
        status == "running" and not one.get("updated", True),
        ports=tuple(one.get("published", ())),
        started=float(one.get("started", 0.0)),
        restarts=int(one.get("restarts", 0)),
        note=str(one.get("note", "")),
    )


def _is_ready(one: Mapping[str, Any]) -> bool:
    return bool(one.get("ready")) and one["status"] == "running"


def _is_done(one: Mapping[str, Any]) -> bool:
    return bool(one["status"] == DONE)


def counted(nodes: Mapping[str, NodeSeen], instances: Iterable[InstanceSeen]) -> dict[str, NodeSeen]:
    """The nodes with the numbers of what is there."""
    there, ready = Counter[str](), Counter[str]()
    for one in instances:
        there[one.node] += 1
        ready[one.node] += one.ready
    return {name: replace(node, instances=there[name], ready=ready[name]) for name, node in nodes.items()}
