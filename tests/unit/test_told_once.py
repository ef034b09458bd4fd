"""What fails again and again for one reason is one event, until it succeeds, changes, or is declared anew."""

from __future__ import annotations

from dataclasses import replace

from controllers.teller import MOST_FAILURES, Teller
from duckconf.actions import Action, Remove, Start
from duckconf.desired import Desired
from duckconf.errors import DuckconfError, EngineRefused
from duckconf.events import Event
from duckconf.instance import instances_of
from duckconf.model import App
from duckconf.plan import Step

WEB = App("nginx", "web")
START = Start("n1", "c", WEB)


class Telling:
    def __init__(self) -> None:
        self.told: list[Event] = []
        self.teller = Teller(self.told.append, lambda *_: None)

    def ends(self, words: str = "", action: Action = START) -> int:
        """How many events there are after a step that ended so."""
        failure: DuckconfError | None = EngineRefused(words, conflict=False) if words else None
        self.teller.tell_of_step(Step("web", action, "why"), failure, 0.1)
        return len(self.told)


def test_a_failure_is_told_when_its_reason_changes_and_again_after_a_success() -> None:
    telling = Telling()
    assert [telling.ends(words) for words in ("no such image", "no such image", "disk full", "disk full", "no such image")] == [
        1,
        1,
        2,
        2,
        3,
    ]
    assert [telling.ends(), telling.ends("no such image")] == [4, 5]


def test_ids_in_the_words_of_the_engine_make_no_other_reason_and_another_spec_does() -> None:
    telling = Telling()
    assert [telling.ends(f"cannot start {digit * 64}") for digit in "abc"] == [1, 1, 1]
    assert telling.ends(f"cannot start {'a' * 64}", replace(START, app=replace(WEB, env={"A": "1"}))) == 2
    assert telling.ends(f"cannot start {'a' * 64}", replace(START, node="n2")) == 3


def test_an_app_that_is_declared_anew_begins_anew_and_a_removal_that_fails_does_not() -> None:
    telling = Telling()
    remove = Remove("n1", "old")
    assert [telling.ends("no such image"), telling.ends("busy", remove)] == [1, 2]
    telling.teller.forget_failures(Desired(instances_of([WEB])))
    assert telling.ends("no such image") == 2
    telling.teller.forget_failures(Desired({}, complete=False))
    assert telling.ends("no such image") == 2
    telling.teller.forget_failures(Desired({}))
    assert [telling.ends("busy", remove), telling.ends("no such image")] == [2, 3]


def test_not_more_is_remembered_than_somebody_would_read() -> None:
    telling = Telling()
    for number in range(MOST_FAILURES + 5):
        telling.ends("busy", Remove("n1", f"c{number}"))
    telling.teller.forget_failures(Desired({}))
    assert len(telling.teller._failures) == MOST_FAILURES
