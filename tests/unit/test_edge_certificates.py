"""When a front is asked for its certificates, and what is known of them."""

from __future__ import annotations

from duckconf.edge_certificates import FIRST, LAST, LOOK_AT_ALL, Certificates

HOSTS = {"a.example.org", "b.example.org"}


def test_all_are_looked_at_first_and_now_and_then_and_otherwise_those_that_have_none() -> None:
    known = Certificates()
    assert known.to_look_at(HOSTS, 10.0) == HOSTS
    known.learn({"a.example.org": True})
    assert known.to_look_at(HOSTS, 11.0) == {"b.example.org"}
    assert known.to_look_at(HOSTS, 10.0 + LOOK_AT_ALL) == HOSTS


def test_a_host_whose_certificate_is_due_has_none_and_one_that_did_not_answer_is_as_it_was() -> None:
    known = Certificates()
    known.learn({"a.example.org": True, "b.example.org": True})
    known.learn({"b.example.org": False})
    assert known.there == {"a.example.org"}


def test_a_certificate_that_does_not_come_is_looked_for_ever_less_often() -> None:
    known = Certificates()
    looks = [known.next_look(HOSTS) for _ in range(9)]
    assert (looks[:3], looks[-1]) == ([FIRST, 2 * FIRST, 4 * FIRST], LAST)
    known.learn(dict.fromkeys(HOSTS, True))
    assert known.next_look(HOSTS) is None
    assert known.next_look({*HOSTS, "c.example.org"}) == FIRST
