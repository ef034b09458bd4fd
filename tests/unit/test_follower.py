"""A slow or failing source of the inventory holds nobody up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from duckconf.errors import SetupError
from duckconf.inventory import Host, Inventory
from duckconf.reach.inventory import follower
from duckconf.reach.inventory.follower import InventoryFollower
from tests.waiting import until

ONE = Inventory({"a": Host("a", "192.0.2.1")}, ("a",))
TWO = Inventory({"b": Host("b", "192.0.2.2")}, ("b",))


class Source:
    """Answers at once the first time, and afterwards as `answer` says."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: Callable[[], Inventory] = lambda: ONE

    def __call__(self) -> Inventory:
        self.asked += 1
        return self.answer()


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.setattr(follower, "LOOK_AGAIN", 0.0)
    monkeypatch.setattr(follower, "TIMES_LONGER", 0.0)
    return Source()


def test_a_slow_source_is_not_waited_for_and_its_answer_wakes_the_loop(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "SLOW", 0.1)
    woken, go = threading.Event(), threading.Event()
    follows = InventoryFollower(Path("x"), Path(), woken.set, source)

    def slowly() -> Inventory:
        go.wait(10)
        return TWO

    source.answer = slowly
    begun = time.monotonic()
    assert [follows.current() for _ in range(3)] == [ONE, ONE, ONE]
    assert time.monotonic() - begun < 5
    until("it is told", lambda: "has not answered within" in follows.trouble)
    assert source.asked == 2
    go.set()
    assert woken.wait(10)
    until("the new one is there", lambda: follows.current() is TWO)


def test_a_failing_source_is_told_once_with_the_time_of_the_last_good_answer(source: Source) -> None:
    woken: list[str] = []
    follows = InventoryFollower(Path("x"), Path(), lambda: woken.append(follows.trouble), source)

    def fails() -> Inventory:
        raise SetupError("the script ended with code 1")

    source.answer = fails
    until("it has failed several times", lambda: follows.current() is ONE and source.asked > 3)
    assert len(woken) == 1
    assert woken[0].startswith("inventory: the script ended with code 1; going on with the one of ")
    assert follows.trouble == woken[0]
    source.answer = lambda: TWO
    until("it is mended", lambda: follows.current() is TWO and follows.trouble == "")


def test_after_a_slow_look_the_next_one_waits_several_times_as_long() -> None:
    source = Source()

    def slowly() -> Inventory:
        time.sleep(0.4)
        return ONE

    source.answer = slowly
    follows = InventoryFollower(Path("x"), Path(), load=source)
    assert 1.6 <= follows._next - time.monotonic() + 0.1 < 3
