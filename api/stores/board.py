"""Questions to agents, and their answers, between several servers: an entry for each, as long as somebody waits."""

from __future__ import annotations

import json
from typing import Any

from api.stores.questions import Questions
from duckconf.reach.nodes.hands import Answer, Question
from duckconf.reach.state.entries import Entries
from duckconf.reach.state.table import News

PART = "questions"
ANSWER = ".answer"


class SharedBoard:
    """Of one server; `questions` are those that are asked or answered here."""

    def __init__(self, entries: Entries, questions: Questions) -> None:
        self._entries = entries
        self._questions = questions
        self._nodes: dict[str, str] = {}
        entries.follow(self._see)

    def ask(self, node: str, number: str, question: Question) -> None:
        self._entries.change(lambda _: {number: json.dumps({"node": node, "question": question})})

    def answer(self, number: str, told: Answer) -> None:
        self._entries.change(lambda reading: {number + ANSWER: json.dumps(told)} if reading.get(number) is not None else {})

    def take_down(self, number: str) -> None:
        self._entries.change(lambda reading: {name: None for name in (number, number + ANSWER) if reading.get(name) is not None})

    def _see(self, news: News) -> None:
        for name, item in news.items.items():
            number = name.removesuffix(ANSWER)
            if number == name:
                self._see_question(number, json.loads(item.text) if item is not None else None)
            elif item is not None:
                self._questions.hear(number, json.loads(item.text))

    def _see_question(self, number: str, told: Any) -> None:
        if told is not None:
            self._nodes[number] = told["node"]
            self._questions.hang(told["node"], number, told["question"])
        elif (node := self._nodes.pop(number, "")) != "":
            self._questions.take_down(node, number)
