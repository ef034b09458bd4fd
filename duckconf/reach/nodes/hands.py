"""What a person does to one container from the page: end its process on purpose, and read what it printed last.

Who reaches the node does it: the API of push mode itself, in reconcile mode the loop, which is asked at a socket, and in agents
mode the agent of the node, which is asked with what it should run. The code is that of the tasks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from duckconf.actions import Kill
from duckconf.command import Runner
from duckconf.errors import Conflict, DuckconfError, EngineRefused, NodeFailure, NotFound, NotNow
from duckconf.reach.nodes.actuator import execute, printed
from duckconf.reach.state import local_socket

FILE_NAME = "hands.sock"
# Seconds. The longest is a node's own deadline and some more.
SIGN_OF_LIFE = 1.0
LONGEST_ANSWER = 30.0
MOST_LINES = 1000
MOST_TEXT = 250_000
NO_LOOP = "the control loop, which holds the connections to the nodes, does not answer"


Question = Mapping[str, object]
Answer = Mapping[str, Any]
Ask = Callable[[str, Question], Answer]
"""Takes the question to the node. Raises NotNow, NotFound or NodeFailure when there is no answer."""


class Where(NamedTuple):
    """A container and its node."""

    node: str
    container: str


class Hands(Protocol):
    """Both raise NotFound for a container that is not ours, NodeFailure, EngineRefused, or NotNow, `kill` also Conflict for one
    that has ended."""

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
    """Those of another process."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def kill(self, where: Where) -> None:
        self._told(where, {"kill": list(where)})

    def log(self, where: Where, lines: int) -> str:
        return self._told(where, {"log": list(where), "lines": lines})

    def _told(self, where: Where, question: Question) -> str:
        answer = self._ask(where.node, question)
        if "failure" in answer:
            raise _failed(**answer["failure"])
        return str(answer["text"])


def answered(hands: Hands, question: Question) -> Answer:
    """What became of it, as `AskedHands` takes it. Raises ValueError for a question that is none."""
    try:
        return {"text": _done(hands, question)}
    except DuckconfError as failure:
        node = failure.node if isinstance(failure, NodeFailure) else ""
        message = failure.reason if isinstance(failure, NodeFailure) else failure.message
        kind = next(name for name, known in KINDS.items() if isinstance(failure, known))
        return {"failure": {"kind": kind, "node": node, "message": message, "remedy": failure.remedy}}


def at_socket(folder: Path) -> Ask:
    """Asks the loop of the cluster whose state lies in the folder."""

    def ask(_: str, question: Question) -> Answer:
        try:
            told = local_socket.ask(folder, FILE_NAME, json.dumps(question).encode(), SIGN_OF_LIFE, LONGEST_ANSWER)
            answer: Answer = json.loads(told or b"{}")
        except (OSError, ValueError) as error:
            raise NotNow(NO_LOOP, "start it: ./inv up reconcile") from error
        if not answer:
            raise NotNow(NO_LOOP, "see ./inv logs reconciler")
        return answer

    return ask


def serve(folder: Path, hands: Hands) -> None:
    """Lend the hands to the API of the same cluster."""

    def answer(question: bytes) -> bytes:
        return json.dumps(answered(hands, json.loads(question))).encode()

    local_socket.serve(folder, FILE_NAME, answer, "the page can kill nothing and read no logs")


KINDS: Mapping[str, type[DuckconfError]] = {
    kind.__name__: kind for kind in (NotFound, NodeFailure, EngineRefused, Conflict, NotNow, DuckconfError)
}


def _done(hands: Hands, question: Question) -> str:
    """Raises ValueError for a question that is none."""
    if "kill" in question:
        hands.kill(_where(question["kill"]))
        return ""
    if "log" in question:
        return hands.log(_where(question["log"]), min(int(str(question.get("lines"))), MOST_LINES))[-MOST_TEXT:]
    raise ValueError(f"is no question: {question!r}")


def _where(told: object) -> Where:
    if not (isinstance(told, list) and len(told) == 2 and all(isinstance(word, str) for word in told)):
        raise ValueError(f"is no container: {told!r}")
    return Where(*told)


def _failed(kind: str, node: str, message: str, remedy: str) -> DuckconfError:
    made = KINDS.get(kind, DuckconfError)
    if made is NodeFailure:
        return NodeFailure(node, message, remedy)
    return EngineRefused(message, remedy, conflict=False) if made is EngineRefused else made(message, remedy)
