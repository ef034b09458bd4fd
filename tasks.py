"""Every command a person types: `./inv TASK`. Thin: parse, call, print. Imports wait until a task needs them, so that
`./inv --list` is quick."""

from __future__ import annotations

import shlex
import sys
from typing import Any

from duckconf.cli.edge import SOME_UNREACHABLE, command, project


def _push_only(mode: str) -> None:
    from duckconf.errors import BadInput, Fault

    if mode != "push":
        raise BadInput(Fault("MODE", f"should be push, got {mode!r}"))


@command(help={"mode": "push: the API starts each app when the request comes"})
def up(_: Any, mode: str) -> None:
    """Start what a mode needs: demo hosts and services. Example: ./inv up push"""
    from duckconf.cli.push import up_push

    _push_only(mode)
    up_push(project())


@command(help={"purge": "also remove the cluster's images and state"})
def down(_: Any, purge: bool = False) -> None:
    """Take the cluster away: apps, demo hosts, network, services. Example: ./inv down --purge"""
    from duckconf.cli import push

    push.down(project(), purge=purge)


@command(help={"json": "for programs"})
def status(_: Any, json: bool = False) -> int:
    """Services, nodes and apps on one screen. Exit code 4 when a node cannot be reached."""
    from duckconf.cli.cluster import node_row, open_cluster
    from duckconf.cli.push import api_service
    from duckconf.cli.tables import age, print_json, print_table

    here = project()
    process = api_service(here).process()
    service = {"service": "api", "pid": process.pid if process else None, "address": here.settings.api_url}
    service |= {"state": "running" if process else "stopped", "since": age(process.create_time()) if process else None}
    with open_cluster(here) as cluster:
        seen = cluster.observe()
        nodes = [node_row(host, seen[host.name]) for host in cluster.inventory.node_hosts()]
    if json:
        print_json({"cluster": here.cluster, "mode": "push", "services": [service], "nodes": nodes})
    else:
        print(f"cluster {here.cluster}, mode push\n")
        print_table([service], ("service", "state", "pid", "address", "since"), "")
        print()
        print_table(nodes, ("name", "status", "address", "apps"), "no nodes")
    return _unreachable(seen)


@command(
    positional=["image"],
    iterable=["port", "env", "volume", "label"],
    help={
        "image": "what to run, such as nginx or localhost/duckconf/web",
        "name": "the app's name, in modes that take one",
        "command": "run this instead of the image's own, quoted as for a shell",
        "port": "HOST:CONTAINER, may be repeated",
        "env": "NAME=VALUE, may be repeated",
        "volume": "/SOURCE:/PATH or NAME:/PATH, optionally :ro; may be repeated",
        "label": "NAME=VALUE, may be repeated",
        "cpus": "limit in cores, such as 0.5",
        "memory": "limit, such as 512m",
        "wait": "return when it has stayed up for a second, fail with its last words when it has not",
        "json": "for programs",
    },
)
def start_app(
    _: Any,
    image: str,
    name: str = "",
    command: str = "",
    port: list[str] | None = None,
    env: list[str] | None = None,
    volume: list[str] | None = None,
    label: list[str] | None = None,
    cpus: str = "",
    memory: str = "",
    wait: bool = False,
    json: bool = False,
) -> None:
    """Start an app on the node whose turn it is. Example: ./inv start-app nginx --port 8081:80 --env MODE=fast"""
    from duckconf.cli.cluster import open_cluster
    from duckconf.cli.request import app_request
    from duckconf.cli.tables import print_json
    from duckconf.reach.client import ApiClient

    here = project()
    body = app_request(image, name, command, port or [], env or [], volume or [], label or [], cpus, memory)
    answer = ApiClient(here.settings.api_url).call("POST", "/app/start", body)
    if wait:
        with open_cluster(here) as cluster:
            cluster.await_running(answer["node"], answer["app"])
    for node in answer.get("skipped", []):
        print(f"passed over {node}: {answer['reasons'][node]}", file=sys.stderr)
    print_json(answer) if json else print(f"{answer['app']} runs on {answer['node']}")


@command(help={"name": "the app, as `ps` shows it"})
def stop_app(_: Any, name: str) -> None:
    """Stop an app and remove its container. Example: ./inv stop-app duckconf-node-1-app-1"""
    from duckconf.actions import Remove

    _act_on(name, Remove, "stopped and removed")


@command(help={"name": "the app, as `ps` shows it"})
def kill_app(_: Any, name: str) -> None:
    """Crash an app on purpose: its process is killed, nothing else. Example: ./inv kill-app duckconf-node-1-app-1"""
    from duckconf.actions import Kill

    _act_on(name, Kill, "killed")


def _act_on(name: str, action: Any, done: str) -> None:
    from duckconf.cli.cluster import open_cluster

    with open_cluster(project()) as cluster:
        container = cluster.find(name)
        cluster.act(action(container.node, container.name))
    print(f"{name} {done} on {container.node}")


