"""The looking tasks in agents mode: all that nodes do is known by the API, so that nothing is asked over SSH.

Only the logs of services lie on their hosts, and are read there.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from duckconf.balance_told import sight
from duckconf.cli.apps.scene import scene_of
from duckconf.cli.cluster.api import api_client
from duckconf.cli.cluster.etcd_rows import COLUMNS
from duckconf.cli.fleet.limits import chosen_nodes
from duckconf.cli.look.control import look_at_control_plane
from duckconf.cli.look.node_table import print_nodes, say_uneven
from duckconf.cli.look.notes import grouped
from duckconf.cli.look.under_way import UnderWay, foretold, goes_on, say_foretold, told
from duckconf.cli.look.waiting import say_instances, waiting_row
from duckconf.cli.terminal.edge import DIFFERENCES, SOME_UNREACHABLE
from duckconf.cli.terminal.tables import age, print_apps, print_json, print_table, status_word
from duckconf.cli.terminal.times import stamp
from duckconf.errors import DuckconfError
from duckconf.facts import facts_from_json
from duckconf.healthcheck import UNHEALTHY
from duckconf.inventory import Inventory
from duckconf.leading import leaders_told
from duckconf.naming import instance_name
from duckconf.reach.api.client import ApiClient
from duckconf.reach.inventory.project import Project
from duckconf.rebalancing import Sight, uneven
from duckconf.restart import DONE

WELL = ("running", DONE)
AWAY = "unreachable"
NO_APPS = "no apps; start one with ./inv start-app IMAGE --name NAME"


def status(project: Project, *, as_json: bool) -> int:
    """Services on the control plane, nodes by heartbeat, and how many apps run."""
    services, store = look_at_control_plane(project)
    try:
        api = api_client(project)
        told_nodes, listing = api.call("GET", "/nodes?facts=true")["nodes"], api.call("GET", "/apps")
        leases = api.call("GET", "/leases")["leases"]
    except DuckconfError:
        if not as_json:
            # Without it, this says why.
            _say_control_plane(project, services, store)
        raise
    leaders = {str(row["name"]): {key: row[key] for key in ("who", "term", "age")} for row in leases}
    nodes = [_node_row(row, project.inventory()) for row in told_nodes]
    lean = uneven(sight(listing["apps"], told_nodes, project.inventory().sites))
    rows = _rows(listing)
    waiting = [waiting_row(row["instance"], row["status"], row.get("note", "")) for row in rows if row["status"] not in WELL]
    if as_json:
        of_control = {"services": services, "leaders": leaders, "store": store}
        told = {"cluster": project.cluster, "mode": "agents", **of_control, "nodes": nodes, "faults": listing.get("faults", [])}
        print_json(told | {"uneven": lean, "waiting": waiting})
    else:
        _say_control_plane(project, services, store, leaders)
        print_table(nodes, ("name", "status", "heartbeat", "address", "apps", "cordoned"), "no nodes")
        say_instances(len(rows), waiting, sum(row["status"] == DONE for row in rows))
        say_uneven(lean)
    _say_faults(listing)
    return _silent(nodes)


def _say_control_plane(
    project: Project, services: list[dict[str, Any]], store: dict[str, Any] | None, leaders: Mapping[str, Any] | None = None
) -> None:
    print(f"cluster {project.cluster}, mode agents\n")
    print_table(services, ("service", "host", "state"), "no control plane in the inventory")
    print(f"{leaders_told(leaders)}\n" if leaders is not None else "")
    if store is not None:
        print_table(store["members"], COLUMNS, "no members")
        print(f"{store['outlook']}\n")


def take_sight(project: Project) -> Sight:
    """What the scheduler sees when it decides on a rebalance."""
    api = api_client(project)
    nodes, listing = api.call("GET", "/nodes?facts=true")["nodes"], api.call("GET", "/apps")
    return sight(listing["apps"], nodes, project.inventory().sites)


def ps(project: Project, nodes: str, *, as_json: bool) -> int:
    meant = _names(project, nodes)
    listing = (api := api_client(project)).call("GET", "/apps")
    _say_stale(api)
    rows = [row for row in map(_as_it_serves, _rows(listing)) if not nodes or row["node"] in meant]
    if as_json:
        print_json([_row(row) for row in rows])
        return 0
    shown = [
        {**_row(row), "app": row["instance"], "status": status_word(row["status"], row.get("health", "")), "age": _age(row)}
        for row in rows
    ]
    print_apps(shown, ("app", "node", "desired", "status", "restarts", "image", "age"), NO_APPS)
    told = [row for row in rows if row.get("note") and (row["status"] != "running" or _is_in_trouble(row))]
    for names, note in grouped((row["instance"], row["note"]) for row in told):
        print(f"{names}: {note}", file=sys.stderr)
    _say_faults(listing)
    return 0


def nodes(project: Project, limit: str = "", *, as_json: bool) -> int:
    meant = _names(project, limit)
    known = (api := api_client(project)).call("GET", "/nodes?facts=true")["nodes"]
    _say_stale(api)
    told = {str(row["name"]): facts_from_json(row).to_json() | {"full": row["full"]} for row in known}
    rows = [_node_row(row, project.inventory()) | told[row["name"]] for row in known if not limit or row["name"] in meant]
    print_nodes(rows, as_json=as_json)
    return _silent(rows)


def diff(project: Project, *, as_json: bool) -> int:
    """What is not as desired, and why. Each agent decides for itself what to do about it."""
    listing = (api := api_client(project)).call("GET", "/apps")
    _say_stale(api)
    open_ends = [row for row in _rows(listing) if row["status"] not in WELL]
    updated = {str(entry["name"]): str(entry["rollout"]) for entry in listing["apps"] if entry.get("rollout")}
    later: dict[str, UnderWay] = {}
    if updated:
        with scene_of(project, updated) as (scene, _):
            later = foretold(project.cluster, scene, updated)
    if as_json:
        steps = [_row(row) for row in open_ends]
        print_json({"steps": steps, "updates": told(later), "faults": listing.get("faults", [])})
    else:
        for row in open_ends:
            where = f" on {row['node']}" if row["node"] else ""
            print(f"{row['instance']}: {row['status']}{where}" + (f", because: {row['note']}" if row.get("note") else ""))
        say_foretold(later)
        if not open_ends and not later:
            print("all apps run as desired", file=sys.stderr)
    _say_faults(listing)
    return DIFFERENCES if open_ends or goes_on(later) else 0


def _say_stale(api: ApiClient) -> None:
    """That nobody knows better, where a control plane has no majority."""
    if api.stale:
        print(f"known {float(api.stale):.0f} s ago: the control plane has no majority (see ./inv members)", file=sys.stderr)


def _names(project: Project, pattern: str) -> set[str]:
    return {host.name for host in chosen_nodes(project, project.inventory(), pattern)}


def _rows(listing: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The instances of all apps, each with the name of its app, and with the image of that where it runs none."""
    return [
        {"image": app["image"], **entry, "app": app["name"], "instance": instance_name(app["name"], entry["slot"])}
        for app in listing["apps"]
        for entry in app["instances"]
    ]


