"""Leases as servers keep them, alone in a file and together in one table: one of many wins, and what is written in a term that is
over changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from duckconf.errors import PreconditionFailed
from duckconf.leading import LEASE, Candidate, Lease, Term
from duckconf.reach.state.entries import Entries, Mirror, OwnEntries
from duckconf.reach.state.file_table import FileTable
from duckconf.reach.state.leases import PART, Leases
from duckconf.reach.state.table import Changes, Table
from tests.waiting import until

NAME = "scheduler"
ONE, TWO = Candidate("one", "p"), Candidate("two", "q")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Server(NamedTuple):
    leases: Leases
    book: Entries
    clock: Clock


Opens = Callable[[], Server]


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Opens]:
    """Opens a server among several over one table."""
    table, mirrors = FileTable(tmp_path / "all.json"), list[Mirror]()

    def opened(table: Table = table) -> Server:
        mirror = Mirror(lambda _: table)
        mirrors.append(mirror)
        clock, leases, book = Clock(), mirror.part(PART), mirror.part("book")
        threading.Thread(target=mirror.run, daemon=True).start()
        return Server(Leases(leases, alone=False, clock=clock), book, clock)

    yield opened
    for mirror in mirrors:
        mirror.close()


@pytest.fixture(params=["alone", "shared"])
def server(request: pytest.FixtureRequest, tmp_path: Path, shared: Opens) -> Server:
    if request.param == "shared":
        return shared()
    clock = Clock()
    leases = Leases(OwnEntries(FileTable(tmp_path / "leases.json")), alone=True, clock=clock)
    return Server(leases, OwnEntries(FileTable(tmp_path / "book.json")), clock)


def renewal(lease: Lease) -> Candidate:
    return Candidate(lease.who, lease.process, lease.term)


def test_a_renewed_lease_is_nobody_elses_and_one_that_is_not_is_taken_over(server: Server) -> None:
    leases, _, clock = server
    held = leases.ask(NAME, ONE)
    for _ in range(4):
        clock.now += LEASE - 0.1
        assert leases.ask(NAME, TWO).key == (1, "p")
        assert leases.ask(NAME, renewal(held)).key == (1, "p")
    clock.now += LEASE
    assert leases.ask(NAME, TWO).key == (2, "q")
    with pytest.raises(PreconditionFailed, match="term 1 of scheduler is over: two leads in term 2"):
        leases.ask(NAME, renewal(held))
    assert leases.seen("node-controller").lease == Lease()


def test_one_who_waits_takes_what_is_let_go_at_once_and_one_who_stops_waits_no_more(server: Server) -> None:
    leases = server.leases
    leases.ask(NAME, ONE)
    with ThreadPoolExecutor(2) as pool:
        waits = pool.submit(leases.ask, NAME, TWO, 1000.0)
        gone = pool.submit(leases.ask, NAME, Candidate("three", "r"), 1000.0)
        until("both wait", lambda: {"q", "r"} <= leases._waiting)
        leases.let_go(NAME, "r")
        assert gone.result(10).process == "p"
        leases.let_go(NAME, "p")
        assert waits.result(10).key == (2, "q")


def test_of_many_one_wins_on_whatever_server_they_ask(shared: Opens) -> None:
    servers = [shared() for _ in range(3)]
    for term in range(1, 6):
        with ThreadPoolExecutor(6) as pool:
            asked = [
                pool.submit(servers[one % 3].leases.ask, NAME, Candidate(f"host-{one}", f"{term}.{one}")) for one in range(6)
            ]
            found = {future.result(10).key for future in asked}
        assert [key.number for key in found] == [term]
        for server in servers:
            server.clock.now += LEASE


def test_a_server_that_sees_late_takes_nothing_over(shared: Opens) -> None:
    """Its clock was stopped as all of it was: what it saw last is old, not quiet."""
    one, other = shared(), shared()
    held = one.leases.ask(NAME, ONE)
    until("it is known there", lambda: other.leases.seen(NAME).lease == held)
    before = other.leases.seen(NAME)
    other.clock.now += LEASE
    assert before.lease.renewals == 0
    one.leases.ask(NAME, renewal(held))
    until("the renewal is known there", lambda: other.leases.seen(NAME).lease.renewals == 1)
    assert other.leases.ask(NAME, TWO).key == held.key


def test_what_is_written_in_a_term_that_is_over_changes_nothing(server: Server) -> None:
    leases, book, _ = server
    leases.ask(NAME, ONE)
    with leases.writing(NAME, Term(1, "p")):
        book.change(lambda _: {"web": "1"})
    leases.let_go(NAME, "p")
    leases.ask(NAME, TWO)
    with pytest.raises(PreconditionFailed, match="two leads in term 2"), leases.writing(NAME, Term(1, "p")):
        book.change(lambda _: {"web": "2"})
    assert book.texts() == {"web": "1"}


def test_a_write_that_another_server_knows_to_be_late_is_refused_in_the_step_in_which_it_is_made(shared: Opens) -> None:
    one, other = shared(), shared()
    one.leases.ask(NAME, ONE)
    until("it is known there", lambda: other.leases.seen(NAME).lease.term == 1)

    def decide(_: object) -> Changes:
        # After the term was looked at: the commit finds another one.
        other.clock.now += LEASE
        other.leases.ask(NAME, TWO)
        return {"web": "late"}

    with one.leases.writing(NAME, Term(1, "p")), pytest.raises(PreconditionFailed, match="two leads in term 2"):
        one.book.change(decide)
    assert one.book.texts() == {}


def test_a_renewal_refuses_no_write(shared: Opens) -> None:
    one = shared()
    held = one.leases.ask(NAME, ONE)
    tried: list[int] = []

    def decide(_: object) -> Changes:
        tried.append(one.leases.ask(NAME, renewal(held)).renewals)
        return {"web": "1"}

    with one.leases.writing(NAME, held.key):
        one.book.change(decide)
    assert (one.book.texts(), tried) == ({"web": "1"}, [1])


def test_a_new_leader_is_told_so_when_what_the_former_one_began_has_ended(server: Server) -> None:
    leases, book, clock = server
    leases.ask(NAME, ONE)
    with ThreadPoolExecutor(1) as pool:
        with leases.writing(NAME, Term(1, "p")):
            clock.now += LEASE
            taken = pool.submit(leases.ask, NAME, TWO)
            until("the term is another one", lambda: leases.seen(NAME).lease.term == 2)
            assert not taken.done()
        assert taken.result(10).key == (2, "q")
    assert book.texts() == {}


def test_a_server_that_starts_again_knows_the_term_and_gives_its_holder_the_whole_time(tmp_path: Path) -> None:
    clock = Clock()

    def started() -> Leases:
        return Leases(OwnEntries(FileTable(tmp_path / "leases.json")), alone=True, clock=clock)

    held = started().ask(NAME, ONE)
    clock.now += 100 * LEASE
    again = started()
    assert again.ask(NAME, TWO).key == held.key
    assert again.ask(NAME, renewal(held)).key == held.key
