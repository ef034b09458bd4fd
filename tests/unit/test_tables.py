"""What every table promises to a book, and what a file does besides."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from duckconf.errors import PreconditionFailed
from duckconf.reach.state.data import DataBook
from duckconf.reach.state.file_table import MOST_KNOWN, FileTable
from duckconf.reach.state.table import ABSENT, Compacted, News, Table

OPENS = Callable[[], Table]


@pytest.fixture
def opens(tmp_path: Path) -> OPENS:
    """Opens the same table again and again, as processes one after the other do."""
    return lambda: FileTable(tmp_path / "book.json")


def texts(table: Table, prefix: str = "") -> dict[str, str]:
    return {name: item.text for name, item in table.list(prefix).items.items()}


def test_what_is_committed_is_there_also_for_the_next_process(opens: OPENS) -> None:
    table = opens()
    assert (table.get("web"), texts(table)) == (None, {})
    first = table.commit({"web": '["ä", 1]', "db": "{}"})
    second = table.commit({"db": None, "a/b": "2"})
    assert second > first
    for known in (table, opens()):
        assert {name: json.loads(text) for name, text in texts(known).items()} == {"web": ["ä", 1], "a/b": 2}
    assert texts(table, "a/") == {"a/b": "2"}
    assert opens().commit({"web": "3"}) > second


def test_a_revision_is_that_of_the_write_that_made_the_entry(opens: OPENS) -> None:
    table = opens()
    first = table.commit({"web": "1", "db": "1"})
    second = table.commit({"web": "2"})
    listing = table.list()
    assert (listing.revision, {name: item.revision for name, item in listing.items.items()}) == (
        second,
        {"web": second, "db": first},
    )
    assert table.get("web") == listing.items["web"]


def test_of_a_commit_whose_expectation_fails_nothing_is_there(opens: OPENS) -> None:
    table = opens()
    first = table.commit({"web": "1"})
    for expected in ({"web": first + 1}, {"web": ABSENT}, {"other": first}, {"db": ABSENT, "web": ABSENT}):
        with pytest.raises(PreconditionFailed, match="read it again"):
            table.commit({"db": "1", "web": "2"}, expected)
    assert texts(table) == texts(opens()) == {"web": "1"}
    second = table.commit({"db": "1", "web": None}, {"web": first, "db": ABSENT})
    assert (texts(table), table.get("db")) == ({"db": "1"}, ("1", second))


def test_of_writers_that_expect_the_same_one_wins_and_no_count_is_lost(opens: OPENS) -> None:
    table = opens()
    table.commit({"count": "0"})

    def count_up(_: int) -> int:
        lost = 0
        while True:
            item = table.get("count")
            assert item is not None
            try:
                table.commit({"count": str(int(item.text) + 1)}, {"count": item.revision})
            except PreconditionFailed:
                lost += 1
            else:
                return lost

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count_up, range(40)))
    assert texts(opens()) == {"count": "40"}


def next_of(news: Iterator[News]) -> News:
    return next(one for one in news if one.items)


def test_who_follows_from_a_revision_sees_all_that_came_after_it(opens: OPENS) -> None:
    table = opens()
    since = table.commit({"web": "1"})
    revisions = [table.commit({"web": "2", "db": "1"}), table.commit({"db": None})]
    seen: dict[str, str | None] = {}
    news = table.follow(since, 5.0)
    last = since
    while last < revisions[-1]:
        one = next_of(news)
        seen |= {name: item.text if item else None for name, item in one.items.items()}
        last = one.revision
    assert (seen, last) == ({"web": "2", "db": None}, revisions[-1])
    timer = threading.Timer(0.05, lambda: table.commit({"late": "1"}))
    timer.start()
    assert next_of(news).items.keys() == {"late"}
    timer.join()


def test_who_follows_is_told_now_and_then_that_nothing_has_changed(opens: OPENS) -> None:
    table = opens()
    revision = table.commit({"web": "1"})
    assert next(table.follow(revision, 0.05)) == (revision, {})


def test_a_revision_whose_successors_are_forgotten_is_refused(tmp_path: Path) -> None:
    table = FileTable(tmp_path / "book.json")
    since = table.commit({"web": "1"})
    later = table.commit({str(number): "1" for number in range(MOST_KNOWN)})
    with pytest.raises(Compacted, match="list it again"):
        next(table.follow(since - 1, 0.0))
    assert next(table.follow(later, 0.0)) == (later, {})
    table = FileTable(tmp_path / "book.json")
    with pytest.raises(Compacted):
        next(table.follow(later, 0.0))


def test_a_file_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    table = FileTable(folder / "book.json")
    revision = table.commit({"web": "1"})
    os.rename(folder, tmp_path / "elsewhere")
    with pytest.raises(OSError, match="No such file"):
        table.commit({"web": "2", "db": "1"})
    assert (texts(table), table.list().revision) == ({"web": "1"}, revision)


def test_a_file_is_written_as_a_person_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    content = {"db.1": ["n1", ["data"], 0], "web.1": ["n2", ["a", "b"], 3]}
    path.write_text(json.dumps(content, indent=1) + "\n")
    before = path.read_bytes()
    book = DataBook.at(path, dict)
    book.keep({"db.1": book.held["db.1"]})
    book.keep({"db.1": book.held["db.1"], "web.1": DataBook.at(path, dict).held["db.1"]})
    assert path.read_text() == json.dumps({"db.1": content["db.1"], "web.1": content["db.1"]}, indent=1) + "\n"
    path.write_bytes(before)
    FileTable(path).commit({"x": "1"})
    FileTable(path).commit({"x": None})
    assert path.read_bytes() == before
