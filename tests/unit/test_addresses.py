"""Which server a client asks: evenly spread, never one that failed while another has not, and its own again in the end."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckconf.addresses import (
    LONGEST_WAIT,
    QUIET,
    SPREAD,
    Standing,
    after_answer,
    after_failure,
    after_sign,
    choose,
    own_order,
    split,
    spread,
    to_ask,
    to_try_again,
)

THREE = ("http://a:1", "http://b:1", "http://c:1")
STEPS = st.lists(st.tuples(st.sampled_from(("fails", "sign", "answers")), st.sampled_from(THREE), st.floats(0, 100)), max_size=40)
CHANCE = st.floats(0, 1)


def lived(steps: list[tuple[str, str, float]]) -> tuple[Standing, float]:
    """A standing after these events, and the time then."""
    standing, now = Standing(THREE), 0.0
    for what, address, later in steps:
        now += later
        if what == "fails":
            standing = after_failure(standing, address, now, later / 100)
        else:
            standing = (after_sign if what == "sign" else after_answer)(standing, address)
    return standing, now


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("http://a:1", ("http://a:1",)),
        ("http://a:1/, http://b:1,http://a:1", ("http://a:1", "http://b:1")),
        ("http://a:1,", ("http://a:1",)),
        ("nonsense", ("nonsense",)),
        (",", (",",)),
    ],
)
def test_a_setting_has_one_address_or_several(text: str, addresses: tuple[str, ...]) -> None:
    assert split(text) == addresses


def test_a_thousand_agents_spread_evenly_and_so_do_those_of_a_server_that_is_gone() -> None:
    orders = [own_order(THREE, f"node-{number}") for number in range(1000)]
    firsts = Counter(order[0] for order in orders)
    assert min(firsts.values()) > 280
    seconds = Counter(order[1] for order in orders if order[0] == THREE[0])
    assert min(seconds[THREE[1]], seconds[THREE[2]]) > 130


@given(st.permutations(THREE), st.text(min_size=1, max_size=8))
def test_an_own_order_does_not_hang_on_how_the_addresses_are_sorted_nor_on_others(addresses: list[str], name: str) -> None:
    order = own_order(addresses, name)
    assert order == own_order(THREE, name)
    assert own_order(addresses[:2], name) == tuple(address for address in order if address in addresses[:2])
    assert own_order(addresses, "") == tuple(addresses)


@given(STEPS, st.sets(st.sampled_from(THREE), max_size=2))
def test_the_first_that_has_not_failed_is_asked_and_there_is_always_one(
    steps: list[tuple[str, str, float]], passed: set[str]
) -> None:
    standing, _ = lived(steps)
    chosen = choose(standing, passed)
    left = [address for address in THREE if address not in passed]
    well = [address for address in left if address not in standing.not_before]
    assert chosen == (well[0] if well else min(left, key=lambda address: standing.not_before[address]))


@given(STEPS, CHANCE)
def test_a_failure_moves_to_another_while_there_is_one_and_counts_once(
    steps: list[tuple[str, str, float]], chance: float
) -> None:
    standing, now = lived(steps)
    at = choose(standing)
    failed = after_failure(standing, at, now, chance)
    assert at in failed.not_before
    assert after_failure(failed, at, now, chance) == failed
    if any(address not in failed.not_before for address in THREE):
        assert choose(failed) != at


@given(STEPS)
def test_one_that_is_back_is_tried_in_time_and_used_again(steps: list[tuple[str, str, float]]) -> None:
    standing, now = lived(steps)
    standing = after_answer(standing, THREE[2])
    later = now + LONGEST_WAIT + 1
    assert to_try_again(standing, later) == list(THREE[: THREE.index(choose(standing))])
    for address in to_try_again(standing, later):
        standing = after_answer(after_sign(standing, address), address)
    assert (choose(standing), to_try_again(standing, later)) == (THREE[0], [])


@given(CHANCE)
def test_one_that_says_that_it_is_there_and_fails_again_is_tried_less_and_less_often(chance: float) -> None:
    standing, now, waits = Standing(THREE), 0.0, []
    for _ in range(10):
        standing = after_failure(standing, THREE[0], now, chance)
        assert to_try_again(standing, now) == []
        waits.append(standing.not_before[THREE[0]] - now)
        now += waits[-1] + 0.001
        assert to_try_again(standing, now) == [THREE[0]]
        standing = after_sign(standing, THREE[0])
    assert [round(wait, 3) for wait in waits] == sorted(round(wait, 3) for wait in waits)
    assert waits[0] >= 0.5
    assert LONGEST_WAIT / 2 <= round(waits[-1], 3) <= LONGEST_WAIT


def test_one_address_is_asked_whatever_happens() -> None:
    alone = Standing(THREE[:1])
    failed = after_failure(alone, THREE[0], 5.0, 0.5)
    assert (choose(failed), to_try_again(failed, 1000.0)) == (THREE[0], [])


def test_a_server_that_owes_an_answer_and_gives_no_sign_is_asked() -> None:
    waiting = {"silent": 10.0, "slow": 10.0, "new": 12.0 - QUIET / 2}
    assert to_ask(waiting, {"slow": 11.9, "silent": 9.0}, 12.0) == ["silent"]


@given(CHANCE)
def test_the_change_takes_a_moment_of_its_own(chance: float) -> None:
    assert 0 <= spread(chance) <= SPREAD
