"""How the keys of a Compose service become the fields of an app: other names, keys that mean nothing here, and keys that are
refused with what to use instead. Pure. Called by the model before it reads the fields, and by the page on Compose.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping

from duckconf.errors import Fault
from duckconf.kinds import shown
from duckconf.place_kinds import GLOBAL, OF_REPLICATED

# The Compose Spec's names of fields that have another one here.
ALIASES = {"environment": "env", "mem_limit": "memory", "scale": "replicas"}
ROUTE_LABEL = "duckconf.route"
_LATER = "is not there yet"
_NO_NETWORKS = "Duckconf makes no networks; publish ports and use the nodes' addresses"
_CPUS = "set cpus"
_MEMORY = "set memory"
# Keys of the Compose Spec that no app has, with what to use instead.
REFUSED: Mapping[str, str] = {
    "annotations": "use labels",
    "attach": "see the output with ./inv logs APP",
    "blkio_config": "the engines' block I/O limits are not supported",
    "build": "build the image here, name it in image, and send it with ./inv start-app --push",
    "cgroup": "an app has a cgroup namespace as its engine makes it",
    "cgroup_parent": "an app has the cgroup that its engine gives it",
    "configs": "put the file on the nodes, for instance with Ansible, and mount it with volumes",
    "container_name": "set name: containers are named after their app",
    "cpu_count": _CPUS,
    "cpu_percent": _CPUS,
    "cpu_period": _CPUS,
    "cpu_quota": _CPUS,
    "cpu_rt_period": _CPUS,
    "cpu_rt_runtime": _CPUS,
    "cpu_shares": _CPUS,
    "cpuset": _CPUS,
    "credential_spec": "it is for Windows, which no node runs",
    "develop": "change the image and send it with ./inv start-app --push",
    "device_cgroup_rules": "use devices",
    "dns_opt": "mount a resolv.conf of your own on /etc/resolv.conf with volumes",
    "dns_search": "use full names",
    "domainname": "write it into hostname: web.example.org",
    "env_file": "the nodes do not have your file: use env, or ./inv start-app --env-file FILE",
    "expose": "it publishes nothing; use ports",
    "extends": "write the fields out; `docker compose config` does that",
    "external_links": _NO_NETWORKS,
    "gpus": "use devices with a CDI name such as nvidia.com/gpu=all",
    "ipc": "an app has an IPC namespace of its own; use shm_size for more shared memory",
    "isolation": "it is for Windows, which no node runs",
    "label_file": "the nodes do not have your file: use labels",
    "links": _NO_NETWORKS,
    "logging": "the role limits the logs of all apps (duckconf_log_size_mb); see them with ./inv logs APP",
    "mac_address": "the engine chooses it",
    "mem_reservation": _MEMORY,
    "mem_swappiness": _MEMORY,
    "memswap_limit": _MEMORY,
    "models": "run the model as an app",
    "networks": _NO_NETWORKS,
    "oom_kill_disable": _MEMORY,
    "oom_score_adj": _MEMORY,
    "pid": "an app has a PID namespace of its own",
    "pids_limit": "use ulimits with nproc",
    "platform": "an app runs on nodes whose architecture its image has",
    "post_start": "do it in the command of the image",
    "pre_start": "make it a service of its own with restart: on-failure, which this one depends on",
    "pre_stop": "do it in the app when it gets stop_signal",
    "profiles": "declare the apps that should run, and no others",
    "provider": "run it as an app",
    "pull_refresh_after": "use pull_policy, or ./inv redeploy APP",
    "runtime": "set the default runtime of the node's engine",
    "storage_opt": "the engine's storage is set on the node",
    "umask": "set it in the command",
    "use_api_socket": "mount the engine's socket with volumes if an app must have it",
    "userns_mode": "use user",
    "uts": "use hostname",
    "volumes_from": "name the volumes in both apps; they must run on one node",
}


# Keys of `deploy` and the fields that they are here. Each is a path below `deploy`.
DEPLOY: Mapping[str, str] = {
    "replicas": "replicas",
    "mode": "mode",
    "update_config": "update_config",
    "resources/limits/cpus": "cpus",
    "resources/limits/memory": "memory",
    "restart_policy": "restart_policy",
    "resources/reservations/cpus": "reserve_cpus",
    "resources/reservations/memory": "reserve_memory",
    "placement/constraints": "on",
    "placement/max_replicas_per_node": "max_per_node",
}
DEPLOY_REFUSED: Mapping[str, str] = {
    "endpoint_mode": _NO_NETWORKS,
    "labels": "use labels: an app's containers have them",
    "rollback_config": "a rollback goes by update_config",
    "placement/preferences": "instances are spread over the zones of the inventory (duckconf_zone)",
    "resources/limits/pids": "use ulimits with nproc",
    "resources/reservations/devices": "use devices, and name in on the nodes that have them",
    "resources/reservations/generic_resources": "name in on the nodes that have them",
}


def canonical(data: Mapping[str, object]) -> dict[str, object]:
    """The fields under our own names, without what asks for nothing. A volume of type tmpfs is an entry of `tmpfs`, and what
    stands in `deploy` are fields like others."""
    body = {ALIASES.get(key, key): value for key, value in data.items() if not _asks_for_nothing(key, value)}
    if isinstance(body.get("deploy"), Mapping):
        body |= {DEPLOY[path]: value for path, value in _deployed(body.pop("deploy")) if path in DEPLOY}
    volumes = body.get("volumes")
    if isinstance(volumes, (list, tuple)) and any(_is_tmpfs(entry) for entry in volumes):
        given = body.get("tmpfs") or ()
        body["volumes"] = [entry for entry in volumes if not _is_tmpfs(entry)]
        body["tmpfs"] = [*(given if isinstance(given, (list, tuple)) else [given]), *filter(_is_tmpfs, volumes)]
    return {**body, **_routes(body.get("labels"))} if "routes" not in body else body


def _routes(labels: object) -> dict[str, object]:
    """What the label duckconf.route says, and the labels without it: in a compose file no key can say it."""
    if isinstance(labels, (list, tuple)) and all(isinstance(label, str) for label in labels):
        labels = dict(label.partition("=")[::2] for label in labels)
    if not isinstance(labels, Mapping) or not isinstance(labels.get(ROUTE_LABEL), str):
        return {}
    rest = {name: value for name, value in labels.items() if name != ROUTE_LABEL}
    return {"labels": rest, "routes": re.split("[ ,]+", str(labels[ROUTE_LABEL]).strip(" ,"))}


def merged(before: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """The fields with these changes, each under the name that it was given. What an app has no use for in the mode that it is
    given goes."""
    changed = canonical(changes)
    gone = {*changed, *(OF_REPLICATED if changed.get("mode") == GLOBAL else ())}
    return {**{name: value for name, value in before.items() if name not in gone}, **changes}


def typed_names(data: Mapping[str, object]) -> dict[str, str]:
    """The fields that the body has, with what it calls them."""
    return dict(reversed(_names(data)))


def unfit(data: Mapping[str, object], known: Collection[str]) -> list[Fault]:
    """What is wrong with the names of a body."""
    strange = [key for key in canonical(data) if key not in known and key != "deploy"]
    return [*(Fault(shown(key), _why_not(key, known)) for key in strange), *_twice(data), *_unfit_deploy(data.get("deploy"))]


def _names(data: Mapping[str, object]) -> list[tuple[str, str]]:
    """Each field with what it is called, its own name first."""
    names = [(ALIASES.get(key, key), key) for key in data if isinstance(key, str)]
    names += [(DEPLOY[path], f"deploy/{path}") for path, _ in _deployed(data.get("deploy")) if path in DEPLOY]
    return sorted(names, key=lambda pair: pair[0] != pair[1])


def _twice(data: Mapping[str, object]) -> list[Fault]:
    names = _names(data)
    again = [pair for index, pair in enumerate(names) if pair[0] in {name for name, _ in names[:index]}]
    return [Fault(typed, f"is another name of {name}; give one of them") for name, typed in again]


def _unfit_deploy(deploy: object) -> list[Fault]:
    if deploy is not None and not isinstance(deploy, Mapping):
        return [Fault("deploy", 'should be an object such as {"replicas": 3}')]
    return [Fault(f"deploy/{shown(path)}", _why_not_deployed(path)) for path, _ in _deployed(deploy) if path not in DEPLOY]


def _why_not_deployed(path: str) -> str:
    if path in DEPLOY_REFUSED:
        why = DEPLOY_REFUSED[path]
        return why if why.startswith(_LATER) else f"is not supported: {why}"
    return f"is not a key of deploy; known are {', '.join(DEPLOY)}"


def _deployed(deploy: object, above: str = "") -> list[tuple[str, object]]:
    """What stands in `deploy`, each with its path, down to what is a field or is refused. What is empty asks for nothing."""
    found: list[tuple[str, object]] = []
    for key, value in deploy.items() if isinstance(deploy, Mapping) else ():
        path = f"{above}{key}"
        inside = any(name.startswith(f"{path}/") for name in (*DEPLOY, *DEPLOY_REFUSED))
        if inside and isinstance(value, Mapping):
            found += _deployed(value, f"{path}/")
        elif value not in (None, {}, []) and not str(key).startswith("x-"):
            found.append((path, value))
    return found


def _why_not(key: object, known: Collection[str]) -> str:
    if key in REFUSED:
        why = REFUSED[str(key)]
        return why if why.startswith(_LATER) else f"is not supported: {why}"
    near = difflib.get_close_matches(str(key), [*known, *ALIASES], 1)
    return f"is not a field of an app; {f'is {near[0]} meant? ' if near else ''}docs/fields.md has the list"


def _asks_for_nothing(key: object, value: object) -> bool:
    """Extensions, and keys that we have not whose value leaves everything as it is."""
    if key in REFUSED:
        nothing = value is None or value is False or value in ("", [], {})
        return nothing or (key == "networks" and value in (["default"], {"default": None}))
    return isinstance(key, str) and key.startswith("x-")


def _is_tmpfs(entry: object) -> bool:
    return isinstance(entry, Mapping) and entry.get("type") == "tmpfs"