@command(help={"node": "only this node", "json": "for programs"})
def ps(_: Any, node: str = "", json: bool = False) -> int:
    """The apps, asked of all nodes at once. Exit code 4 when a node cannot be reached. Example: ./inv ps --node node-1"""
    from duckconf.cli.cluster import app_row, open_cluster
    from duckconf.cli.tables import age, print_json, print_table

    with open_cluster(project()) as cluster:
        seen = cluster.observe(node)
    containers = [container for found in seen.values() if isinstance(found, tuple) for container in found]
    if json:
        print_json([app_row(container) for container in containers])
    else:
        rows = [{**app_row(container), "age": age(container.started)} for container in containers]
        print_table(rows, ("app", "node", "state", "image", "age"), "no apps; start one with ./inv start-app IMAGE")
    return _unreachable(seen)


@command(help={"json": "for programs"})
def nodes(_: Any, json: bool = False) -> int:
    """The nodes and whether they answer. Exit code 4 when one does not. Example: ./inv nodes --json"""
    from duckconf.cli.cluster import node_row, open_cluster
    from duckconf.cli.tables import print_json, print_table

    with open_cluster(project()) as cluster:
        seen = cluster.observe()
        rows = [node_row(host, seen[host.name]) for host in cluster.inventory.node_hosts()]
    print_json(rows) if json else print_table(rows, ("name", "status", "address", "apps", "cordoned"), "no nodes")
    return _unreachable(seen)


def _unreachable(seen: Any) -> int:
    failures = [found for found in seen.values() if isinstance(found, Exception)]
    for failure in failures:
        print(f"unreachable: {failure}", file=sys.stderr)
    return SOME_UNREACHABLE if failures else 0


@command(help={"node": "a demo host"})
def stop_node(_: Any, node: str) -> None:
    """Freeze a demo node and the apps on it, as if it had hung. Example: ./inv stop-node node-2"""
    names = _demo_hosts(node).freeze(node)
    print(f"frozen: {', '.join(names)}" if names else f"{node} was not running", file=sys.stdout if names else sys.stderr)


@command(help={"node": "a demo host"})
def start_node(_: Any, node: str) -> None:
    """Thaw a demo node and its apps. Example: ./inv start-node node-2"""
    names = _demo_hosts(node).thaw(node)
    print(f"thawed: {', '.join(names)}" if names else f"{node} was not frozen", file=sys.stdout if names else sys.stderr)


def _demo_hosts(node: str) -> Any:
    from duckconf.cli.demo_hosts import DemoHosts
    from duckconf.errors import SetupError

    here = project()
    if not here.inventory().node(node).demo:
        raise SetupError(f"{node} is a real machine, which is not frozen from here", f"to empty it: ./inv drain {node}")
    return DemoHosts(here)


@command(help={"node": "whose host key", "fingerprint": "SHA256:… as the refusal showed it"})
def accept_key(_: Any, node: str, fingerprint: str) -> None:
    """Pin the host key that a node shows now, if it is this one. Example: ./inv accept-key node-2 SHA256:…"""
    from duckconf.reach.host_keys import accept

    here = project()
    host = here.inventory().node(node)
    accept(here.pins, host.name, host.address, host.port, fingerprint, here.settings.node_deadline)
    print(f"{node}: {fingerprint} is pinned now")


@command(help={"mode": "push"})
def demo(_: Any, mode: str) -> None:
    """The narrated tour of a mode, from nothing, by itself. Example: ./inv demo push"""
    from duckconf.cli.tour import tour_push

    _push_only(mode)
    tour_push(project())


@command(help={"json": "for programs"})
def doctor(_: Any, json: bool = False) -> int:
    """Look at everything Duckconf needs and say what is wrong and what to do."""
    from duckconf.cli.doctor import examine
    from duckconf.cli.tables import print_json, print_table

    findings = examine(project)
    rows = [finding._asdict() for finding in findings]
    print_json(rows) if json else print_table(rows, ("check", "result", "detail"), "")
    return 0 if all(finding.result == "ok" for finding in findings) else 1


@command(help={"only": "arguments for pytest, such as 'tests/unit -k model'"})
def test(context: Any, only: str = "") -> int:
    """All tests: pure, API, and end to end on real sshd and real containers. Example: ./inv test --only tests/unit"""
    from shutil import which

    from duckconf.cli.local_engine import install, require_engine

    if not only or "e2e" in only:
        require_engine()
        if which("docker") is None:
            install(("docker.io",), "the docker command is missing, over which the wrapper is tested")
    done = context.run(f"python -m pytest {' '.join(map(shlex.quote, shlex.split(only)))}", warn=True, pty=sys.stdout.isatty())
    return int(done.exited)


@command()
def lint(context: Any) -> int:
    """Style, types, layers, dependencies, shell and Ansible files."""
    from duckconf.cli.checks import run_checks

    return run_checks(context)


@command(help={"mode": "push", "rounds": "measurements per row"})
def bench(context: Any, mode: str, rounds: int = 15) -> int:
    """Measure a mode beside a floor in the same run; table and JSON. Example: ./inv bench push"""
    _push_only(mode)
    return int(context.run(f"python -m benchmarks.push --rounds {int(rounds)}", warn=True).exited)
