"""Which tests one worker runs one after the other, and in which order."""

from __future__ import annotations

from collections.abc import Container
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
