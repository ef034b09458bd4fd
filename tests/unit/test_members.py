"""Members of etcd come and go one at a time, and no step loses the majority."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckconf.members import (
    Add,
    Begin,
    Done,
    Member,
    Promote,
    Refused,
    Remove,
    Seen,
    Start,
    majority,
    may_fail,
    next_step,
    outlook,
    voters,
)

HOSTS = ("a", "b", "c", "d", "e", "f", "g")
OLD = (3, 3, 25)


def wanted(*names: str) -> dict[str, str]:
    return {name: f"{name}.example" for name in names}


def member(name: str, *, well: bool = True, learner: bool = False, leader: bool = False) -> Member:
    return Member(ord(name[0]), name, f"{name}.example", well, learner, leader)


@dataclass
class World:
    """Hosts, and the cluster as etcd would have it after each step."""

    members: list[Member]
    away: set[str] = field(default_factory=set)
    bare: set[str] = field(default_factory=set)
    version: tuple[int, ...] = (3, 5, 16)
    next_id: int = 1000

    def seen(self) -> Seen:
        return Seen(tuple(self.members), frozenset(self.bare), frozenset(self.away), self.version)

    def take(self, step: object, hosts: dict[str, str]) -> None:
        if isinstance(step, Begin):
            self.members = [Member(number, name, address, True) for number, (name, address) in enumerate(hosts.items())]
            self.bare -= set(hosts)
        elif isinstance(step, Add):
            self.next_id += 1
            self.members.append(Member(self.next_id, "", hosts[step.host], False, step.learner))
        elif isinstance(step, Start):
            self._become(step.host, hosts)
        elif isinstance(step, Promote):
            assert step.member.well
            self.members = [replace(one, learner=False) if one == step.member else one for one in self.members]
        elif isinstance(step, Remove):
            self.members.remove(step.member)

    def _become(self, host: str, hosts: dict[str, str]) -> None:
        assert host not in self.away
        self.members = [
            replace(one, name=host, well=True) if not one.name and one.address == hosts[host] else one for one in self.members
        ]
        self.bare.discard(host)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[World, dict[str, str]]:
    names = draw(st.sets(st.sampled_from(HOSTS), max_size=5))
    hosts = wanted(*draw(st.permutations(HOSTS))[: draw(st.integers(1, 5))])
    members: list[Member] = []
    for name in sorted(names):
        well = draw(st.booleans())
        moved = draw(st.integers(0, 5)) == 0
        one = member(name, well=well)
        members.append(replace(one, address="elsewhere.example") if moved else one)
    if members and bool(draw(st.sampled_from((True, False)))):
        name = draw(st.sampled_from([name for name in HOSTS if name not in names]))
        begun = draw(st.booleans())
        members.append(replace(member(name, well=begun and draw(st.booleans()), learner=True), name=name if begun else ""))
    well_ones = {one.name for one in members if one.well}
    bare = {name for name in HOSTS if name not in well_ones and draw(st.booleans())}
    away = {name for name in HOSTS if name not in well_ones | bare and draw(st.booleans())}
    return World(members, away, bare, draw(st.sampled_from([OLD, (3, 4, 23), (3, 5, 16)]))), hosts


@given(worlds())
def test_no_step_loses_the_majority_and_never_two_come_or_go_at_once(drawn: tuple[World, dict[str, str]]) -> None:
    world, hosts = drawn
    for _ in range(40):
        before = list(world.members)
        step = next_step(hosts, world.seen())
        if isinstance(step, (Done, Refused)):
            break
        world.take(step, hosts)
        if isinstance(step, Begin):
            continue
        assert may_fail(before) >= 0
        assert may_fail(world.members) >= 0
        assert len(voters(world.members)) - len(voters(before)) in (-1, 0, 1)
        assert len([one for one in world.members if one.learner or not one.name]) <= max(
            1, len([one for one in before if one.learner or not one.name])
        )
    else:
        pytest.fail("it never comes to an end")
    if isinstance(step, Done):
        assert {one.name for one in world.members} == set(hosts)
        assert not any(one.learner for one in world.members)


@given(worlds())
def test_it_comes_to_the_wanted_members_when_all_answer(drawn: tuple[World, dict[str, str]]) -> None:
    world, hosts = drawn
    world = World([replace(one, well=bool(one.name)) for one in world.members if one.address != "elsewhere.example"])
    world.bare = set(HOSTS) - {one.name for one in world.members}
    for _ in range(40):
        step = next_step(hosts, world.seen())
        if isinstance(step, (Done, Refused)):
            break
        world.take(step, hosts)
    if len(hosts) % 2 == 0:
        assert isinstance(step, Refused)
        assert "survive" in step.reason
    elif any(one.name for one in world.members if not one.learner):
        assert isinstance(step, Done)


@given(worlds())
def test_a_step_does_not_depend_on_the_order_of_what_was_seen(drawn: tuple[World, dict[str, str]]) -> None:
    world, hosts = drawn
    seen = world.seen()
    other = next_step(dict(reversed(hosts.items())), replace(seen, members=tuple(reversed(seen.members))))
    assert other == next_step(hosts, seen)


@given(worlds())
def test_a_refusal_says_what_to_do(drawn: tuple[World, dict[str, str]]) -> None:
    world, hosts = drawn
    step = next_step(hosts, world.seen())
    if isinstance(step, Refused):
        assert step.reason
        assert step.remedy


def test_a_lost_machine_is_replaced_by_another_one() -> None:
    world = World([member("a", leader=True), member("b"), member("c", well=False)], bare={"d"}, away={"c"})
    hosts, told = wanted("a", "b", "d"), []
    while not isinstance(step := next_step(hosts, world.seen()), Done):
        told.append(type(step).__name__)
        world.take(step, hosts)
    assert told == ["Remove", "Add", "Start", "Promote"]


def test_a_machine_that_is_well_is_replaced_by_one_more_first_and_the_leader_last() -> None:
    world = World([member("a", leader=True), member("b"), member("c")], bare={"d", "e"})
    hosts, told = wanted("c", "d", "e"), []
    while not isinstance(step := next_step(hosts, world.seen()), Done):
        told.append(step.member.name if isinstance(step, Remove) else type(step).__name__)
        world.take(step, hosts)
    assert told == ["Add", "Start", "Promote", "Add", "Start", "Promote", "b", "a"]


def test_a_host_that_lost_its_data_comes_back_as_a_new_member() -> None:
    step = next_step(wanted("a", "b", "c"), Seen((member("a"), member("b"), member("c", well=False)), {"c"}))
    assert step == Remove(member("c", well=False), "it has lost its data")


def test_a_host_that_only_does_not_answer_stays_a_member() -> None:
    assert next_step(wanted("a", "b", "c"), Seen((member("a"), member("b"), member("c", well=False)), (), {"c"})) == Done()


@pytest.mark.parametrize(
    ("hosts", "seen", "words"),
    [
        ("ab", Seen(), "survive 0 failures, as 1 do"),
        ("abc", Seen((), "ab", "c"), "c cannot be reached, so that it is not known whether there is a cluster"),
        ("abc", Seen((), "ab"), "no member of etcd answers, and c has data of one"),
        (
            "abc",
            Seen((member("a"), member("b", well=False), member("c", well=False))),
            "b, c of 3 members of etcd do not answer: 1 of 3 are no majority",
        ),
        ("abc", Seen((member("a"),), "b", "c", OLD), "counts a new member before it has begun: 1 of 2 would be no majority"),
        ("abd", Seen((member("a"), member("b"), member("c")), (), "d"), "d should be a member of etcd, and cannot be reached"),
        ("a", Seen((member("a", well=False), member("b"), member("c"))), "b cannot be removed"),
    ],
)
def test_an_unsafe_step_is_refused_with_the_reason(hosts: str, seen: Seen, words: str) -> None:
    step = next_step(wanted(*hosts), seen)
    assert isinstance(step, Refused)
    assert words in step.reason


@pytest.mark.parametrize(
    ("answering", "words", "remedy"),
    [
        ("a", "b, c of 3 members of etcd do not answer: 1 of 3 are no majority", "bring back 1 of them"),
        ("", "a, b, c of 3 members of etcd do not answer: 0 of 3 are no majority", "bring back 2 of them"),
        ("ab", "2 of 3 members of etcd answer, and follow no common leader", "reach each other on port 2380"),
    ],
)
def test_one_that_answers_and_knows_no_leader_need_not_be_brought_back(answering: str, words: str, remedy: str) -> None:
    lost = tuple(replace(member(name, well=False), answers=name in answering) for name in "abc")
    step = next_step(wanted(*"abc"), Seen(lost))
    assert isinstance(step, Refused)
    assert words in step.reason
    assert remedy in step.remedy


def test_what_one_more_failure_costs() -> None:
    assert [majority(number) for number in (1, 2, 3, 4, 5)] == [1, 2, 2, 3, 3]
    three = [member("a"), member("b"), member("c")]
    assert outlook(three) == "1 more member may fail, and nothing is lost"
    assert outlook([*three[:2], member("c", well=False)]).startswith("if one more fails, nothing can be written")
    assert outlook([three[0], member("b", well=False), member("c", well=False)]).startswith("no majority")
    # A learner is no part of it.
    assert may_fail([*three, member("d", well=False, learner=True)]) == 1
