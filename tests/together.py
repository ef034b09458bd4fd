"""Which tests one worker runs one after the other, in which order, and which of them need no hosts.

Tests on hosts wait for what these do, half of the time. One worker more than these tests have, the one beside, meanwhile runs
those that only compute, and leaves the processors to the hosts where both want them.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Sequence
from pathlib import PurePosixPath

E2E = PurePosixPath("tests", "e2e")
# What takes more than one and a half minutes, as `--durations` tells: these begin first, so that several workers end together.
LONGEST = (
    "tests/e2e/agents",
    "tests/e2e/test_real_hosts.py",
    "tests/e2e/docker",
    "tests/e2e/test_topology_own.py",
    "tests/e2e/test_fleet_tasks.py",
    "tests/e2e/test_provision_real.py",
    "tests/e2e/test_lessons.py",
    "tests/e2e/test_molecule.py",
    "tests/e2e/test_reconcile_tasks.py",
    "tests/e2e/test_reconcile_faults.py",
    "tests/e2e/test_stacks_real.py",
    "tests/e2e/test_edge_real.py",
    "tests/e2e/test_updates.py",
)


def together(nodeid: str) -> str:
    """The file of a test; its folder where that is one below tests/e2e, whose files share a cluster."""
    file = PurePosixPath(nodeid.split("::", 1)[0])
    return str(file.parent if E2E in file.parent.parents else file)


def place(name: str, slow: Container[str]) -> int:
    """Of what is run together: the lowest begins first. `slow` are those with a slow test."""
    return LONGEST.index(name) if name in LONGEST else len(LONGEST) + (name not in slow)


def on_hosts(name: str) -> bool:
    """Whether what is run together needs hosts."""
    return PurePosixPath(name).is_relative_to(E2E)


def is_beside(worker: str, count: int, names: Collection[str]) -> bool:
    """Whether this is the worker beside, of so many: the last one, where there is something for it and for the others."""
    return worker == f"gw{count - 1}" and count > 1 and {on_hosts(name) for name in names} == {True, False}


def taken(waiting: Sequence[str], *, beside: bool) -> str | None:
    """What a worker takes of what waits, which is in the order in which it is to begin; None where the worker is to end. The one
    beside never takes what needs hosts, and the others take that first."""
    mine = [name for name in waiting if on_hosts(name) is not beside]
    return next(iter(mine if beside else [*mine, *waiting]), None)
