"""Every command a person types: `./inv TASK`. Thin: parse, call, print. Imports wait until a task needs them, so that
`./inv --list` is quick."""

from __future__ import annotations

import shlex
import sys
from typing import Any

from duckconf.cli.terminal.edge import command, project, typed_path


@command(
    help={
        "mode": "push; reconcile: one loop keeps the desired state; agents: an agent on each node does",
        "topology": "own: each demo node has an engine of its own; shared: they borrow this machine's",
        "json_logs": "services log for programs",
    }
)
def up(_: Any, mode: str, topology: str = "", json_logs: bool = False) -> None:
    """Start what a mode needs, or move a running cluster to it: nothing restarts. Example: ./inv up reconcile"""
    from duckconf.cli.cluster.bring_up import up as bring_up
    from duckconf.cli.cluster.modes import check_mode

    bring_up(project(), check_mode(mode), topology, json_logs=json_logs)


@command(help={"purge": "also remove the cluster's images and state"})
def down(_: Any, purge: bool = False) -> None:
    """Take the cluster away: apps, demo hosts, network, services. Example: ./inv down --purge"""
    from duckconf.cli.cluster import bring_up

    bring_up.down(project(), purge=purge)


@command(help={"json": "for programs"})
def status(_: Any, json: bool = False) -> int:
    """Services, nodes and problems on one screen. Exit code 4 when a node cannot be reached."""
    from duckconf.cli.look import tasks as look

    return look.status(project(), as_json=json)


