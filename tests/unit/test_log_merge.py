"""What containers print: read line by line, merged by time, and shown with the name of who said it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckconf.cli.look.app_logs import Look, Printer
from duckconf.cli.terminal.typed import with_names
from duckconf.errors import BadInput
from duckconf.log_lines import LONGEST_LINE, SECOND, Cutter, Line, Source, moment, since, tail
from duckconf.log_merge import Merge

WEB = Source("web", "web", 1, "node-1", "duckconf-web")
WEB2 = Source("web.2", "web", 2, "node-2", "duckconf-web_2")
AT_TEN = 1769853600 * SECOND


@pytest.mark.parametrize(
    ("stamp", "time"),
    [
        ("2026-01-31T10:00:00.000000001Z", AT_TEN + 1),
        ("2026-01-31T12:00:00.5+02:00", AT_TEN + SECOND // 2),
        ("2026-01-31T04:30:00-05:30", AT_TEN),
    ],
)
def test_the_time_of_a_line_is_read_to_the_nanosecond_in_any_zone(stamp: str, time: int) -> None:
    assert Cutter().cut(f"{stamp} quack\n".encode()) == [Line(time, b"quack")]


def test_a_time_is_written_as_the_engines_take_it() -> None:
    assert moment(AT_TEN + 7) == "2026-01-31T10:00:00.000000007Z"


@given(st.binary(max_size=60), st.lists(st.integers(0, 90)))
def test_pieces_of_any_size_make_the_same_lines(noise: bytes, cuts: list[int]) -> None:
    text = b"2026-01-31T10:00:00Z " + noise + b"\n2026-01-31T10:00:01Z last"
    whole = Cutter()
    expected = [*whole.cut(text), *whole.end()]
    cutter, found, begin = Cutter(), [], 0
    for end in [*sorted(cuts), len(text)]:
        found += cutter.cut(text[begin:end])
        begin = max(begin, end)
    assert [*found, *cutter.end()] == expected
    assert cutter.complaints == []


def test_what_was_told_before_is_not_told_again_and_what_has_no_time_follows_the_line_before() -> None:
    cutter = Cutter(AT_TEN)
    text = b"2026-01-31T10:00:00Z old\n2026-01-31T10:00:01Z new\n  of the same moment\n"
    assert cutter.cut(text) == [Line(AT_TEN + SECOND, b"new"), Line(AT_TEN + SECOND, b"  of the same moment")]
    assert cutter.last == AT_TEN + SECOND


def test_words_before_any_line_are_the_engines_own() -> None:
    cutter = Cutter()
    assert cutter.cut(b"Error: no such container\n") == []
    assert cutter.complaints == [b"Error: no such container"]


def test_a_line_that_never_ends_comes_in_pieces() -> None:
    cutter = Cutter()
    found = [line for _ in range(40) for line in cutter.cut(b"2026-01-31T10:00:00Z " + b"x" * 65536)]
    assert 0 < len(found) < 4
    assert all(len(line.text) < LONGEST_LINE + 65600 for line in found)


def shown(merge: Merge, now: float) -> list[str]:
    return [line.text.decode() for _, line in merge.due(now)]


def test_lines_wait_for_earlier_ones_of_others_and_come_in_order() -> None:
    merge = Merge(1.0, 0.2)
    merge.opens("a", 0.0)
    merge.opens("b", 0.0)
    merge.add("a", [Line(1, b"a1"), Line(3, b"a3")], 0.1)
    assert shown(merge, 0.1) == []
    assert merge.wait(0.1) == pytest.approx(0.9)
    merge.add("b", [Line(2, b"b2"), Line(4, b"b4")], 0.2)
    assert shown(merge, 0.2) == ["a1", "b2", "a3"]
    merge.ends("a")
    assert (shown(merge, 0.2), merge.is_empty) == (["b4"], True)


def test_one_that_is_silent_delays_the_others_once_and_not_again() -> None:
    merge = Merge(1.0, 0.2)
    merge.opens("frozen", 0.0)
    merge.add("a", [Line(1, b"first")], 0.1)
    assert shown(merge, 0.9) == []
    assert shown(merge, 1.1) == ["first"]
    merge.add("a", [Line(2, b"second")], 1.2)
    assert shown(merge, 1.2) == ["second"]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50)), max_size=40))
def test_nothing_is_lost_and_all_is_in_order_where_all_is_there_before_it_is_shown(said: Sequence[tuple[int, int]]) -> None:
    merge = Merge(1.0, 1.0)
    for source in range(4):
        merge.opens(source, 0.0)
        merge.add(source, [Line(time, b"") for who, time in sorted(said) if who == source], 0.0)
    for source in range(4):
        merge.ends(source)
    assert [line.time for _, line in merge.due(0.0)] == sorted(time for _, time in said)


def test_a_prefix_says_who_where_there_are_several_and_color_is_for_terminals() -> None:
    line = Line(AT_TEN, b"\x1b[31mquack")
    plain = Printer(Look(), many=False, colored=False)
    plain.knows({"web"})
    assert plain.line(WEB, line) == b"\\x1b[31mquack\n"
    plain.knows({"web", "web.2"})
    assert plain.line(WEB, line) == b"web   | \\x1b[31mquack\n"
    colored = Printer(Look(timestamps=True, raw=True), many=True, colored=True)
    colored.knows({"web", "web.2"})
    assert colored.line(WEB2, line) == b"\x1b[33mweb.2 | \x1b[0m2026-01-31T10:00:00.000000000Z \x1b[31mquack\n"


def test_a_program_gets_one_object_per_line() -> None:
    told = json.loads(Printer(Look(as_json=True), many=True, colored=True).line(WEB2, Line(AT_TEN, b"\x1b[31m\xff")))
    assert told == {
        "time": "2026-01-31T10:00:00.000000000Z", "app": "web", "slot": 2, "node": "node-2",
        "container": "duckconf-web_2", "line": "\x1b[31m\ufffd",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("", ""), ("10m", "10m"), ("2h30m", "2h30m"), ("3d", "72h"), ("1d12h", "24h12h"), ("2026-01-31", "2026-01-31")],
)
def test_how_long_ago_may_be_typed_in_days_too(typed: str, meant: str) -> None:
    assert since(typed) == meant


@pytest.mark.parametrize("typed", ["yesterday", "10", "m", "$(id)", "10m; reboot"])
def test_what_is_no_time_is_refused(typed: str) -> None:
    with pytest.raises(BadInput, match="--since: should be how long ago"):
        since(typed)
    with pytest.raises(BadInput, match="--tail: should be a whole number"):
        tail(f"-{typed}")


def test_the_names_of_logs_stand_anywhere_among_its_options() -> None:
    words = ["./inv", "logs", "-f", "web", "--since", "10m", "db.2", "--tail=5"]
    assert with_names(words) == ["./inv", "logs", "--names", "web db.2", "-f", "--since", "10m", "--tail=5"]
    assert with_names(["./inv", "stats", "--node", "node-1", "web"]) == ["./inv", "stats", "--names", "web", "--node", "node-1"]
    assert with_names(["./inv", "logs", "-f"]) == ["./inv", "logs", "-f"]
    assert with_names(["./inv", "ps", "web"]) == ["./inv", "ps", "web"]
