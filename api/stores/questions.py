"""What a person asks of a node's agent in agents mode: the API has no way to a node, so the agent comes for it.

It is told with what the node should run, at once, as a change is. Nothing of it is kept: who asks waits for the answer.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Optional, Protocol

from api.held import HeldRequests
from api.problems import BadRequest
from api.stores.nodes import READY, NodeBook
from duckconf.errors import NodeFailure, NotFound, NotNow
from duckconf.reach.nodes.hands import Answer, Question

# Seconds: longer than what the agent's own deadline takes.
ANSWERED_WITHIN = 20.0
ID_BYTES = 8


class Board(Protocol):
    """Where questions hang for agents that ask another server, and their answers for who waits here. All raise NotNow."""

    def ask(self, node: str, number: str, question: Question) -> None: ...

    def answer(self, number: str, told: Answer) -> None: ...

    def take_down(self, number: str) -> None: ...


class Questions:
    """Those that are open. `wake` makes the agent of a node look; `held` bounds how many wait at once."""

    def __init__(self, nodes: NodeBook, wake: Callable[[str], None], held: HeldRequests, within: float = ANSWERED_WITHIN) -> None:
        self._nodes = nodes
        self._wake = wake
        self._held = held
        self._within = within
        self._news = threading.Condition()
        self._open: dict[str, dict[str, Question]] = {}
        self._answers: dict[str, Answer] = {}
        self._waiting: set[str] = set()
        self.board: Optional[Board] = None
        """Of a server that is alone, none."""

    def ask(self, node: str, question: Question) -> Answer:
        """Raises NotFound for a node that there is not, NodeFailure for one that sends no heartbeat, NotNow without an answer."""
        if node not in self._nodes.nodes:
            raise NotFound(f"there is no node {node!r}", "see ./inv nodes")
        if (status := self._nodes.status(node)) != READY:
            raise NodeFailure(node, f"is {status}: its agent was last heard {self._nodes.age(node):.0f} s ago", "see ./inv nodes")
        number = secrets.token_hex(ID_BYTES)
        with self._held.up_to(self._within) as allowed:
            if not allowed:
                raise NotNow("too many requests wait for an answer now", "ask again in a moment")
            self._waiting.add(number)
            try:
                return self._answer_to(node, number, question, allowed)
            finally:
                self._waiting.discard(number)
                self.take_down(node, number)
                if self.board is not None:
                    self.board.take_down(number)

    def _answer_to(self, node: str, number: str, question: Question, seconds: float) -> Answer:
        self.hang(node, number, question)
        if self.board is not None:
            self.board.ask(node, number, question)
        with self._news:
            if not self._news.wait_for(lambda: number in self._answers, seconds):
                raise NotNow(f"the agent of {node} did not answer within {seconds:g} s", "an older agent cannot: ./inv up agents")
            return self._answers[number]

    def hang(self, node: str, number: str, question: Question) -> None:
        """Have the agent of the node told of it, if it asks here."""
        with self._news:
            self._open.setdefault(node, {})[number] = question
        self._wake(node)

    def take_down(self, node: str, number: str) -> None:
        with self._news:
            self._open.get(node, {}).pop(number, None)
            self._answers.pop(number, None)

    def hear(self, number: str, told: Answer) -> None:
        """It was answered, here or at another server."""
        with self._news:
            if number in self._waiting:
                self._answers[number] = told
                self._news.notify_all()

    def of(self, node: str) -> list[dict[str, Any]]:
        """As the agent of the node is told of them."""
        with self._news:
            return [{"id": number, **question} for number, question in self._open.get(node, {}).items()]

    def answer(self, node: str, number: str, told: Answer) -> None:
        """Raises BadRequest for one that nobody waits for any more."""
        with self._news:
            if number not in self._open.get(node, {}):
                raise BadRequest(HTTPStatus.NOT_FOUND, f"nobody waits for an answer {number!r} of {node}")
            here = number in self._waiting
        if here or self.board is None:
            self.hear(number, told)
        else:
            self.board.answer(number, told)