def _as_it_serves(row: dict[str, Any]) -> dict[str, Any]:
    """One without a place is shown where its container runs on, if it does."""
    return {**row, "status": "running", "node": row["serves"]} if row.get("serves") else row


def _is_in_trouble(row: Mapping[str, Any]) -> bool:
    return row.get("health") == UNHEALTHY or "serves" in row


def _row(entry: Mapping[str, Any]) -> dict[str, Any]:
    row = {key: entry[key] for key in ("app", "slot", "image", "node")} | {"container": entry.get("container", "")}
    row |= {"state": entry["status"], "started": stamp(entry["started"]) if entry.get("started") else None, "desired": "yes"}
    row |= {"health": entry.get("health", ""), "image_id": entry.get("image_id", ""), "digest": entry.get("digest", "")}
    return row | {"restarts": entry.get("restarts", 0), "note": entry.get("note", ""), "ports": entry.get("published", [])}


def _node_row(row: Mapping[str, Any], inventory: Inventory) -> dict[str, Any]:
    host = inventory.hosts.get(row["name"])
    heartbeat = f"{row['age']:.0f}s ago" if row["heartbeat"] else "never"
    return {
        "name": row["name"],
        "status": row["status"],
        "heartbeat": heartbeat,
        "address": host.where if host else "",
        "apps": row["apps"],
        "cordoned": row["cordoned"],
        "zone": host.zone if host else "",
    }


def _age(entry: Mapping[str, Any]) -> str:
    return age(entry["started"]) if entry["status"] == "running" and entry.get("started") else "-"


def _say_faults(listing: Mapping[str, Any]) -> None:
    for fault in listing.get("faults", []):
        print(f"desired state: {fault}", file=sys.stderr)


def _silent(rows: list[dict[str, Any]]) -> int:
    away = [row for row in rows if row["status"] == AWAY or row.get("unreadable")]
    for row in away:
        reason = row.get("unreadable")
        print(
            f"{row['name']}: answers, but its answer cannot be read: {reason}" if reason else f"unreachable: {row['name']}",
            file=sys.stderr,
        )
    return SOME_UNREACHABLE if away else 0
