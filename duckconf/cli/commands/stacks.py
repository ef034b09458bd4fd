"""The tasks for stacks: compose files in, and files for other programs out. Thin: parse, call, print."""

from __future__ import annotations

from typing import Any

from duckconf.cli.terminal.edge import command, project


@command(
    positional=["files"],
    iterable=["env_file", "profile"],
    help={
        "files": "the compose file; of several, later ones are merged onto earlier ones",
        "stack": "the name of the stack. Default: the name in the file, else its folder's",
        "env_file": "a file of variables in place of .env beside the compose file; may be repeated",
        "profile": "also the services of this profile; may be repeated",
        "dry_run": "show what is new, changed and gone; nothing is declared",
        "wait": "return when all services run, and updates are done",
        "json": "print JSON",
    },
)
def apply(
    _: Any,
    files: str,
    stack: str = "",
    env_file: Any = None,
    profile: Any = None,
    dry_run: bool = False,
    wait: bool = False,
    json: bool = False,
) -> None:
    """Declare the services of a compose file as a stack, all or none (reconcile, agents). Example: ./inv apply compose.yaml

    Services that left the file are withdrawn; applying it again changes nothing."""
    from duckconf.cli.stacks.apply import apply as declare
    from duckconf.cli.stacks.reading import Asked

    asked = Asked(files.split("\n"), stack, env_file or (), profile or ())
    declare(project(), asked, dry_run=dry_run, wait=wait, as_json=json)


@command(help={"json": "print JSON"})
def stacks(_: Any, json: bool = False) -> None:
    """Show the stacks and how many of their instances run (reconcile, agents). Example: ./inv stacks"""
    from duckconf.cli.stacks.listing import stacks as show

    show(project(), as_json=json)


@command(positional=["name"], help={"name": "the stack, as `stacks` shows it"})
def stop_stack(_: Any, name: str) -> None:
    """Withdraw all apps of a stack (reconcile, agents). Its volumes stay. Example: ./inv stop-stack shop"""
    from duckconf.cli.stacks.listing import stop_stack as withdraw

    withdraw(project(), name)


@command(
    positional=["form"],
    help={
        "form": "compose (a compose file), kube (Kubernetes objects), quadlet (units of podman and systemd), caddy or haproxy (a "
        "front of your own for the apps with routes)",
        "app": "only this app. Default: all",
        "stack": "only the apps of this stack. Default: all",
        "folder": "write into this folder, with the files and secrets that are at hand, instead of printing",
    },
)
def export(_: Any, form: str, app: str = "", stack: str = "", folder: str = "") -> None:
    """Print what runs here as a file for another program (reconcile, agents). Example: ./inv export compose --stack shop"""
    from duckconf.cli.stacks.export import export as write

    write(project(), form, app, stack, folder)
