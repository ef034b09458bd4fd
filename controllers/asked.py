"""What a person asks of this node through the api-server, which has no way to a node: done at once, and answered.

A question that was asked of an earlier process of this agent is nobody's any more by the time of the next one.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from controllers.contact import Contact
from duckconf.errors import DuckconfError
from duckconf.reach.api.agent_config import AgentConfig
from duckconf.reach.api.client import path_of
from duckconf.reach.nodes.hands import Answer, Hands, answered

log = logging.getLogger("agent")

# A log that is slow to read holds up nobody who kills.
AT_ONCE = 4
REMEMBERED = 200


class Asked:
    """Each question is told again until it is answered, and is done once."""

    def __init__(self, config: AgentConfig, hands: Hands) -> None:
        self._config = config
        self._hands = hands
        self._known: deque[str] = deque(maxlen=REMEMBERED)
        self._threads = ThreadPoolExecutor(AT_ONCE, "asked")

    def take(self, questions: object) -> None:
        """For one thread. What is no list of questions is passed over."""
        for question in questions if isinstance(questions, list) else ():
            number = question.get("id") if isinstance(question, Mapping) else None
            if isinstance(number, str) and number not in self._known:
                self._known.append(number)
                self._threads.submit(self._answer, number, question)

    def _answer(self, number: str, question: Mapping[str, Any]) -> None:
        try:
            Contact(self._config).call("PUT", path_of("node", self._config.node, "answers", number), self._told(question))
        except DuckconfError as error:
            log.warning("a question could not be answered: %s", error)

    def _told(self, question: Mapping[str, Any]) -> Answer:
        try:
            return answered(self._hands, question)
        except ValueError as error:
            return _failed(f"the agent of {self._config.node} does not know the question: it {error}")
        except Exception as error:
            log.exception("a question failed with an unexpected error")
            return _failed(f"{type(error).__name__}: {error}")


def _failed(message: str) -> Answer:
    return {"failure": {"kind": DuckconfError.__name__, "node": "", "message": message, "remedy": ""}}
