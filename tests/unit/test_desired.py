"""The desired state as a file: what a person may write, what survives a program's change, what a bad row costs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckconf.desired import changed, changes_between, desired_of, empty_document, read_document
from duckconf.errors import BadInput
from duckconf.model import App

WORD = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
NAME = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
APPS = st.builds(
    App,
    image=st.sampled_from(["nginx", "localhost/a/b:1", "r.example:5000/x@sha256:" + "a" * 64]),
    name=NAME,
    command=st.lists(WORD, max_size=3).map(tuple),
    env=st.dictionaries(st.from_regex(r"[A-Z_]{1,5}", fullmatch=True), WORD, max_size=3),
    ports=st.lists(st.sampled_from(["80:80", "127.0.0.1:1:2/udp"]), max_size=2, unique=True).map(tuple),
    volumes=st.lists(st.sampled_from(["/a b:/c", "data:/x:ro"]), max_size=2, unique=True).map(tuple),
    cpus=st.sampled_from([0, 0.5, 2.0]),
    memory=st.sampled_from(["", "512m"]),
)


@given(st.lists(APPS, max_size=5, unique_by=lambda app: app.name))
def test_every_app_is_read_back_as_it_was_written(apps: list[App]) -> None:
    document = changed(empty_document(), {app.name: app for app in apps})
    assert read_document(document.text()).apps() == {app.name: app for app in apps}
    assert read_document(document.text()).faults == ()


@pytest.mark.parametrize(
    "text", ["web,nginx\ndb,redis\n", "name,image\nweb,nginx\ndb,redis\n", "\ufeffname,image\r\nweb,nginx\r\ndb,redis\r\n"]
)
def test_two_columns_by_hand_are_enough_with_or_without_header(text: str) -> None:
    document = read_document(text)
    assert document.faults == ()
    assert document.apps() == {"web": App("nginx", "web"), "db": App("redis", "db")}
    more = read_document(changed(document, {"x": App("nginx", "x", env={"A": "b c"})}).text())
    assert more.apps() == {**document.apps(), "x": App("nginx", "x", env={"A": "b c"})}


@pytest.mark.parametrize(
    ("row", "name", "word"),
    [
        ("web,NO SUCH;IMAGE", "web", "image"),
        ("Not A Name,nginx", "", "name"),
        ("web", "web", "image"),
        ("web,nginx,'open", "web", "command"),
        ("web,nginx,,novalue", "web", "NAME=VALUE"),
        ("web,nginx,,,,,many", "web", "cpus"),
        ("web,nginx,,,,,,,,,too,many", "web", "columns"),
        ('web,"nginx', "", "never closed"),
        ('web,"ng"inx', "", "CSV"),
    ],
)
def test_a_bad_row_is_named_with_its_line_and_costs_only_its_own_app(row: str, name: str, word: str) -> None:
    document = read_document(f"good,nginx\n# a comment\n\n{row}\n")
    (fault,) = document.faults
    assert (fault.line, fault.name) == (4, name)
    assert word in str(fault)
    desired = desired_of(document)
    assert set(desired.instances) == {"good"}
    assert desired.complete == bool(name)
    assert desired.unreadable == ({name} if name else set())


def test_a_name_that_stands_twice_is_left_alone() -> None:
    desired = desired_of(read_document("web,nginx\nweb,redis\nx,nginx\n"))
    assert set(desired.instances) == {"x"}
    assert desired.unreadable == {"web"}


def test_an_empty_file_is_an_accident_and_not_an_order_to_stop_everything() -> None:
    with pytest.raises(BadInput, match="is empty"):
        read_document("  \n")
    assert desired_of(read_document(empty_document().text())).complete


def test_a_change_keeps_comments_bad_rows_and_the_order() -> None:
    text = 'a,nginx\n# mine\nBAD ROW,x\nb,nginx\nc,"open\nd,nginx\n'
    after = changed(read_document(text), {"b": None, "e": App("nginx", "e")}).text()
    assert after.splitlines() == ["a,nginx", "# mine", "BAD ROW,x", "e,nginx,,,,,,,,", 'c,"open', "d,nginx"]


def test_rows_read_before_are_not_read_again() -> None:
    first = read_document("name,image\na,nginx\n")
    assert read_document("name,image\na,nginx\n", first).rows["a"] is first.rows["a"]


@given(st.lists(APPS, max_size=4, unique_by=lambda app: app.name), st.lists(APPS, max_size=4, unique_by=lambda app: app.name))
def test_the_changes_between_two_files_turn_one_into_the_other(old: list[App], new: list[App]) -> None:
    before = changed(empty_document(), {app.name: app for app in old})
    after = changed(empty_document(), {app.name: app for app in new})
    assert changed(before, changes_between(before, after)).apps() == after.apps()
