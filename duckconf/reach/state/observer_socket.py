"""A socket at which the process that holds the connections is asked what the nodes run.

When nobody answers there, for whatever reason, the asker connects to the nodes itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from duckconf.inventory import Host
from duckconf.observation import Observation, fingerprint, observation_from_json
from duckconf.reach.state import local_socket

FILE_NAME = "observer.sock"
# Seconds. A process that lives says so at once; its answer takes as long as the slowest node.
SIGN_OF_LIFE = 1.0
LONGEST_ANSWER = 45.0

Look = Callable[[Mapping[str, str]], Observation]


def serve(folder: Path, look: Look) -> None:
    """See `local_socket.serve`."""

    def answer(question: bytes) -> bytes:
        return json.dumps(look(json.loads(question)).to_json()).encode()

    local_socket.serve(folder, FILE_NAME, answer, "tasks will connect to the nodes themselves")


def ask(folder: Path, hosts: Iterable[Host]) -> Observation | None:
    """What these nodes run, as far as the process knows them as they are here; None when no process answers."""
    wanted = {host.name: fingerprint(host) for host in hosts}
    try:
        told = local_socket.ask(folder, FILE_NAME, json.dumps(wanted).encode(), SIGN_OF_LIFE, LONGEST_ANSWER)
        return None if told is None else observation_from_json(json.loads(told))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
