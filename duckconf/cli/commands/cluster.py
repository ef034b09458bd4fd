"""The tasks for a cluster as a whole: its mode, its services, the tour.

Thin: parse, call, print. Imports wait until a task needs them, so that `./inv --list` is quick.
"""

from __future__ import annotations

from typing import Any

from duckconf.cli.terminal.edge import command, project


@command(
    help={
        "mode": "push, reconcile (one control loop) or agents (an agent on each node)",
        "topology": "own: each demo node has its own engine; shared: demo nodes use the engine of this machine",
        "control_planes": "how many demo hosts share the control plane, with its state in etcd: 3 or 5 (agents)",
        "json_logs": "services write their logs as JSON",
    }
)
def up(_: Any, mode: str, topology: str = "", control_planes: int = 0, json_logs: bool = False) -> None:
    """Start a cluster in a mode, or move a running cluster to it without restarting its apps. Example: ./inv up reconcile"""
    from duckconf.cli.cluster.bring_up import up as bring_up
    from duckconf.cli.cluster.modes import check_mode
    from duckconf.cli.demo.demo_roles import check_topology

    bring_up(project(), check_mode(mode), check_topology(topology), control_planes=control_planes, json_logs=json_logs)


@command(help={"purge": "also remove the cluster's images and state"})
def down(_: Any, purge: bool = False) -> None:
    """Remove the cluster: apps, demo hosts, network, services. Example: ./inv down --purge"""
    from duckconf.cli.cluster import bring_up

    bring_up.down(project(), purge=purge)


@command(
    positional=["file"],
    help={
        "file": "the backup: one file, encrypted",
        "passphrase_file": "a file whose first line is the passphrase; it is asked for otherwise",
        "force": "replace a file that is there",
        "json": "print what was written as JSON",
    },
)
def backup(_: Any, file: str, passphrase_file: str = "", force: bool = False, json: bool = False) -> None:
    """Write the cluster's state, secrets and keys into one encrypted file. Example: ./inv backup demo.backup"""
    from duckconf.cli.cluster.backup import backup as write

    write(project(), file, passphrase_file, force=force, as_json=json)


@command(
    positional=["file"],
    help={
        "file": "what `backup` wrote",
        "passphrase_file": "a file whose first line is the passphrase; it is asked for otherwise",
        "json": "print what was restored as JSON",
    },
)
def restore(_: Any, file: str, passphrase_file: str = "", json: bool = False) -> None:
    """Put a backup into an empty state folder; `up` then takes over what runs. Example: ./inv restore demo.backup"""
    from duckconf.cli.cluster.backup import restore as put_back

    put_back(project(), file, passphrase_file, as_json=json)


@command()
def stop_api(_: Any) -> None:
    """Stop the api-server on the control plane; apps keep running (agents mode). Example: ./inv stop-api"""
    from duckconf.cli.look.control import switch_api

    switch_api(project(), on=False)


@command()
def start_api(_: Any) -> None:
    """Start the api-server again (agents mode). Example: ./inv start-api"""
    from duckconf.cli.look.control import switch_api

    switch_api(project(), on=True)


@command(positional=["shell"], help={"shell": "bash, zsh or fish"})
def completion(_: Any, shell: str) -> None:
    """Print what makes TAB complete tasks, options, apps, nodes and groups in a shell.
    Example: ./inv completion bash > ~/.local/share/bash-completion/completions/inv"""
    from duckconf.cli.terminal.completion import script
    from duckconf.cli.terminal.edge import ROOT

    print(script(shell, ROOT), end="")


@command(
    help={
        "mode": "push, reconcile or agents; or ha (a control plane that loses a host) or stack, which have clusters of their own "
        "and take them away",
        "pause": "wait for a key before each step: Enter or space goes on, q ends the tour",
    }
)
def demo(_: Any, mode: str, pause: bool = False) -> int:
    """Start a cluster and run the explained tour of a mode, of ha or of a stack. Example: ./inv demo push --pause"""
    from duckconf.cli.demo.demo import demo as tour

    return tour(project(), mode, pause=pause)
