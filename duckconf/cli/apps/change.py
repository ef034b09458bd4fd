"""The tasks that change what runs or what should: start, stop and kill an app, cordon a node."""

from __future__ import annotations

import sys
from typing import Any

from duckconf.actions import Kill, Remove
from duckconf.cli.apps.awaiting import await_end, await_instances, await_settled, is_job, where
from duckconf.cli.cluster.api import api_client
from duckconf.cli.cluster.modes import AGENTS, PUSH, RECONCILE, mode_of
from duckconf.cli.cluster.nodes import open_cluster
from duckconf.cli.fleet.limits import chosen_nodes
from duckconf.cli.fleet.push_image import push_for_start
from duckconf.cli.look.absent import why_absent
from duckconf.cli.look.front import NO_FRONT
from duckconf.cli.terminal.say import say
from duckconf.cli.terminal.tables import print_json
from duckconf.errors import NotFound
from duckconf.reach.api.client import ApiClient, path_of
from duckconf.reach.inventory.project import Project
from duckconf.reach.state import cordons

ACTOR = {RECONCILE: "the loop", AGENTS: "an agent"}


def start_app(project: Project, body: dict[str, Any], *, push: bool, wait: bool, as_json: bool) -> None:
    """Start it (push) or declare it (reconcile); with `wait`, return when each instance has stayed up for a second, or
    when a job is over.

    With `push`, the nodes that lack its image get it first.
    """
    if body.get("on"):
        # A typing mistake is told here, with the groups there are.
        chosen_nodes(project, project.inventory(), body["on"])
    api = api_client(project)
    if push:
        # Before minutes of work for nothing.
        api.call("GET", "/healthz")
        push_for_start(project, body["image"])
    if mode_of(project) != PUSH:
        _declare(project, api, body, wait=wait, as_json=as_json)
        return
    answer = api.call("POST", "/app/start", body)
    started = answer.get("instances", [answer])
    if wait:
        with open_cluster(project) as cluster:
            await_settled(cluster, {"instances": [{"container": one["app"], "node": one["node"]} for one in started]})
    for node in answer.get("skipped", []):
        print(f"skipped {node}: {answer['reasons'][node]}", file=sys.stderr)
    print_json(answer) if as_json else print("\n".join(f"{one['app']} runs on {one['node']}" for one in started))


def _declare(project: Project, api: ApiClient, body: dict[str, Any], *, wait: bool, as_json: bool) -> None:
    cursor = api.call("GET", "/events?limit=0")["cursor"]
    answer = api.call("POST", "/app/start", body)
    if body.get("routes") and not project.inventory().edges:
        say(NO_FRONT)
    if not wait:
        print_json(answer) if as_json else print(f"{answer['app']} is declared; {ACTOR[mode_of(project)]} starts it: ./inv ps")
        return
    entry = await_instances(api, answer["app"], cursor, starts=body.get("replicas") != 0)
    if is_job(entry):
        entry = await_end(api, entry)
    else:
        with open_cluster(project) as cluster:
            await_settled(cluster, entry)
    answer |= {"node": entry["node"], "instances": entry["instances"]}
    print_json(answer) if as_json else print(where(entry))


def stop_app(project: Project, name: str) -> None:
    """Stop and remove it (push) or withdraw it, so that the loop does (reconcile)."""
    mode = mode_of(project)
    if mode != PUSH:
        api_client(project).call("DELETE", path_of("app", name))
        print(f"{name} is withdrawn; {ACTOR[mode]} removes it")
        return
    with open_cluster(project) as cluster:
        container = cluster.find(name)
        cluster.act(Remove(container.node, container.name))
    print(f"{name} stopped and removed on {container.node}")


def kill_app(project: Project, name: str) -> None:
    """Crash it: its process is killed, and nothing else is done."""
    with open_cluster(project) as cluster:
        try:
            container = cluster.find(name)
        except NotFound as missing:
            raise why_absent(project, name) or missing from None
        cluster.act(Kill(container.node, container.name))
    print(f"{name} killed on {container.node}")


def cordon(project: Project, nodes: str, *, cordoned: bool) -> None:
    """Keep new apps off the nodes that the pattern means, or let them on again. What runs there stays."""
    for host in chosen_nodes(project, project.inventory(), nodes):
        done = set_cordon(project, host.name, cordoned=cordoned)
        state = "cordoned: it gets no new apps" if cordoned else "uncordoned"
        print(f"{host.name} is {state}" if done else f"{host.name} was already {'cordoned' if cordoned else 'not cordoned'}")


def set_cordon(project: Project, node: str, *, cordoned: bool) -> bool:
    """Says whether that was a change."""
    if mode_of(project) == AGENTS:
        api_client(project).call("PUT", path_of("node", node), {"cordoned": cordoned})
        return True
    project.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    return cordons.set_cordon(project.state, node, cordoned=cordoned)
