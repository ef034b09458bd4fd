"""What runs in the pod of an app. Pure."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from duckconf.durations import seconds_in
from duckconf.exports.names import object_name
from duckconf.healthcheck import SHELL, command_of, http_target
from duckconf.model import App
from duckconf.ports import parse_port
from duckconf.restart import NO, ON_FAILURE, policy_of
from duckconf.secret_kinds import USUAL_MODE, read_use
from duckconf.shared_network import owner_of
from duckconf.sizes import size_in_bytes
from duckconf.together import unit_of

Spec = dict[str, Any]
Losses = list[tuple[str, str]]

NUMBER = re.compile(r"[0-9]+")
PULLS = {"always": "Always", "never": "Never"}
POLICIES = {NO: "Never", ON_FAILURE: "OnFailure"}
TIMES = {"interval": "periodSeconds", "timeout": "timeoutSeconds", "start_period": "initialDelaySeconds"}


def pod_spec(app: App) -> tuple[Spec, Losses]:
    lost: Losses = []
    container: Spec = {"name": app.name, "image": app.image, "imagePullPolicy": PULLS.get(app.pull_policy, "IfNotPresent")}
    container |= {"command": [_literal(app, text) for text in app.entrypoint]} if any(app.entrypoint) else {}
    container |= {"args": [_literal(app, text) for text in app.command]} if app.command else {}
    container |= {"workingDir": app.working_dir} if app.working_dir else {}
    container |= {key: True for key, given in (("stdin", app.stdin_open), ("tty", app.tty)) if given}
    pod: Spec = {"restartPolicy": POLICIES.get(policy_of(app).condition, "Always")}
    for part in (_variables, _ports, _resources, _rights, _checks, _network):
        inside, outside = part(app, lost)
        container |= inside
        pod |= outside
    mounts, volumes = _mounts(app, lost)
    container |= {"volumeMounts": mounts} if mounts else {}
    if app.stop_grace_period:
        pod["terminationGracePeriodSeconds"] = math.ceil(seconds_in(app.stop_grace_period))
    return {**pod, "containers": [container], **({"volumes": volumes} if volumes else {})}, lost


def _literal(app: App, text: str) -> str:
    """What Kubernetes would put a variable of the container in stays as it is. Podman 4 puts none in."""
    known = [*app.env, *(use.variable for use in map(read_use, app.secrets) if use.variable)]
    for name in known:
        text = text.replace(f"$({name})", f"$$({name})")
    return text


Part = Callable[[App, Losses], tuple[Spec, Spec]]


def _variables(app: App, lost: Losses) -> tuple[Spec, Spec]:
    told: list[Spec] = [{"name": name, "value": _literal(app, value)} for name, value in app.env.items()]
    for use in (use for use in map(read_use, app.secrets) if use.variable):
        key = {"name": object_name(use.source), "key": use.source}
        told.append({"name": use.variable, "valueFrom": {"secretKeyRef": key}})
    for source in dict.fromkeys(use.source for use in map(read_use, app.secrets)):
        words = f"make the Secret {object_name(source)} with the key {source} there; podman 4.3 mounts none as a file"
        lost.append(("secrets", words))
    return ({"env": told} if told else {}), {}


def _ports(app: App, lost: Losses) -> tuple[Spec, Spec]:
    told: list[Spec] = []
    for port in map(parse_port, app.ports):
        for at in range(port.count):
            one: Spec = {"containerPort": port.inside + at, "protocol": port.protocol.upper()}
            one |= {"hostPort": port.host + at} if port.host is not None else {}
            one |= {"hostIP": port.address} if port.address and port.host is not None else {}
            told.append(one)
    if any(port.host is None for port in map(parse_port, app.ports)):
        lost.append(("ports", "a port that the engine chooses is published by its Service there, not by podman"))
    return ({"ports": told} if told else {}), {}


def _resources(app: App, lost: Losses) -> tuple[Spec, Spec]:
    pairs = (("limits", app.cpus, app.memory), ("requests", app.reserve_cpus, app.reserve_memory))
    told: Spec = {
        kind: {
            **({"cpu": f"{cpus:g}"} if cpus else {}),
            **({"memory": str(size_in_bytes(memory))} if memory else {}),
        }
        for kind, cpus, memory in pairs
        if cpus or memory
    }
    return ({"resources": told} if told else {}), {}


def _rights(app: App, lost: Losses) -> tuple[Spec, Spec]:
    changed = {key: [name.upper().removeprefix("CAP_") for name in names] for key, names in _capabilities(app)}
    own: Spec = {"capabilities": changed} if changed else {}
    own |= {"privileged": True} if app.privileged else {}
    own |= {"readOnlyRootFilesystem": True} if app.read_only else {}
    names = [name for name in app.user.split(":") if name]
    if all(NUMBER.fullmatch(name) for name in names):
        own |= {key: int(name) for key, name in zip(("runAsUser", "runAsGroup"), names)}
    else:
        lost.append(("user", f"{app.user} is no number; the image's own user runs it"))
    groups = [int(name) for name in app.group_add if NUMBER.fullmatch(name)]
    if len(groups) < len(app.group_add):
        lost.append(("group_add", "a group that is no number"))
    whole: Spec = {"supplementalGroups": groups} if groups else {}
    whole |= {"sysctls": [{"name": name, "value": value} for name, value in app.sysctls.items()]} if app.sysctls else {}
    return ({"securityContext": own} if own else {}), ({"securityContext": whole} if whole else {})


def _capabilities(app: App) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield from ((key, names) for key, names in (("add", app.cap_add), ("drop", app.cap_drop)) if names)


def _checks(app: App, lost: Losses) -> tuple[Spec, Spec]:
    """Whether it is ready, and for a command in the container also whether it lives. Podman, which restarts what does not, would
    ask an address from inside, with a program that the image need not have, and 4.3 joins the words of a command."""
    check = app.healthcheck
    asked: Spec = {}
    if check.get("http"):
        path, port = http_target(check["http"])
        asked = {"httpGet": {"path": path, "port": port}}
    elif check.get("tcp"):
        asked = {"tcpSocket": {"port": int(check["tcp"])}}
    elif words := _plain_words(command_of(check.get("test", ""))):
        asked = {"exec": {"command": list(words)}}
    if "start_interval" in check:
        lost.append(("healthcheck", "a probe has no start_interval"))
    if check.get("disable") == "true" or not asked:
        if check:
            lost.append(("healthcheck", "the check of an image is no probe there"))
        return {}, {}
    times = {key: max(1, math.ceil(seconds_in(check[name]))) for name, key in TIMES.items() if name in check}
    probe = {**asked, **times, **({"failureThreshold": int(check["retries"])} if "retries" in check else {})}
    if any(shlex.quote(text) != text for text in asked.get("exec", {}).get("command", ["?"])):
        lost.append(("healthcheck", "it becomes a readinessProbe, which restarts nothing and which podman does not ask"))
        return {"readinessProbe": probe}, {}
    return {"readinessProbe": probe, "livenessProbe": probe}, {}


def _plain_words(words: Sequence[str]) -> Sequence[str]:
    """A command for a shell that needs none, without it."""
    if tuple(words[:2]) != SHELL:
        return words
    split = words[2].split()
    return split if all(shlex.quote(text) == text for text in split) else words


def _network(app: App, lost: Losses) -> tuple[Spec, Spec]:
    pod: Spec = {"hostNetwork": True} if app.network_mode == "host" else {}
    if app.network_mode == "none":
        lost.append(("network_mode", "a pod without a network is the matter of a NetworkPolicy"))
    elif owner := owner_of(app):
        lost.append(("network_mode", f"put it into the Pod of {owner}, whose network it shares"))
    elif unit_of(app):
        lost.append(("network_mode", "its name is that of a Service, which podman does not make: play it with --network"))
    pod |= {"hostname": app.hostname} if app.hostname else {}
    pod |= {"dnsPolicy": "None", "dnsConfig": {"nameservers": list(app.dns)}} if app.dns else {}
    names: dict[str, list[str]] = {}
    for name, address in (entry.split("=", 1) for entry in app.extra_hosts):
        if address == "host-gateway":
            lost.append(("extra_hosts", f"{name}: a pod does not know the address of its node"))
        else:
            names.setdefault(address, []).append(name)
    pod |= {"hostAliases": [{"ip": ip, "hostnames": found} for ip, found in names.items()]} if names else {}
    return {}, pod


def _mounts(app: App, lost: Losses) -> tuple[list[Spec], list[Spec]]:
    mounts: list[Spec] = []
    volumes: dict[str, Spec] = {}
    for number, text in enumerate(app.volumes):
        source, target, *options = text.split(":")
        words = {word for option in options for word in option.split(",") if word}
        name, volume = _volume(source, number)
        volumes[name] = volume
        mounts.append({"name": name, "mountPath": target, **({"readOnly": True} if "ro" in words else {})})
        if others := sorted(words - {"ro", "rw"}):
            lost.append(("volumes", f"the option {', '.join(others)} of {target}"))
    for number, text in enumerate(app.tmpfs):
        target, _, told = text.partition(":")
        size = next((word[5:] for word in told.split(",") if word.startswith("size=")), "")
        limit = {"sizeLimit": str(size_in_bytes(size))} if size_in_bytes(size) else {}
        volumes[f"tmpfs-{number}"] = {"emptyDir": {"medium": "Memory", **limit}}
        mounts.append({"name": f"tmpfs-{number}", "mountPath": target})
        if further := [word for word in told.split(",") if word and not word.startswith("size=")]:
            lost.append(("tmpfs", f"the options {', '.join(further)} of {target}"))
    for number, use in enumerate(use for use in map(read_use, app.secrets) if use.path):
        mode = {"defaultMode": use.mode} if use.mode != USUAL_MODE else {}
        volumes[f"secret-{number}"] = {"secret": {"secretName": object_name(use.source), **mode}}
        mounts.append({"name": f"secret-{number}", "mountPath": use.path, "subPath": use.source, "readOnly": True})
        if use.uid or use.gid:
            lost.append(("secrets", f"the owner of {use.path}; use fsGroup"))
    return mounts, [{"name": name, **volume} for name, volume in volumes.items()]


def _volume(source: str, number: int) -> tuple[str, Spec]:
    if source.startswith("/"):
        return f"host-{number}", {"hostPath": {"path": source}}
    return f"volume-{number}", {"persistentVolumeClaim": {"claimName": object_name(source)}}
