"""The lessons in docs, typed as they are written, from nothing to taken down; what is shown is what comes.

A lesson shows the defaults. Here its cluster has its own name, ports and timeout, so that it runs beside any other. They are
set in the environment, and `Place` puts them where a command shows the default, and the defaults back into what comes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from duckconf.cli.cluster import bring_up
from duckconf.cli.demo.local_engine import LocalEngine
from duckconf.naming import DEFAULT_CLUSTER, LABEL_CLUSTER, prefix
from duckconf.reach.inventory.project import load_project
from duckconf.settings import Settings
from tests.console import Step, difference, matches, steps
from tests.e2e.conftest import ROOT, free_ports, write_inventory
from tests.waiting import until

pytestmark = pytest.mark.slow

# Shorter than the default, and still long enough for the commands that a lesson types before a node is lost.
NODE_TIMEOUT = 12.0
# What a reader types again when it does not show yet what the page shows; all else is typed once.
LOOKS = ("ps", "nodes", "status", "diff", "events", "explain", "history", "logs", "rebalance --dry-run")
PATIENCE = 40.0
PROMPTLY = 180.0


@dataclass(frozen=True)
class Place:
    """Where a lesson is typed, and what the page calls it."""

    environ: dict[str, str]
    commands: tuple[tuple[str, str], ...]
    """What the page shows, and what is typed for it."""
    answers: tuple[tuple[str, str], ...]
    """What comes, and what the page shows for it."""

    def type(self, step: Step) -> list[str]:
        """The lines that come, as on a terminal; ends with the exit code where that is not 0."""
        command = _replaced(step.command, self.commands)
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=ROOT,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PROMPTLY,
            check=False,
        )
        lines = _replaced(done.stdout, self.answers).splitlines()
        return lines if done.returncode == 0 else [*lines, f"(exit code {done.returncode})"]

    def left(self) -> list[str]:
        """The containers of the cluster that there still are."""
        mine = f"--filter=label={LABEL_CLUSTER}={self.environ['DUCKCONF_CLUSTER']}"
        return [row["Id"] for row in LocalEngine(ROOT).listing("ps", "-a", mine)]


def _replaced(text: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for old, new in pairs:
        text = text.replace(old, new)
    return text


@pytest.fixture
def place(engine_env: dict[str, str], tmp_path: Path) -> Iterator[Place]:
    """For a cluster that there is not yet; nothing of it is left afterwards."""
    cluster = f"lesson{os.getpid()}"
    control, *nodes, api, published = free_ports(6)
    inventory = write_inventory(tmp_path, cluster, nodes, control=control)
    ours = {
        "DUCKCONF_INVENTORY": str(inventory),
        "DUCKCONF_CLUSTER": cluster,
        "DUCKCONF_API": f"http://127.0.0.1:{api}",
        "DUCKCONF_NODE_TIMEOUT": str(NODE_TIMEOUT),
    }
    ports = [(f"127.0.0.1:{own}", f"127.0.0.1:{2200 + index}") for index, own in enumerate((control, *nodes))]
    state = (f".duckconf/{cluster}/", f".duckconf/{DEFAULT_CLUSTER}/")
    answers = (
        (str(inventory), Settings().inventory),
        (ours["DUCKCONF_API"], Settings().api_url),
        *ports,
        (f"{published}:80", "8081:80"),
        (f"port {published}", "port 8081"),
        state,
        (f"cluster {cluster}", f"cluster {DEFAULT_CLUSTER}"),
        (prefix(cluster), prefix(DEFAULT_CLUSTER)),
    )
    commands = (
        (state[1], state[0]),
        ("8081:80", f"{published}:80"),
        ("duckconf-node-", f"duckconf-{prefix(cluster)}node-"),
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**ours, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}.items():
            patch.setenv(name, value)
        project = load_project(ROOT, os.environ)
        try:
            yield Place(dict(os.environ), commands, answers)
        finally:
            bring_up.down(project, purge=False)
            shutil.rmtree(project.state, ignore_errors=True)


def follow(page: str, place: Place) -> None:
    """Types what the page says, in its order; fails at the first command that shows something else."""
    text = (ROOT / page).read_text("utf-8")
    for step in steps(text):
        seen: list[str] = []

        def is_shown(step: Step = step, seen: list[str] = seen) -> bool:
            seen[:] = place.type(step)
            return matches(step.shown, seen)

        words = step.command.removeprefix("./inv ")
        patience = PATIENCE if words.startswith(LOOKS) else 0.0

        def told(step: Step = step, seen: list[str] = seen) -> str:
            return f"\n{difference(step.shown, seen)}"

        until(f"{page}:{step.line}: {step.command}", is_shown, patience, told)


@pytest.mark.parametrize("mode", ["push", "reconcile", "agents"])
def test_a_lesson_shows_what_a_reader_sees_who_types_it(mode: str, place: Place) -> None:
    follow(f"docs/{mode}.md", place)
    assert place.left() == []
