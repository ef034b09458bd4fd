"""`./inv apps`: one line for each app, whatever the number of its instances. What is desired comes from the API; push mode has
no desired state, and the nodes are asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from duckconf.cli.apps.awaiting import ready
from duckconf.cli.cluster.api import api_client
from duckconf.cli.cluster.modes import PUSH, mode_of
from duckconf.cli.cluster.nodes import open_cluster
from duckconf.cli.look.trouble import NO_APPS, none_of, say_faults, unreachable
from duckconf.cli.terminal.tables import age, print_json, print_table
from duckconf.cli.terminal.times import stamp
from duckconf.engine_output import Container
from duckconf.naming import instance_name
from duckconf.overview import STARTING
from duckconf.patterns import some_of
from duckconf.reach.inventory.project import Project
from duckconf.restart import DONE

COLUMNS = ("name", "image", "ready", "nodes", "ports", "age", "note")
RUNNING = "running"


def apps(project: Project, *, as_json: bool) -> int:
    if mode_of(project) != PUSH:
        listing = api_client(project).call("GET", "/apps")
        _print(listing["apps"], NO_APPS, as_json=as_json)
        say_faults(listing.get("faults", []))
        return 0
    with open_cluster(project, warm=True) as cluster:
        seen = cluster.observe()
    containers = [container for found in seen.values() if isinstance(found, tuple) for container in found]
    _print([_observed(container) for container in containers], none_of(seen), as_json=as_json)
    return unreachable(seen)


def _print(entries: Sequence[Mapping[str, Any]], empty: str, *, as_json: bool) -> None:
    """`entries` are apps as the API shows them."""
    if as_json:
        print_json([row(entry) for entry in entries])
    else:
        print_table([line(entry) for entry in entries], COLUMNS, empty)


def row(entry: Mapping[str, Any]) -> dict[str, Any]:
    """For programs. `started` is when the oldest of the instances that run was started; `serves` are the images that run, which
    are not the one of `image` while an update is on its way or after one that failed."""
    instances: Sequence[Mapping[str, Any]] = entry["instances"]
    started = [one["started"] for one in instances if one["status"] == RUNNING and one.get("started")]
    return {
        "app": entry["name"],
        "image": entry["image"],
        "serves": list(dict.fromkeys(one["image"] for one in instances if one["status"] == RUNNING and one.get("image"))),
        "replicas": len(instances),
        "running": entry["running"],
        "nodes": [one["node"] for one in instances if one["node"]],
        "ports": list(dict.fromkeys(port for one in instances for port in one.get("published", ()))),
        "started": stamp(min(started)) if started else None,
        "note": note(entry),
    }


def line(entry: Mapping[str, Any]) -> dict[str, Any]:
    told = row(entry)
    nodes = [name if count == 1 else f"{name} ({count})" for name, count in sorted(Counter(told["nodes"]).items())]
    started = [one["started"] for one in entry["instances"] if one["status"] == RUNNING and one.get("started")]
    return told | {
        "name": told["app"],
        "image": some_of(told["serves"]) or told["image"],
        "ready": ready(entry),
        "nodes": some_of(nodes),
        "ports": some_of(told["ports"]),
        "age": age(min(started)) if started else "",
    }


def note(entry: Mapping[str, Any]) -> str:
    """How far its update is, and of the instances that do not run: the state of the first one, why, and how many others there
    are. During an update only what has no place or is held back is told: the rest is on its way."""
    update = str(entry.get("rollout") or "")
    quiet = (RUNNING, DONE, STARTING) if update else (RUNNING, DONE)
    open_ends = [one for one in entry["instances"] if one["status"] not in quiet]
    if update and not open_ends:
        return update
    if not open_ends:
        return DONE if any(one["status"] == DONE for one in entry["instances"]) and not entry["running"] else ""
    first, others = open_ends[0], len(open_ends) - 1
    why = f": {first['note']}" if first.get("note") else ""
    name = instance_name(entry["name"], first["slot"])
    more = f"; {others} more, see ./inv ps" if others else ""
    return (f"{update}; " if update else "") + f"{name} {first['status']}{why}{more}"


def _observed(container: Container) -> dict[str, Any]:
    """An app of push mode, which is one container, as the API of the other modes would show it."""
    instance = {"slot": container.slot, "node": container.node, "status": container.state, "started": container.started}
    running = int(container.state == RUNNING)
    entry = {"name": container.app, "image": container.image, "running": running}
    return entry | {"instances": [instance | {"published": list(container.ports)}]}
