"""What the loop has asked nodes about the images of revisions, and what they answered. Lost with the process, and asked again."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from duckconf.actions import Pin
from duckconf.pins import Key, Question

# Seconds until a node that did not answer, or had nothing to say, is asked again.
AGAIN = 5.0
LATER = 60.0
# Nobody waits for these.
MOST_AT_ONCE = 2


@dataclass
class Images:
    """`learned` are the images of revisions; `absent` are those that a node had nothing of under their name."""

    learned: dict[Key, Pin] = field(default_factory=dict)
    absent: set[Key] = field(default_factory=set)
    _asking: set[Key] = field(default_factory=set)
    _not_before: dict[Question, float] = field(default_factory=dict)

    def to_ask(self, questions: Iterable[Question], more: Iterable[Question], now: float) -> tuple[Question, ...]:
        """Those that are not under way, of `more` a few at once. Each one that is given is to be answered."""
        new = {item.key: item for item in questions if self._may_ask(item, now)}
        room = max(0, MOST_AT_ONCE - len(self._asking) - len(new))
        idle = [item for item in more if item.key not in new and self._may_ask(item, now)]
        new.update({item.key: item for item in idle[:room]})
        self._asking |= new.keys()
        return tuple(new.values())

    def forget(self, apps: Collection[str]) -> None:
        """All but these: one that is declared again later runs what its tag means then."""
        self.learned = {key: pin for key, pin in self.learned.items() if key[0] in apps}
        self.absent = {key for key in self.absent if key[0] in apps}
        self._not_before = {item: when for item, when in self._not_before.items() if item.app in apps}

    def _may_ask(self, question: Question, now: float) -> bool:
        return question.key not in self._asking and self._not_before.get(question, 0.0) <= now

    def learn(self, question: Question, pin: Pin | None, now: float, *, heard: bool) -> None:
        self._asking.discard(question.key)
        if pin is not None:
            self.learned[question.key] = pin
            self.absent.discard(question.key)
        elif heard and not question.container:
            self.absent.add(question.key)
        if pin is None:
            self._not_before[question] = now + (LATER if heard and not question.container else AGAIN)
