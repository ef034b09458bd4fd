"""What a look at the nodes did not show: nodes that did not answer, and what cannot be read of the desired state."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from duckconf.cli.terminal.edge import SOME_UNREACHABLE
from duckconf.engine_output import Container
from duckconf.errors import Unreadable
from duckconf.reach.nodes.parallel import Result

NO_APPS = "no apps; start one with ./inv start-app IMAGE"

Seen = Mapping[str, Result[tuple[Container, ...]]]


def say_faults(faults: Iterable[str]) -> None:
    for fault in faults:
        print(f"desired state: {fault}", file=sys.stderr)


def none_of(seen: Seen) -> str:
    """What there is to say where no app is seen."""
    return "no apps on the nodes that answered" if any(isinstance(found, Exception) for found in seen.values()) else NO_APPS


def unreachable(seen: Seen) -> int:
    """Name the nodes that did not answer; the exit code."""
    failures = [found for found in seen.values() if isinstance(found, Exception)]
    for failure in failures:
        said = "answers, but its answer cannot be read" if isinstance(failure, Unreadable) else "unreachable"
        print(f"{said}: {failure}", file=sys.stderr)
    return SOME_UNREACHABLE if failures else 0
