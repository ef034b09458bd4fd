"""The desired state under many writers and a person with an editor: nothing that was acknowledged or typed is lost."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.stores.desired import DesiredStore
from duckconf import codec
from duckconf.desired import Document, changed, empty_document, marked, read_document
from duckconf.errors import BadInput, NotNow, PreconditionFailed
from duckconf.events import Event
from duckconf.merge import History, merged
from duckconf.model import App
from duckconf.reach.state import files
from duckconf.reach.state.desired_file import DesiredReader
from tests.waiting import until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "desired_state.csv"
    save(file, empty_document().text())
    return file


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def store(path: Path, events: list[Event]) -> Iterator[DesiredStore]:
    opened = DesiredStore(path, events.append)
    thread = threading.Thread(target=opened.watch)
    thread.start()
    yield opened
    opened.close()
    thread.join()


def save(path: Path, text: str) -> None:
    """As an editor that writes a new file and renames it, a while ago."""
    temporary = path.with_suffix(".new")
    temporary.write_text(text)
    os.utime(temporary, (0, 0))
    os.replace(temporary, path)


def on_disk(path: Path) -> set[str]:
    return set(read_document(path.read_text()).apps())


def put(store: DesiredStore, name: str, image: str = "nginx") -> None:
    store.put(name, lambda *_: App(image, name))


def test_fifty_puts_at_once_on_different_names_all_survive(store: DesiredStore, path: Path) -> None:
    names = [f"w{number}" for number in range(50)]
    with ThreadPoolExecutor(50) as pool:
        list(pool.map(lambda name: put(store, name), names))
    assert on_disk(path) == set(names)


def test_partial_updates_of_one_app_that_cross_keep_each_others_fields(store: DesiredStore) -> None:
    put(store, "web")

    def add_variable(number: int) -> None:
        store.put("web", lambda app, _: App("nginx", "web", env={**(app.env if app else {}), f"V{number}": "x"}))

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(add_variable, range(20)))
    assert len(store.get("web").env) == 20


def test_of_many_that_expect_the_same_revision_one_wins(store: DesiredStore) -> None:
    put(store, "web")
    expected = frozenset({codec.revision(store.get("web"))})

    def change(number: int) -> bool:
        try:
            store.put("web", lambda *_: App(f"nginx:{number}", "web"), expected)
        except PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(change, range(10))) == 1


def test_an_edit_by_hand_is_noticed_and_told(store: DesiredStore, path: Path, events: list[Event]) -> None:
    put(store, "web")
    save(path, path.read_text() + "db,redis\n")
    until("the edit is seen", lambda: "db" in store.listing().apps)
    (edited,) = [event for event in events if event.kind == "edited"]
    assert (edited.message, edited.apps) == ("desired_state.csv was edited by hand: +db", ("db",))


def test_an_edit_that_began_before_an_api_write_loses_neither(store: DesiredStore, path: Path) -> None:
    put(store, "old")
    put(store, "changing")
    in_the_editor = path.read_text()
    put(store, "new")
    put(store, "changing", "redis")
    save(path, in_the_editor.replace("old,nginx", "old,redis") + "mine,nginx\n")
    until("both are there", lambda: set(store.listing().apps) == {"old", "changing", "new", "mine"})
    assert on_disk(path) == set(store.listing().apps)
    assert (store.get("old").image, store.get("changing").image) == ("redis", "redis")


def test_an_editor_kept_open_may_take_its_own_row_away_again(store: DesiredStore, path: Path) -> None:
    put(store, "web")
    first = path.read_text()
    save(path, first + "mine,nginx\n")
    until("it is seen", lambda: "mine" in store.listing().apps)
    put(store, "api")
    save(path, first)
    until("it is gone, and the API's is not", lambda: on_disk(path) == {"web", "api"})


def test_an_edit_between_reading_and_writing_is_merged(store: DesiredStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, "web")
    real = files._exchange

    def crossing(one: Path, other: Path) -> bool:
        monkeypatch.setattr(files, "_exchange", real)
        save(path, "web,nginx\nmine,nginx\n")
        return real(one, other)

    monkeypatch.setattr(files, "_exchange", crossing)
    put(store, "api")
    until("all three are there", lambda: on_disk(path) == {"web", "mine", "api"})


def test_an_editor_that_writes_into_a_replaced_version_is_heard(store: DesiredStore, path: Path) -> None:
    put(store, "web")
    with path.open("a") as editor:
        put(store, "api")
        editor.write("mine,nginx\n")
    until("all three are there", lambda: on_disk(path) == {"web", "mine", "api"})


def test_a_file_written_in_place_is_believed_when_it_rests(path: Path, events: list[Event]) -> None:
    save(path, "a,nginx\nb,nginx\nc,nginx\n")
    reader = DesiredReader(path)
    assert len(reader.read()[0].apps()) == 3
    with path.open("w") as editor:
        editor.write("a,nginx\n")
        editor.flush()
        assert len(reader.read()[0].apps()) == 3
        editor.write("b,nginx\n")
    until("it rested", lambda: set(reader.read()[0].apps()) == {"a", "b"})


def test_who_begins_right_after_the_api_has_written_reads_at_once_and_waits_for_a_person(path: Path, store: DesiredStore) -> None:
    put(store, "web")
    document, why = DesiredReader(path).read()
    assert (set(document.apps()), why) == ({"web"}, "")
    whole = path.read_text()
    for unclear in (whole.replace("# end", "web2,nginx\n# end"), whole[: whole.index("# end")], "web,nginx\n"):
        path.write_text(unclear)
        with pytest.raises(BadInput, match="is being written"):
            DesiredReader(path).read()


def test_a_reader_never_goes_back_behind_what_the_api_wrote(path: Path, store: DesiredStore) -> None:
    put(store, "old")
    reader, before = DesiredReader(path), path.read_text()
    until("read", lambda: _reads(reader) == {"old"})
    store.close()
    put(store, "new")
    assert set(reader.read()[0].apps()) == {"old", "new"}
    save(path, before)
    document, why = reader.read()
    assert (set(document.apps()), "revision" in why) == ({"old", "new"}, True)


def _reads(reader: DesiredReader) -> set[str]:
    try:
        return set(reader.read()[0].apps())
    except BadInput:
        return set()


def test_a_full_disk_refuses_everyone_and_keeps_the_old_state(
    store: DesiredStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "web")
    before = path.read_bytes()
    with monkeypatch.context() as patch:

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            put(store, "b")
    assert (path.read_bytes(), set(store.listing().apps)) == (before, {"web"})
    put(store, "c")
    assert on_disk(path) == {"web", "c"}
    assert [file.name for file in path.parent.iterdir() if "csv" in file.name and "b" in file.name] == []


def test_a_missing_or_broken_file_is_never_written_over(store: DesiredStore, path: Path) -> None:
    put(store, "web")
    save(path, "\n")
    with pytest.raises(NotNow, match="is empty"):
        put(store, "b")
    path.unlink()
    with pytest.raises(NotNow, match="is missing"):
        put(store, "b")
    assert not path.exists()
    assert set(store.listing().apps) == {"web"}
    save(path, "web,nginx\n")
    put(store, "b")
    assert on_disk(path) == {"web", "b"}


def test_left_overs_of_a_killed_server_are_cleared(path: Path) -> None:
    path.with_name(f".{path.name}.7").write_text("half")
    DesiredStore(path, lambda _: None)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_revisions_grow_over_a_restart(store: DesiredStore, path: Path) -> None:
    put(store, "web")
    before = store.listing().revision
    again = DesiredStore(path, lambda _: None)
    assert again.listing().revision > before


APPS = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["nginx", "redis", "web:1"]), max_size=6)


@given(APPS, APPS, APPS)
def test_merging_keeps_what_either_side_changed(base: dict[str, str], api: dict[str, str], hand: dict[str, str]) -> None:
    def document(apps: dict[str, str], revision: int) -> Document:
        return marked(changed(empty_document(), {name: App(image, name) for name, image in apps.items()}), revision, 1)

    history = History(1)
    touched = {name for name in {*base, *api} if base.get(name) != api.get(name)}
    history.note(2, {name: App(base[name], name) if name in base else None for name in touched})
    result = merged(document(hand, 1), document(api, 2), history).apps()
    for name in {*base, *api, *hand}:
        by_hand, by_api = hand.get(name) != base.get(name), api.get(name) != base.get(name)
        expected = hand.get(name) if by_hand or not by_api else api.get(name)
        assert (result[name].image if name in result else None) == expected
