"""One client of many hosts as a process of its own, so that its CPU is its own: told what to do line by line.

Needs only the standard library, because some clients run in a venv that has nothing of ours.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Target(NamedTuple):
    """The hosts, as (address, port), and what to ask each of them."""

    hosts: Sequence[tuple[str, int]]
    user: str
    key: str
    known_hosts: str
    command: str


def read_target(path: str) -> Target:
    fields = json.loads(Path(path).read_text())
    return Target(**{**fields, "hosts": [(address, port) for address, port in fields["hosts"]]})


def check_answers(answers: Sequence[str], target: Target) -> None:
    """Every host has answered with its list of containers."""
    if len(answers) != len(target.hosts) or not all(answer.lstrip().startswith("[{") for answer in answers):
        sys.exit(f"{len(answers)} answers from {len(target.hosts)} hosts, not all of them a list of containers")


def serve(acts: Mapping[str, Callable[[], object]]) -> None:
    """For each line, do what it names and answer with its wall time and this process's CPU time, in seconds."""
    # Clients may read from, or print to, the terminal that they take these two for.
    lines, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    for line in lines:
        cpu, begun = time.process_time(), time.perf_counter()
        acts[line.strip()]()
        answer = {"wall": time.perf_counter() - begun, "cpu": time.process_time() - cpu}
        print(json.dumps(answer), file=answers, flush=True)
    os._exit(0)
