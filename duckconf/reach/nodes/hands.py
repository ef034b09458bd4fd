"""What a person does to one container from the page: end its process on purpose, and read what it printed last.

The process that holds the connections does it: the API of push mode itself, in reconcile mode the loop, which is asked at a
socket. The code is that of the tasks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from duckconf.actions import Kill
from duckconf.command import Runner
from duckconf.errors import DuckconfError, EngineRefused, NodeFailure, NotFound, NotNow
from duckconf.reach.nodes.actuator import execute, printed
from duckconf.reach.state import local_socket

FILE_NAME = "hands.sock"
# Seconds. The longest is a node's own deadline and some more.
SIGN_OF_LIFE = 1.0
LONGEST_ANSWER = 30.0
MOST_LINES = 1000
NO_LOOP = "the control loop, which holds the connections to the nodes, does not answer"


class Where(NamedTuple):
    """A container and its node."""

    node: str
    container: str


class Hands(Protocol):
    """Both raise NotFound for a container that is not ours, NodeFailure, EngineRefused, or NotNow."""

    def kill(self, where: Where) -> None: ...

    def log(self, where: Where, lines: int) -> str: ...


class OwnHands:
    """Over connections of this process. `runner` raises KeyError for a node that there is not."""

    def __init__(self, cluster: str, runner: Callable[[str], Runner]) -> None:
        self._cluster = cluster
        self._runner = runner

    def kill(self, where: Where) -> None:
        execute(Kill(*where), self._cluster, self._of(where.node))

    def log(self, where: Where, lines: int) -> str:
        return printed(where.node, where.container, self._cluster, self._of(where.node), lines)

    def _of(self, node: str) -> Runner:
        try:
            return self._runner(node)
        except KeyError:
            raise NotFound(f"there is no node {node!r}", "see ./inv nodes") from None


class AskedHands:
    """Those of the loop's process, asked at the socket in the state folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def kill(self, where: Where) -> None:
        self._ask({"kill": list(where)})

    def log(self, where: Where, lines: int) -> str:
        return self._ask({"log": list(where), "lines": lines})

    def _ask(self, question: Mapping[str, object]) -> str:
        try:
            told = local_socket.ask(self._folder, FILE_NAME, json.dumps(question).encode(), SIGN_OF_LIFE, LONGEST_ANSWER)
            answer = json.loads(told or b"{}")
        except (OSError, ValueError) as error:
            raise NotNow(NO_LOOP, "start it: ./inv up reconcile") from error
        if "failure" in answer:
            raise _failed(**answer["failure"])
        if "text" not in answer:
            raise NotNow(NO_LOOP, "see ./inv logs reconciler")
        return str(answer["text"])


def serve(folder: Path, hands: Hands) -> None:
    """Lend the hands to the API of the same cluster."""

    def answer(question: bytes) -> bytes:
        try:
            return json.dumps({"text": _done(hands, json.loads(question))}).encode()
        except DuckconfError as failure:
            node = failure.node if isinstance(failure, NodeFailure) else ""
            message = failure.reason if isinstance(failure, NodeFailure) else failure.message
            kind = next(name for name, known in KINDS.items() if isinstance(failure, known))
            return json.dumps({"failure": {"kind": kind, "node": node, "message": message, "remedy": failure.remedy}}).encode()

    local_socket.serve(folder, FILE_NAME, answer, "the page can kill nothing and read no logs")


KINDS: Mapping[str, type[DuckconfError]] = {
    kind.__name__: kind for kind in (NotFound, NodeFailure, EngineRefused, NotNow, DuckconfError)
}


def _done(hands: Hands, question: Mapping[str, object]) -> str:
    """Raises ValueError for a question that is none."""
    if "kill" in question:
        hands.kill(_where(question["kill"]))
        return ""
    return hands.log(_where(question["log"]), min(int(str(question["lines"])), MOST_LINES))


def _where(told: object) -> Where:
    if not (isinstance(told, list) and len(told) == 2 and all(isinstance(word, str) for word in told)):
        raise ValueError(f"is no container: {told!r}")
    return Where(*told)


def _failed(kind: str, node: str, message: str, remedy: str) -> DuckconfError:
    made = KINDS.get(kind, DuckconfError)
    if made is NodeFailure:
        return NodeFailure(node, message, remedy)
    return EngineRefused(message, remedy, conflict=False) if made is EngineRefused else made(message, remedy)