@command(
    positional=["image"],
    iterable=["port", "env", "volume", "label"],
    help={
        "image": "what to run, such as nginx or localhost/duckconf/web",
        "name": "the app's name, in modes that take one; app-N otherwise",
        "command": "run this instead of the image's own, quoted as for a shell",
        "port": "HOST:CONTAINER, may be repeated",
        "env": "NAME=VALUE, may be repeated",
        "volume": "/SOURCE:/PATH or NAME:/PATH, optionally :ro; may be repeated",
        "label": "NAME=VALUE, may be repeated",
        "cpus": "limit in cores, such as 0.5",
        "memory": "limit, such as 512m",
        "push": "first bring the image from this machine's engine to the nodes that lack it",
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
    push: bool = False,
    wait: bool = False,
    json: bool = False,
) -> None:
    """Start an app, or declare it where a loop does that. Example: ./inv start-app nginx --port 8081:80 --env MODE=fast"""
    from duckconf.cli.apps import change
    from duckconf.cli.apps.request import app_request

    body = app_request(image, name, command, port or [], env or [], volume or [], label or [], cpus, memory)
    change.start_app(project(), body, push=push, wait=wait, as_json=json)


@command(
    positional=["image"],
    help={
        "image": "as this machine's podman or docker has it",
        "to": "only to these nodes: names, groups, globs, !exceptions, with commas",
        "json": "for programs",
    },
)
def push_image(_: Any, image: str, to: str = "", json: bool = False) -> int:
    """Bring an image from this machine to the nodes that lack it; again after an interruption, it goes on where it was.
    Exit code 4 when a node does not get it. Example: ./inv push-image localhost/duckconf/web --to node-1,node-2"""
    from duckconf.cli.fleet.push_image import push_image as push

    return push(project(), image, to, as_json=json)


@command(help={"name": "the app, as `ps` shows it"})
def stop_app(_: Any, name: str) -> None:
    """Stop an app and remove its container, or withdraw it. Example: ./inv stop-app app-1"""
    from duckconf.cli.apps import change

    change.stop_app(project(), name)


@command()
def confirm_edit(_: Any) -> None:
    """Confirm an edit of the desired state that withdraws most apps and waits. Example: ./inv confirm-edit"""
    from duckconf.cli.apps.confirm import confirm_edit as confirm

    confirm(project())


@command(help={"name": "the app, as `ps` shows it"})
def kill_app(_: Any, name: str) -> None:
    """Crash an app on purpose: its process is killed, nothing else. Example: ./inv kill-app app-1"""
    from duckconf.cli.apps import change

    change.kill_app(project(), name)


@command(help={"node": "only these nodes: names, groups, globs, !exceptions, with commas", "json": "for programs"})
def ps(_: Any, node: str = "", json: bool = False) -> int:
    """All apps, desired and observed. Exit code 4 when a node cannot be reached. Example: ./inv ps --node node-1"""
    from duckconf.cli.look import tasks as look

    return look.ps(project(), node, as_json=json)


@command(help={"limit": "only these nodes: names, groups, globs, !exceptions, with commas", "json": "for programs"})
def nodes(_: Any, limit: str = "", json: bool = False) -> int:
    """The nodes and whether they are reachable. Exit code 4 when one is not. Example: ./inv nodes --limit 'nodes:!node-3'"""
    from duckconf.cli.look import tasks as look

    return look.nodes(project(), limit, as_json=json)


@command(help={"json": "for programs"})
def diff(_: Any, json: bool = False) -> int:
    """What the loop would do now and why, and what it leaves alone. Exit code 2 when there is something to do."""
    from duckconf.cli.look import tasks as look

    return look.diff(project(), as_json=json)


@command(help={"follow": "go on until interrupted", "limit": "how many of the newest first", "json": "one object per line"})
def events(_: Any, follow: bool = False, limit: int = 50, json: bool = False) -> int:
    """The events of the cluster, oldest first. Example: ./inv events -f"""
    from duckconf.cli.look import tasks as look

    return look.events(project(), limit, follow=follow, as_json=json)


@command(
    positional=["what"],
    help={
        "what": "a service (api, reconciler, scheduler, node-controller, agent@NODE) or an app",
        "follow": "go on until interrupted",
        "lines": "how many",
    },
)
def logs(_: Any, what: str, follow: bool = False, lines: int = 50) -> int:
    """The log of a service, or what an app printed. Example: ./inv logs reconciler -f"""
    from duckconf.cli.look import tasks as look

    return look.logs(project(), what, lines, follow=follow)


@command(help={"node": "gets no new app; what runs there stays. One or more: names, groups, globs, !exceptions"})
def cordon(_: Any, node: str) -> None:
    """Keep new apps off a node. Example: ./inv cordon node-2"""
    from duckconf.cli.apps import change

    change.cordon(project(), node, cordoned=True)


@command(help={"node": "may get new apps again. One or more: names, groups, globs, !exceptions"})
def uncordon(_: Any, node: str) -> None:
    """Let new apps on a node again. Example: ./inv uncordon node-2"""
    from duckconf.cli.apps import change

    change.cordon(project(), node, cordoned=False)


@command(help={"node": "to be emptied; several are emptied one after the other"})
def drain(_: Any, node: str) -> None:
    """Cordon a node and move its apps, one at a time; each runs on its new node first. Example: ./inv drain node-2"""
    from duckconf.cli.fleet.drain import drain as empty

    empty(project(), node)


@command()
def stop_api(_: Any) -> None:
    """Stop the api-server on the control plane; apps keep running (agents mode). Example: ./inv stop-api"""
    from duckconf.cli.look.agents import switch_api

    switch_api(project(), on=False)


@command()
def start_api(_: Any) -> None:
    """Start the api-server again (agents mode). Example: ./inv start-api"""
    from duckconf.cli.look.agents import switch_api

    switch_api(project(), on=True)


@command(
    help={
        "limit": "only these hosts: names, groups, globs, !exceptions, with commas; @failed for those that failed last",
        "full": "run the roles also where nothing seems to have changed",
        "json": "for programs",
    }
)
def provision(_: Any, limit: str = "", full: bool = False, json: bool = False) -> None:
    """Put on the hosts what the mode needs there. Exit code 4 when some failed. Example: ./inv provision --limit @failed"""
    from duckconf.cli.roles.provision_task import run

    run(project(), limit, full=full, as_json=json)


@command(
    positional=["name"],
    help={
        "name": "what the node will be called",
        "host": "its address, or a name that resolves; USER@HOST:PORT and ssh:// are understood",
        "port": "of its sshd",
        "user": "who logs in; one that is not root uses sudo",
        "key_file": "the private key that logs in; without it, ssh's own keys and agent",
        "group": "the inventory's group that it belongs to",
        "accept_key": "pin its host key without asking if this is its fingerprint: SHA256:…",
        "become": "Duckconf's own login `duckconf` there for daily work; by default where the user is not root",
        "no_become": "no login of its own: daily work as the user too",
    },
)
def add_node(
    _: Any,
    name: str,
    host: str,
    port: int = 0,
    user: str = "",
    key_file: str = "",
    group: str = "nodes",
    accept_key: str = "",
    become: bool = False,
    no_become: bool = False,
) -> None:
    """A machine with sshd and python3 becomes a node. Example: ./inv add-node web-4 --host 192.0.2.7 --user admin"""
    from duckconf.cli.fleet.add import NewNode
    from duckconf.cli.fleet.add import add_node as add

    own_login = (True if become else None) if not no_become else False
    add(project(), NewNode.typed(name, host, port, user, typed_path(key_file), group, own_login), accept_key)


@command(
    positional=["name"],
    help={"name": "the node", "force": "the host is dead: no command runs on it, its apps are rescheduled at once"},
)
def remove_node(_: Any, name: str, force: bool = False) -> None:
    """Drain a node, undo the role, and remove it from the inventory. Example: ./inv remove-node web-4"""
    from duckconf.cli.fleet.remove import remove_node as remove

    remove(project(), name, force=force)


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
    from duckconf.cli.demo.demo_hosts import DemoHosts
    from duckconf.errors import SetupError

    here = project()
    if not here.inventory().node(node).demo:
        raise SetupError(f"{node} is a real machine, which is not frozen from here", f"to empty it: ./inv drain {node}")
    return DemoHosts(here)


@command(help={"node": "whose host key", "fingerprint": "SHA256:… as the refusal showed it"})
def accept_key(_: Any, node: str, fingerprint: str) -> None:
    """Pin the host key that a node shows now, if it is this one. Example: ./inv accept-key node-2 SHA256:…"""
    from duckconf.reach.ssh.host_keys import accept

    here = project()
    host = here.inventory().node(node)
    accept(here.pins, host, fingerprint, here.settings.node_deadline)
    print(f"{node}: {fingerprint} is pinned now")


@command(help={"mode": "push, reconcile or agents"})
def demo(_: Any, mode: str) -> None:
    """The narrated tour of a mode, from nothing, by itself. Example: ./inv demo push"""
    from duckconf.cli.cluster.modes import AGENTS, PUSH, RECONCILE, check_mode
    from duckconf.cli.demo.tour import tour_agents, tour_push, tour_reconcile

    tours = {PUSH: tour_push, RECONCILE: tour_reconcile, AGENTS: tour_agents}
    tours[check_mode(mode)](project())


@command(
    positional=["node"],
    optional=["node"],
    help={
        "node": "only this host, or these, from its name to its disk: names, groups, globs, !exceptions",
        "json": "for programs",
    },
)
def doctor(_: Any, node: str = "", json: bool = False) -> int:
    """Check everything that Duckconf needs; print problems and how to fix them. Example: ./inv doctor node-2"""
    from duckconf.cli.machine.doctor import examine
    from duckconf.cli.terminal.tables import print_json, print_table

    if node:
        from duckconf.cli.fleet.doctor_host import examine_hosts

        return examine_hosts(project(), node, as_json=json)
    findings = examine(project)
    rows = [finding._asdict() for finding in findings]
    print_json(rows) if json else print_table(rows, ("check", "result", "detail"), "")
    return 0 if all(finding.result == "ok" for finding in findings) else 1


@command(help={"only": "arguments for pytest, such as 'tests/unit -k model'", "all": "also the slow ones: every fault, Molecule"})
def test(context: Any, only: str = "", all: bool = False) -> int:
    """The tests, end to end on real sshd and real containers; in full with --all. Example: ./inv test --only tests/unit"""
    from duckconf.cli.machine.checks import run_tests

    return run_tests(context, only, everything=all)


@command()
def build_agent(_: Any) -> None:
    """Build what the roles put on hosts, each one file: the agent, and the control plane. `provision` does it by itself."""
    from duckconf.cli.roles.build_agent import build_agent as agent
    from duckconf.cli.roles.build_agent import build_control_plane

    root = project().root
    print(agent(root), build_control_plane(root), sep="\n")


@command()
def role_docs(_: Any) -> None:
    """Write docs/roles.md from what the roles say of their variables."""
    from duckconf.cli.roles.role_docs import write_page

    print(write_page(project().root))


@command()
def lint(context: Any) -> int:
    """Style, types, layers, dependencies, shell and Ansible files."""
    from duckconf.cli.machine.checks import run_checks

    return run_checks(context)


@command(
    help={
        "mode": "push, reconcile, agents, or hosts: push-image, provision and listings of many",
        "rounds": "measurements per row",
        "only": "parts, such as start",
    }
)
def bench(context: Any, mode: str, rounds: int = 15, only: str = "") -> int:
    """Measure a mode beside a floor in the same run; table and JSON. Example: ./inv bench reconcile --only hosts"""
    from duckconf.cli.cluster.modes import check_mode

    module = mode if mode == "hosts" else check_mode(mode)
    argv = ("python", "-m", f"benchmarks.{module}", "--rounds", str(rounds), *(("--only", only) if only else ()))
    return int(context.run(shlex.join(argv), warn=True).exited)
