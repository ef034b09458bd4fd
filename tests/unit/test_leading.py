"""A lease among candidates that freeze, wake, stop and ask over different servers: at any time at most one acts, what is written
never goes back a term, and in the end one leads."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duckconf.errors import BadInput, PreconditionFailed
from duckconf.leading import (
    LEASE,
    RENEW,
    Candidate,
    Lead,
    Lease,
    Standing,
    Term,
    asked,
    leaders_told,
    let_go,
    read_term,
    require_newest,
    term_text,
)

NAME = "scheduler"
CANDIDATES = 3
SERVERS = 2


@dataclass
class World:
    """Real time moves in `tick`. Each server has a clock that is hours off, and sees the lease when `see` lets it."""

    now: float = 0.0
    lease: Lease = field(default_factory=Lease)
    seen: list[tuple[Lease, float]] = field(default_factory=lambda: [(Lease(), 0.0)] * SERVERS)
    leads: list[Lead] = field(default_factory=lambda: [Lead()] * CANDIDATES)
    written: list[int] = field(default_factory=list)

    def see(self, server: int) -> None:
        if self.seen[server][0] != self.lease:
            self.seen[server] = (self.lease, self.clock(server))

    def clock(self, server: int) -> float:
        return self.now + 3600 * server

    def ask(self, one: int, server: int, delay: float) -> None:
        """It takes `delay` until the server decides. What it knows may be old: then nothing is written (a compare fails)."""
        begun, lead = self.now, self.leads[one]
        self.now += delay
        before, since = self.seen[server]
        if before != self.lease:
            return
        term = 0 if lead.is_over(begun) else lead.term
        try:
            after = asked(NAME, before, Candidate(f"host-{one}", f"p{one}", term), self.clock(server) - since)
        except PreconditionFailed:
            self.leads[one] = Lead()
            return
        self.lease = after
        self.see(server)
        self.leads[one] = Lead(after.term, begun) if after.process == f"p{one}" else Lead()

    def write(self, one: int) -> None:
        """Also by one that is not allowed to any more: it was frozen after it had looked."""
        lead = self.leads[one]
        if lead.term:
            try:
                require_newest(NAME, self.lease, Term(lead.term, f"p{one}"))
            except PreconditionFailed:
                return
            self.written.append(lead.term)

    def acting(self) -> list[int]:
        return [one for one, lead in enumerate(self.leads) if lead.standing(self.now) == Standing.LEADER]


ONE = st.integers(0, CANDIDATES - 1)
SERVER = st.integers(0, SERVERS - 1)
STEP = st.one_of(
    st.tuples(st.just("tick"), st.floats(0.1, 2 * LEASE)),
    st.tuples(st.just("ask"), ONE, SERVER, st.floats(0.0, LEASE)),
    st.tuples(st.just("see"), SERVER),
    st.tuples(st.just("stop"), ONE),
    st.tuples(st.just("write"), ONE),
)


def do(world: World, step: tuple[object, ...]) -> None:
    match step:
        case ("tick", float(seconds)):
            world.now += seconds
        case ("ask", int(one), int(server), float(delay)):
            world.ask(one, server, delay)
        case ("see", int(server)):
            world.see(server)
        case ("stop", int(one)):
            world.lease, world.leads[one] = let_go(world.lease, f"p{one}"), Lead()
        case ("write", int(one)):
            world.write(one)


@settings(max_examples=300)
@given(st.lists(STEP, max_size=60))
def test_at_most_one_acts_and_what_is_written_never_goes_back_a_term(steps: list[tuple[object, ...]]) -> None:
    world = World()
    for step in steps:
        term = world.lease.term
        do(world, step)
        assert len(world.acting()) <= 1
        assert world.lease.term - term in (0, 1)
    assert world.written == sorted(world.written)


@given(st.lists(STEP, max_size=40), ONE)
def test_when_the_others_have_stopped_answering_one_leads_within_a_lease(steps: list[tuple[object, ...]], last: int) -> None:
    world = World()
    for step in steps:
        do(world, step)
    world.see(0)
    world.now += LEASE + 0.01
    world.ask(last, 0, 0.0)
    assert world.acting() == [last]
    for _ in range(10):
        world.now += world.leads[last].due(world.now)
        world.ask(last, 0, RENEW)
        assert world.acting() == [last]


def test_what_is_let_go_is_taken_at_once_and_a_new_process_follows_the_earlier_one_on_its_host() -> None:
    held = asked(NAME, Lease(), Candidate("one", "p"), 0.0)
    assert (held.term, held.who) == (1, "one")
    assert asked(NAME, held, Candidate("two", "q"), LEASE - 0.01) == held
    assert asked(NAME, held, Candidate("two", "q"), LEASE).key == (2, "q")
    assert asked(NAME, let_go(held, "p"), Candidate("two", "q"), 0.0).key == (2, "q")
    assert let_go(held, "another") == held
    assert asked(NAME, held, Candidate("one", "q", begun=True), 0.0).key == (2, "q")
    assert asked(NAME, held, Candidate("one", "q"), 0.0) == held
    assert asked(NAME, held, Candidate("two", "q", begun=True), 0.0) == held


def test_who_got_no_answer_stops_before_the_lease_ends_and_asks_for_it_anew_when_it_has() -> None:
    lead = Lead(7, 100.0)
    assert lead.due(100.5) == RENEW - 0.5
    assert [lead.standing(100 + age) for age in (0, RENEW, LEASE - 0.6)] == [Standing.LEADER] * 3
    assert lead.standing(100 + LEASE - 0.4) == Standing.UNSURE
    assert (lead.is_over(100 + LEASE - 0.4), lead.is_over(100 + LEASE)) == (False, True)
    assert Lead().standing(0.0) == Standing.FOLLOWER


def test_a_write_of_a_term_that_is_over_is_refused_with_who_leads_now() -> None:
    lease = Lease(8, "two", "q")
    for term in (Term(7, "p"), Term(8, "p"), Term(9, "q")):
        with pytest.raises(PreconditionFailed, match=rf"term {term.number} of scheduler is over: two leads in term 8 \(nothing"):
            require_newest(NAME, lease, term)
    with pytest.raises(PreconditionFailed, match="nobody leads now"):
        require_newest(NAME, let_go(lease, "q"), Term(8, "q"))
    require_newest(NAME, lease, Term(8, "q"))


def test_a_term_is_read_as_it_is_written() -> None:
    assert read_term(term_text(NAME, Term(7, "a"))) == (NAME, Term(7, "a"))
    for wrong in ("", "scheduler", "scheduler/7", "scheduler/x/a", "web/7/a", "scheduler/-1/a"):
        with pytest.raises(BadInput, match="should be such as scheduler/7/3fa9c2"):
            read_term(wrong)


def test_people_are_told_who_leads_and_when_it_has_gone_silent() -> None:
    led = {"who": "control-1", "term": 7, "age": 1.0}
    told = {"scheduler": led, "node-controller": {"who": "", "term": 2, "age": 9.0}}
    assert leaders_told(told) == "scheduler: control-1 leads (term 7), node-controller: nobody leads"
    assert leaders_told({"scheduler": {**led, "age": 9.2}}) == "scheduler: control-1 leads (term 7), silent for 9 s"
