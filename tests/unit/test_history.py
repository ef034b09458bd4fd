"""The checker of what clients saw of counters among faults: `benchmarks/history.py`."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as some

from benchmarks.history import UNKNOWN, Operation, contradictions


def write(number: int, begun: float, ended: float = UNKNOWN) -> Operation:
    return Operation("web", number, writes=True, begun=begun, ended=ended)


def read(number: int, begun: float, ended: float) -> Operation:
    return Operation("web", number, writes=False, begun=begun, ended=ended)


WELL = {
    "nothing happened": [],
    "one after the other": [read(1, 0, 1), write(2, 1, 2), read(2, 3, 4), write(3, 4, 5), read(3, 6, 7)],
    "a read beside a write may see it or not": [write(2, 1, 4), read(1, 2, 3), read(2, 2, 3)],
    "a write without an answer was never done": [write(2, 1), write(2, 3, 4), read(2, 5, 6)],
    "a write without an answer was done later": [write(2, 1), read(1, 5, 6), read(2, 5, 7), read(2, 8, 9)],
    "two counters know nothing of each other": [write(2, 1, 2), read(1, 3, 4)._replace(name="db")],
}
WRONG = {
    "a read is older than an acknowledged write": ([write(2, 1, 2), read(1, 3, 4)], "the write of 2 ended 1.00 s"),
    "an acknowledged write was lost and made once more": ([write(2, 1, 2), write(2, 3, 4)], "2 writes of 2 were acknowledged"),
    "a read sees what nobody wrote": ([read(2, 1, 2)], "2 was seen, and nobody wrote it"),
    "a number is left out": ([write(3, 1, 2)], "2 was seen, and nobody wrote it"),
    "a read goes back behind another": ([write(2, 1), read(2, 2, 3), read(1, 4, 5)], "the read of 2 ended"),
    "a read sees what is written later": ([read(2, 1, 2), write(2, 3, 4)], "the read of 2 ended 1.00 s"),
    "a write is acknowledged before the one that it follows": ([write(3, 1, 2), write(2, 3, 4)], "the write of 3 ended"),
}


@pytest.mark.parametrize("history", WELL.values(), ids=WELL)
def test_what_can_have_happened_is_no_contradiction(history: list[Operation]) -> None:
    assert contradictions(history, 1) == []


@pytest.mark.parametrize(("history", "words"), WRONG.values(), ids=WRONG)
def test_what_cannot_have_happened_is_told(history: list[Operation], words: str) -> None:
    (found,) = contradictions(history, 1)
    assert found.startswith("web: ")
    assert words in found


MOMENTS, TAKES = some.integers(0, 7), some.integers(0, 4)
READS = some.builds(lambda number, begun, takes: read(number, begun, begun + takes), some.integers(1, 3), MOMENTS, TAKES)
WRITES = some.builds(
    lambda number, begun, takes: write(number, begun, begun + takes if takes else UNKNOWN), some.integers(2, 3), MOMENTS, TAKES
)


@given(some.lists(READS | WRITES, max_size=5))
def test_it_finds_an_order_where_trying_all_of_them_does(history: list[Operation]) -> None:
    known = [one for one in history if one.ended != UNKNOWN]
    unknown = [one for one in history if one.ended == UNKNOWN]
    done = [part for size in range(len(unknown) + 1) for part in itertools.combinations(unknown, size)]
    orders = itertools.chain.from_iterable(itertools.permutations([*known, *part]) for part in done)
    assert (contradictions(history, 1) == []) == any(map(fits, orders))


def fits(order: tuple[Operation, ...]) -> bool:
    """Whether they can have happened one after the other so, each of them between its begin and its end."""
    number, latest = 1, 0.0
    for one in order:
        latest = max(latest, one.begun)
        if latest > one.ended or one.number != number + one.writes:
            return False
        number = one.number
    return True
