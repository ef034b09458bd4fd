"""What the entries of a book promise, of a table that one process writes and of one that several write and follow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from duckconf.errors import NotNow
from duckconf.reach.state import file_table
from duckconf.reach.state.entries import Entries, Mirror, OwnEntries, Reading, SharedEntries
from duckconf.reach.state.file_table import FileTable
from duckconf.reach.state.table import Changes, News, Table
from tests.waiting import until

Follows = Callable[[Table], Mirror]


@pytest.fixture
def mirrored() -> Iterator[Follows]:
    """Opens a mirror of the table, which follows it."""
    mirrors: list[Mirror] = []

    def opened(table: Table) -> Mirror:
        mirror = Mirror(lambda _: table, lambda: 0.0)
        threading.Thread(target=mirror.run, daemon=True).start()
        mirrors.append(mirror)
        return mirror

    yield opened
    for mirror in mirrors:
        mirror.close()


@pytest.fixture(params=["own", "shared"])
def entries(request: pytest.FixtureRequest, tmp_path: Path, mirrored: Follows) -> Entries:
    table = FileTable(tmp_path / "book.json")
    return OwnEntries(table) if request.param == "own" else mirrored(table).part("book")


def put(changes: Mapping[str, str | None]) -> Callable[[Reading], Changes]:
    return lambda _: changes


def count(reading: Reading) -> Changes:
    return {"count": str(int(reading.get("count") or "0") + 1)}


def test_a_change_is_known_and_told_when_it_returns(entries: Entries) -> None:
    told: list[News] = []
    entries.follow(told.append)
    first = entries.change(put({"a": "1", "b": "2"}))
    assert entries.texts() == {"a": "1", "b": "2"}
    second = entries.change(put({"a": None}))
    assert second > first
    assert (entries.texts(), told) == ({"b": "2"}, [(first, {"a": ("1", first), "b": ("2", first)}), (second, {"a": None})])


def test_of_many_threads_that_count_none_is_lost(entries: Entries) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: entries.change(count), range(40)))
    assert entries.texts() == {"count": "40"}


def test_what_a_decision_raises_changes_nothing(entries: Entries) -> None:
    def refuse(_: Reading) -> Changes:
        raise NotNow("no")

    with pytest.raises(NotNow, match="no"):
        entries.change(refuse)
    assert entries.texts() == {}


def two(tmp_path: Path, mirrored: Follows) -> tuple[SharedEntries, SharedEntries]:
    table = FileTable(tmp_path / "all.json")
    return mirrored(table).part("book"), mirrored(table).part("book")


def test_two_servers_that_count_lose_nothing_and_know_the_same(tmp_path: Path, mirrored: Follows) -> None:
    both = two(tmp_path, mirrored)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: both[number % 2].change(count), range(40)))
    for one in both:
        until("it knows all", lambda: one.texts() == {"count": "40"})  # noqa: B023 (called before the next round)


def test_a_change_is_decided_again_on_what_another_has_written_meanwhile(tmp_path: Path, mirrored: Follows) -> None:
    one, other = two(tmp_path, mirrored)
    one.change(put({"a": "1"}))
    seen: list[str | None] = []

    def decide(reading: Reading) -> Changes:
        seen.append(reading.get("a"))
        if len(seen) == 1:
            one.change(put({"a": "2"}))
        return {"b": f"on {seen[-1]}"}

    until("the other one knows it", lambda: other.texts() == {"a": "1"})
    other.change(decide)
    assert (seen, other.texts()) == (["1", "2"], {"a": "2", "b": "on 2"})


def test_of_all_that_was_listed_only_what_is_changed_must_be_the_same(tmp_path: Path, mirrored: Follows) -> None:
    one, other = two(tmp_path, mirrored)
    decided: list[int] = []

    def decide(reading: Reading, name: str) -> Changes:
        decided.append(len(reading.all()))
        if len(decided) == 1:
            one.change(put({"a": "2"}))
        return {name: "new"}

    one.change(put({"a": "1"}))
    until("the other one knows it", lambda: other.texts() == {"a": "1"})
    other.change(lambda reading: decide(reading, "b"))
    assert len(decided) == 1
    decided.clear()
    other.change(lambda reading: decide(reading, "a"))
    assert len(decided) == 2
    assert other.texts() == {"a": "new", "b": "new"}


def test_parts_do_not_see_each_other_and_are_told_in_the_order_in_which_they_were_asked_for(
    tmp_path: Path, mirrored: Follows
) -> None:
    table = FileTable(tmp_path / "all.json")
    mirror = mirrored(table)
    told: list[str] = []
    for part in ("history", "apps"):
        mirror.part(part).follow(lambda news, part=part: told.append(f"{part}: {sorted(news.items)}"))  # type: ignore[misc]
    table.commit({"apps/web": "1", "history/web": "1", "history/db": "1"})
    until("both are told", lambda: len(told) == 2)
    assert told == ["history: ['db', 'web']", "apps: ['web']"]
    assert (mirror.part("apps").texts(), mirror.part("other").texts()) == ({"web": "1"}, {})


def test_who_missed_too_much_compares_what_there_is(tmp_path: Path, mirrored: Follows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_table, "MOST_KNOWN", 2)
    table = FileTable(tmp_path / "all.json")
    table.commit({"book/stays": "1", "book/goes": "1", "book/changes": "1"})
    mirror = Mirror(lambda _: table)
    entries, told = mirror.part("book"), list[News]()
    entries.follow(told.append)
    for changes in ({"book/goes": None}, {"book/changes": "2"}, {"book/comes": "1"}):
        last = table.commit(changes)
    threading.Thread(target=mirror.run, daemon=True).start()
    assert mirror.reach(last)
    assert told == [(last, {"goes": None, "changes": ("2", last - 1), "comes": ("1", last)})]
    assert entries.texts() == {"stays": "1", "changes": "2", "comes": "1"}
    mirror.close()


def test_it_is_as_old_as_its_last_own_write_that_came_back(tmp_path: Path, mirrored: Follows) -> None:
    now = 100.0
    table = FileTable(tmp_path / "all.json")
    mirror = Mirror(lambda _: table, lambda: now)
    now = 103.0
    revision = table.commit({"book/a": "1"})
    mirror.fresh(102.0, revision)
    assert mirror.age == 3.0
    threading.Thread(target=mirror.run, daemon=True).start()
    assert mirror.reach(revision)
    mirror.fresh(102.0, revision)
    assert mirror.age == 1.0
    mirror.close()


def test_where_nothing_was_confirmed_for_a_while_a_writer_is_refused_at_once_and_who_probes_is_not(tmp_path: Path) -> None:
    now = 100.0
    table = FileTable(tmp_path / "all.json")
    mirror = Mirror(lambda _: table, lambda: now)
    threading.Thread(target=mirror.run, daemon=True).start()
    entries, probing = mirror.part("book"), mirror.part("heard", probing=True)
    now = 104.0
    with pytest.raises(NotNow, match="nothing was confirmed for 4 s: is a majority"):
        entries.change(put({"a": "1"}))
    probing.change(put({"x": "1"}))
    entries.change(put({"a": "1"}))
    assert (entries.texts(), mirror.age) == ({"a": "1"}, 0.0)
    mirror.close()


def test_a_table_that_is_older_than_it_was_takes_nothing_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = FileTable(tmp_path / "all.json")
    table.commit({"book/a": "1"})
    mirror, told, gone = Mirror(lambda _: table), list[News](), threading.Event()
    entries = mirror.part("book")
    entries.follow(told.append)
    mirror.went_back = gone.set
    monkeypatch.setattr(time, "time_ns", lambda: 5)
    monkeypatch.setattr(mirror, "_table", FileTable(tmp_path / "another.json"))
    thread = threading.Thread(target=mirror.run)
    thread.start()
    thread.join(10)
    assert (gone.is_set(), told, entries.texts()) == (True, [], {"a": "1"})
