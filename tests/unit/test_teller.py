"""The log of the loop says what is new, and nothing of a node that is only slow in one pass."""

from __future__ import annotations

from controllers.sensed import NOT_YET, Sensed
from controllers.teller import Teller
from duckconf.desired import Desired
from duckconf.plan import Plan


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self._teller = Teller(lambda _: None, lambda _, text: self.lines.append(text))

    def passes(self, **silent: str) -> list[str]:
        """What is new in the log after a pass in which these nodes of two were silent."""
        before = len(self.lines)
        sensed = Sensed({node: (1.0, ()) for node in ("n1", "n2") if node not in silent}, dict(silent), {})
        self._teller.tell_of_nodes(("n1", "n2"), sensed, ())
        self._teller.say(sensed, Desired({}), (), Plan(()), ())
        return self.lines[before:]


def test_a_node_that_is_slow_in_one_pass_is_no_news_and_neither_is_its_answer() -> None:
    log = Log()
    assert log.passes()[0] == "2 of 2 nodes answer, 0 apps running"
    assert log.passes(n1=NOT_YET) == []
    assert log.passes() == []


def test_one_that_has_never_answered_or_does_not_answer_at_all_is_told() -> None:
    log = Log()
    assert f"n1 is unreachable: {NOT_YET}" in log.passes(n1=NOT_YET)
    assert log.passes()
    assert "n1 is unreachable: connection refused" in log.passes(n1="connection refused")
    assert log.passes(n1=NOT_YET) == [], "it is known to be unreachable"
