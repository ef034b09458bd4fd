"""Apps as Kubernetes objects that `podman kube play` takes too: a Deployment for each app, a Pod for a job, a Service for its
name, claims for its volumes. Pure.

What runs on a node alone (devices, ulimits, an init process) has no place there, and is said to be lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from duckconf.exports.kube_pod import pod_spec
from duckconf.exports.lost import NOT_EXPORTED, Lost
from duckconf.exports.names import object_name
from duckconf.model import App
from duckconf.place_kinds import GLOBAL
from duckconf.policies import STOP_FIRST
from duckconf.ports import parse_port
from duckconf.restart import ALWAYS, policy_of

Manifest = dict[str, Any]

# Of kompose: what a claim asks for where nobody says how much.
USUAL_CLAIM = "100Mi"
NO_NODES = "the nodes of a cluster there are others; use nodeSelector"
LOST: Mapping[str, str] = {
    "depends_on": "Kubernetes starts all at once: an app waits for what it needs, or is restarted",
    "devices": "a device of a node is given by a plugin there",
    "init": "it has no init process; set shareProcessNamespace, or run one in the image",
    "max_per_node": "use topologySpreadConstraints",
    "on": NO_NODES,
    "restart_policy": "of it, only whether it is restarted is kept",
    "routes": "write an Ingress for its Service",
    "security_opt": "write securityContext; no-new-privileges is allowPrivilegeEscalation: false",
    "shm_size": "mount an emptyDir of medium Memory on /dev/shm",
    "stop_signal": "it is that of the image",
    "ulimits": "they are those of the engine there",
}


def manifests(apps: Mapping[str, App]) -> tuple[list[Manifest], list[Lost]]:
    """Claims first: podman makes a pod's volumes in the order of the file."""
    claims = {name: None for app in apps.values() for name in _claims(app)}
    made: list[Manifest] = [_claim(name) for name in claims]
    lost: list[Lost] = []
    for name, app in apps.items():
        spec, without = pod_spec(app)
        made += [_workload(app, spec), *_services(app)]
        lost += [Lost(name, field, why) for field, why in [*_lost(app), *without]]
    return made, lost


def _workload(app: App, spec: Manifest) -> Manifest:
    labels = {"app.kubernetes.io/name": app.name} | ({"app.kubernetes.io/part-of": app.stack} if app.stack else {})
    told = {"labels": labels, **({"annotations": dict(app.labels)} if app.labels else {})}
    if policy_of(app).condition != ALWAYS:
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": app.name, **told}, "spec": spec}
    wanted: Manifest = {"replicas": app.replicas, "selector": {"matchLabels": {"app.kubernetes.io/name": app.name}}}
    if app.update_config:
        wanted["strategy"] = _strategy(app)
    wanted["template"] = {"metadata": told, "spec": spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": app.name, "labels": labels}, "spec": wanted}


def _strategy(app: App) -> Manifest:
    at_once = int(app.update_config.get("parallelism", "1")) or max(1, app.replicas)
    stop_first = app.update_config.get("order") == STOP_FIRST
    limits = {"maxSurge": 0 if stop_first else at_once, "maxUnavailable": at_once if stop_first else 0}
    return {"type": "RollingUpdate", "rollingUpdate": limits}


def _services(app: App) -> Iterator[Manifest]:
    """One for each name; without ports it has only the name."""
    ports = [
        {"name": f"{port.protocol}-{port.inside + at}", "port": port.inside + at, "protocol": port.protocol.upper()}
        for port in map(parse_port, app.ports)
        for at in range(port.count)
    ]
    ports = list({port["name"]: port for port in ports}.values())
    for name in dict.fromkeys(map(object_name, app.aliases or ((app.name,) if ports else ()))):
        spec: Manifest = {"selector": {"app.kubernetes.io/name": app.name}}
        spec |= {"ports": ports} if ports else {"clusterIP": "None"}
        yield {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def _claims(app: App) -> list[str]:
    return [object_name(text.split(":")[0]) for text in app.volumes if not text.startswith("/")]


def _claim(name: str) -> Manifest:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": USUAL_CLAIM}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def _lost(app: App) -> Iterator[tuple[str, str]]:
    yield from ((field, why) for field, why in LOST.items() if getattr(app, field))
    if app.paused:
        yield "paused", NOT_EXPORTED["paused"]
    if app.mode == GLOBAL:
        yield "mode", "a DaemonSet, which podman does not play; the Deployment has one instance"
    if kept := [key for key in app.update_config if key not in ("parallelism", "order")]:
        yield "update_config", f"a Deployment has no {', '.join(kept)}"
