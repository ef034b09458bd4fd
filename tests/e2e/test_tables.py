"""What every table promises to a book, in files and in a real etcd, and what each of them does besides."""

from __future__ import annotations

import itertools
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from duckconf.errors import NotNow, PreconditionFailed
from duckconf.reach.api.etcd import Gateway, Unsure
from duckconf.reach.state.data import DataBook
from duckconf.reach.state.etcd_table import EtcdTable
from duckconf.reach.state.file_table import MOST_KNOWN, FileTable
from duckconf.reach.state.table import ABSENT, Compacted, News, Table
from tests.e2e.conftest import free_ports
from tests.e2e.etcd_real import Member, certificates

OPENS = Callable[[], Table]


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Member]:
    found = Member(tmp_path_factory.mktemp("etcd"))
    yield found
    found.kill()


@pytest.fixture
def etcd(member: Member, tmp_path: Path) -> Callable[..., EtcdTable]:
    """Opens the table of this test, as the writer that is named."""
    cluster = tmp_path.name
    return lambda writer="one", *urls: EtcdTable(Gateway([*urls, member.endpoint]), cluster, writer)


@pytest.fixture(params=["files", "etcd"])
def opens(request: pytest.FixtureRequest, tmp_path: Path) -> OPENS:
    """Opens the same table again and again, as processes one after the other do."""
    if request.param == "etcd":
        return cast(OPENS, request.getfixturevalue("etcd"))
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


def test_a_revision_that_is_still_to_come_is_none_to_follow_from(opens: OPENS) -> None:
    table = opens()
    with pytest.raises(Compacted, match="list it again"):
        next(table.follow(table.commit({"web": "1"}) + 1000, 0.5))


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


def test_what_etcd_has_compacted_is_to_be_listed_again(etcd: Callable[..., EtcdTable], member: Member) -> None:
    table = etcd()
    since = table.commit({"web": "1"})
    now = table.commit({"web": "2"})
    Gateway([member.endpoint]).call("/v3/kv/compaction", {"revision": str(now)})
    with pytest.raises(Compacted, match="list it again"):
        next(table.follow(since - 1, 5.0))


def test_two_servers_on_one_etcd_see_what_the_other_writes(etcd: Callable[..., EtcdTable]) -> None:
    one, other = etcd("one"), etcd("other")
    since = one.commit({"web": "1"})
    news = other.follow(since, 5.0)
    revision = one.commit({"web": "2"}, {"web": since})
    assert next_of(news) == (revision, {"web": ("2", revision)})
    with pytest.raises(PreconditionFailed):
        other.commit({"web": "3"}, {"web": since})


class Loses:
    """A gateway whose answers to these transactions, counted from 1, are lost: after etcd has done them, or before."""

    def __init__(self, member: Member, after: int = 0, before: int = 0) -> None:
        self.gateway = Gateway([member.endpoint])
        self.seconds = self.gateway.seconds
        self.after, self.before, self.count = after, before, 0

    def call(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self.gateway.call(path, body)

    def once(self, path: str, body: Mapping[str, Any], end: float) -> dict[str, Any]:
        if not path.endswith("txn"):
            return self.gateway.once(path, body, end)
        self.count += 1
        if self.count == self.before:
            raise Unsure("lost on its way")
        answer = self.gateway.once(path, body, end)
        if self.count == self.after:
            raise Unsure("its answer is lost")
        return answer


@pytest.mark.parametrize("lost", [{"after": 1}, {"before": 1}])
def test_a_commit_whose_answer_is_lost_is_done_once(member: Member, tmp_path: Path, lost: dict[str, int]) -> None:
    table = EtcdTable(cast(Gateway, Loses(member, **lost)), tmp_path.name, "one")
    other = EtcdTable(Gateway([member.endpoint]), tmp_path.name, "other")
    revision = table.commit({"web": "1"}, {"web": ABSENT})
    assert other.list() == (revision, {"web": ("1", revision)})
    assert table.commit({"web": "2"}, {"web": revision}) == revision + 1


def test_a_try_that_comes_late_does_nothing_after_the_commit_was_refused(member: Member, tmp_path: Path) -> None:
    lossy = Loses(member, before=1)
    table = EtcdTable(cast(Gateway, lossy), tmp_path.name, "one")
    other = EtcdTable(Gateway([member.endpoint]), tmp_path.name, "other")
    other.commit({"web": "1"})
    late = table._transaction("number", ABSENT, {"web": "late"}, {"web": ABSENT})
    with pytest.raises(PreconditionFailed):
        table.commit({"web": "2"}, {"web": ABSENT})
    other.commit({"web": None})
    assert "succeeded" not in lossy.gateway.call("/v3/kv/txn", late)
    assert other.list().items == {}


def test_a_member_that_is_away_costs_less_than_two_seconds_and_then_nothing(etcd: Callable[..., EtcdTable]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        dead = f"http://127.0.0.1:{free_ports(1)[0]}"
        table = etcd("one", dead, f"http://127.0.0.1:{frozen.getsockname()[1]}")
        revision = table.commit({"web": "1"})
        assert table.get("web") == ("1", revision)


def test_what_was_acknowledged_survives_a_kill_and_without_etcd_nothing_is(tmp_path: Path) -> None:
    member = Member(tmp_path / "etcd")
    try:
        table = EtcdTable(Gateway([member.endpoint], seconds=1.0), "demo", "one")
        acknowledged: dict[str, str] = {}

        def write_on() -> None:
            for number in itertools.count():
                table.commit({str(number): str(number)})
                acknowledged[str(number)] = str(number)

        killer = threading.Timer(0.3, member.process.kill)
        killer.start()
        with pytest.raises(NotNow, match="etcd at"):
            write_on()
        killer.join()
        member.process.wait(20)
        with pytest.raises(NotNow):
            table.list()
        member.start()
        kept = texts(table)
        assert acknowledged
        assert acknowledged.items() <= kept.items()
        assert len(kept) - len(acknowledged) <= 1
        assert table.commit({"after": "1"}) == table.list().revision
    finally:
        member.kill()


def test_etcd_is_called_with_the_certificates_and_nobody_without_one_is_heard(tmp_path: Path) -> None:
    tls = certificates(tmp_path)
    member = Member(tmp_path / "etcd", tls)
    try:
        table = EtcdTable(member.gateway(), "demo", "one")
        since = table.commit({"web": "1"})
        timer = threading.Timer(0.05, lambda: table.commit({"web": "2"}))
        timer.start()
        assert next_of(table.follow(since, 5.0)).items["web"] == ("2", since + 1)
        timer.join()
        for stranger in (Gateway([member.endpoint], str(tls.ca), seconds=0.0), Gateway([member.endpoint], seconds=0.0)):
            with pytest.raises(NotNow, match="etcd at https"):
                EtcdTable(stranger, "demo", "two").list()
    finally:
        member.kill()
