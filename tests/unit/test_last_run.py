"""The last output of a container is that of its last run."""

from __future__ import annotations

import pytest

from duckconf.command import Command, Completed
from duckconf.last_run import once, since
from duckconf.reach.nodes.actuator import last_words


@pytest.mark.parametrize(
    ("started", "moment"),
    [
        ('"2026-01-31T10:00:00.500000001Z"\n', "2026-01-31T10:00:00.400000Z"),
        ('"2026-01-31T12:00:00+02:00"', "2026-01-31T09:59:59.900000Z"),
        ('"0001-01-01T00:00:00Z"', ""),
        ("", ""),
        ("no such container", ""),
    ],
)
def test_its_log_begins_a_moment_before_the_start_that_the_engine_notes(started: str, moment: str) -> None:
    assert since(started) == moment


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ""),
        ("a  b\n", "a b"),
        ("no database\nno database\n", "no database"),
        ("b\na\nb\na\nb\n", "a b"),
        ("a\nb\nb\n", "a b b"),
    ],
)
def test_what_two_runs_of_one_second_say_alike_is_told_once(text: str, told: str) -> None:
    assert once(text) == told


class Node:
    """An engine that has these lines in all, and these since the start."""

    def __init__(self, whole: str, last: str, started: str = '"2026-01-31T10:00:00Z"') -> None:
        self._told = {False: whole, True: last}
        self._started = started

    def run(self, command: Command) -> Completed:
        if "logs" not in command.argv:
            return Completed(0, self._started, "")
        return Completed(0, self._told[any(word.startswith("--since=") for word in command.argv)], "")


def test_only_the_last_run_is_told_and_rather_too_much_than_nothing() -> None:
    assert last_words("c", Node("one\ntwo\n", "two\n")) == "two"
    assert last_words("c", Node("one\n", "")) == "one"
    assert last_words("c", Node("one\n", "never asked", started="")) == "one"
