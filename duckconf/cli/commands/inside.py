"""The tasks that go into containers: exec, cp, stats.

Thin: parse, call, print. Imports wait until a task needs them, so that `./inv --list` is quick.
"""

from __future__ import annotations

from typing import Any

from duckconf.cli.apps.letters import DockersLetters
from duckconf.cli.terminal.edge import command, project

NAME = "the app or instance, as `ps` shows it: web, or web.2"


@command(
    name="exec",
    klass=DockersLetters,
    positional=["name"],
    help={
        "name": NAME,
        "user": "run as this user of the container",
        "workdir": "run in this folder of the container",
        "command": "the command as one text, for programs; a person types it after --",
    },
)
def exec_(_: Any, name: str, user: str = "", workdir: str = "", command: str = "") -> int:
    """Run a command in a container that runs, by default a shell. With a terminal where there is one; else its input is ours.
    Signals are passed on, and its exit code is ours. Example: ./inv exec web.2 -- ls -l /etc"""
    from duckconf.cli.apps.inside import exec_inside

    return exec_inside(project(), name, command, user, workdir)


@command(
    positional=["source", "target"],
    help={
        "source": "a file or folder here, or APP:PATH; - reads a tar archive from stdin",
        "target": "where to: APP:PATH, or a file or folder here; - writes a tar archive to stdout",
    },
)
def cp(_: Any, source: str, target: str) -> int:
    """Copy a file or folder into a container or out of it. Into a folder that is there it keeps its name, and FOLDER/. means what
    is in it. Exit code 1 where something was left out. Example: ./inv cp web:/etc/nginx ./nginx"""
    from duckconf.cli.apps.copy import copy

    return copy(project(), source, target)


@command(
    help={
        "names": "only these apps, instances or stacks; all by default",
        "node": "only these nodes: names, groups, globs, !exceptions, separated by commas",
        "once": "one table, also on a terminal",
        "json": "print JSON",
    },
)
def stats(_: Any, names: str = "", node: str = "", once: bool = False, json: bool = False) -> int:
    """Show what each instance uses of processor, memory and network, live on a terminal. CPU is in percent of one core.
    Exit code 4 if a node is unreachable. Example: ./inv stats web db"""
    from duckconf.cli.look.stats import stats as show

    return show(project(), names.split(), node, once=once, as_json=json)
