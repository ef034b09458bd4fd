"""The tasks for the nodes: add and remove them, keep apps off them, put on them what they need, freeze them.

Thin: parse, call, print. Imports wait until a task needs them, so that `./inv --list` is quick.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from duckconf.cli.terminal.edge import command, project, typed_path
from duckconf.errors import BadInput, Fault


@command(help={"node": "the nodes: names, groups, globs, !exceptions, separated by commas"})
def cordon(_: Any, node: str) -> None:
    """Place no new apps on a node; the apps that run there stay. Example: ./inv cordon node-2"""
    from duckconf.cli.apps import change

    change.cordon(project(), node, cordoned=True)


@command(help={"node": "the nodes: names, groups, globs, !exceptions, separated by commas"})
def uncordon(_: Any, node: str) -> None:
    """Place new apps on a node again. Example: ./inv uncordon node-2"""
    from duckconf.cli.apps import change

    change.cordon(project(), node, cordoned=False)


@command(help={"node": "the nodes; several are drained one after the other"})
def drain(_: Any, node: str) -> None:
    """Cordon a node and move its apps one at a time, the new container first. Example: ./inv drain node-2"""
    from duckconf.cli.fleet.drain import drain as empty

    empty(project(), node)


@command(
    help={
        "dry_run": "change nothing; print what would move and why. Exit code 2 if something would",
        "wait": "follow it and return when it is over",
        "json": "print JSON",
    }
)
def rebalance(_: Any, dry_run: bool = False, wait: bool = False, json: bool = False) -> int:
    """Move instances, one at a time, until the nodes run about as many (reconcile, agents). Example: ./inv rebalance --dry-run"""
    from duckconf.cli.fleet import rebalance as moving

    if dry_run:
        return moving.preview(project(), as_json=json)
    return moving.rebalance(project(), wait=wait, as_json=json)


@command(
    help={
        "limit": "only these hosts: names, groups, globs, !exceptions; @failed means the hosts that failed last",
        "full": "run the roles on all hosts, changed or not",
        "json": "print JSON",
    }
)
def provision(_: Any, limit: str = "", full: bool = False, json: bool = False) -> None:
    """Run the roles where something has changed. Exit code 4 if a host failed. Example: ./inv provision --limit @failed"""
    from duckconf.cli.roles.provision_task import run

    run(project(), limit, full=full, as_json=json)


@command(
    help={
        "save": "fetch a snapshot of the state into this file",
        "restore": "begin anew from this snapshot on all hosts of control_plane, when no majority is left",
        "json": "print JSON",
    }
)
def members(_: Any, save: str = "", restore: str = "", json: bool = False) -> int:
    """Show the members of etcd and what one more failure costs. Exit code 4 if one is lost. Example: ./inv members"""
    from duckconf.cli.roles import etcd_task

    if save and restore:
        raise BadInput(Fault("--save", "and --restore should be given one at a time"))
    if save:
        etcd_task.save(project(), Path(typed_path(save)))
    elif restore:
        etcd_task.restore(project(), Path(typed_path(restore)))
    else:
        return etcd_task.show(project(), as_json=json)
    return 0


@command(
    positional=["name"],
    help={
        "name": "the name of the new node",
        "host": "address, host name or alias of ssh's configuration; also USER@HOST:PORT and ssh://…",
        "port": "the port of its sshd",
        "user": "the login; if it is not root, sudo is used",
        "key_file": "the private key; by default the keys and the agent of ssh",
        "group": "the group in the inventory",
        "accept_key": "pin the host key without a question if this is its fingerprint: SHA256:…",
        "become": "create the login `duckconf` for daily work; default if the user is not root",
        "no_become": "create no login; use the same user for daily work",
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
    """Make a node of a machine with sshd and python3. Example: ./inv add-node web-4 --host 192.0.2.7 --user admin"""
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
    """Freeze a demo node and its apps. Example: ./inv stop-node node-2"""
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


@command(help={"node": "a node or control-plane host", "fingerprint": "the fingerprint from the error message: SHA256:…"})
def accept_key(_: Any, node: str, fingerprint: str) -> None:
    """Pin the current host key of a host if it has this fingerprint. Example: ./inv accept-key node-2 SHA256:…"""
    from duckconf.reach.ssh.host_keys import accept

    here = project()
    host = here.inventory().machine(node)
    accept(here.pins, host, fingerprint, here.settings.node_deadline)
    print(f"{node}: {fingerprint} is pinned now")
