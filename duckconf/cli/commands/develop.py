"""The tasks for those who work on Duckconf.

Thin: parse, call, print. Imports wait until a task needs them, so that `./inv --list` is quick.
"""

from __future__ import annotations

import shlex
from typing import Any

from duckconf.cli.terminal.edge import command, project


@command(
    help={
        "only": "arguments for pytest, such as 'tests/unit -k model'",
        "all": "also the slow tests: every fault, every engine, Molecule",
    }
)
def test(context: Any, only: str = "", all: bool = False) -> int:
    """Run the tests, end to end on real sshd and real containers. Example: ./inv test --only tests/unit"""
    from duckconf.cli.machine.checks import run_tests

    return run_tests(context, only, everything=all)


@command()
def build_agent(_: Any) -> None:
    """Build the agent and the control plane, each as one file. `provision` does this when needed."""
    from duckconf.cli.roles.build_agent import build_agent as agent
    from duckconf.cli.roles.build_agent import build_control_plane

    root = project().root
    print(agent(root), build_control_plane(root), sep="\n")


@command()
def role_docs(_: Any) -> None:
    """Write docs/roles.md from the argument specifications of the roles."""
    from duckconf.cli.roles.role_docs import write_page

    print(write_page(project().root))


@command()
def field_docs(_: Any) -> None:
    """Write docs/fields.md and docs/compose.md from the fields of an app, docs/demo.md from the steps of the tours."""
    from duckconf.cli.apps.field_docs import write_pages
    from duckconf.cli.demo.script import write_page

    print(*write_pages(project().root), write_page(project().root), sep="\n")


@command()
def lint(context: Any) -> int:
    """Check style, types, layers, dependencies, shell scripts and Ansible files."""
    from duckconf.cli.machine.checks import run_checks

    return run_checks(context)


@command(
    help={
        "mode": "push, reconcile, agents, services (push, healing, sets of instances, updates, decisions), hosts "
        "(push-image, provision, listings of many hosts), front, ha (several servers on etcd), or ui (open pages and what "
        "they cost)",
        "rounds": "measurements per row",
        "only": "only these parts, such as start",
    },
    least={"rounds": 1},
)
def bench(context: Any, mode: str, rounds: int = 15, only: str = "") -> int:
    """Measure a mode, and the least possible time (floor) in the same run. Example: ./inv bench reconcile --only hosts"""
    from duckconf.cli.cluster.modes import check_mode

    module = mode if mode in ("front", "ha", "hosts", "services", "ui") else check_mode(mode)
    argv = ("python", "-m", f"benchmarks.{module}", "--rounds", str(rounds), *(("--only", only) if only else ()))
    return int(context.run(shlex.join(argv), warn=True).exited)
