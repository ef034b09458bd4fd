"""The file with the past of each app: what cannot be read costs only itself, and stops nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from duckconf.model import App
from duckconf.reach.state.revisions import FILE_NAME, RevisionBook, read_told
from duckconf.rollout import DONE, Revision

PAST = {"web": (Revision(1, App("web:1", env={"A": "b"}), DONE), Revision(2, App("web:2"))), "db": (Revision(1, App("db")),)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    book = RevisionBook.at(tmp_path / FILE_NAME)
    book.keep(PAST)
    return tmp_path / FILE_NAME


def test_what_is_kept_is_read_again_with_the_time_when_it_was_noted(path: Path) -> None:
    again = RevisionBook.at(path)
    assert again.revisions == PAST
    first = again.since
    again.keep({**PAST, "new": (Revision(1, App("x")),)})
    assert RevisionBook.at(path).since.items() >= first.items()
    assert [item["app"]["image"] for item in read_told(path, "web")] == ["web:1", "web:2"]
    assert read_told(path, "nobody") == read_told(path.with_name("none"), "web") == []


def test_one_app_that_cannot_be_read_begins_anew_and_the_others_keep_theirs(path: Path) -> None:
    content = json.loads(path.read_text())
    content["db"][0]["app"]["of_a_newer_version"] = 1
    path.write_text(json.dumps(content))
    book = RevisionBook.at(path)
    assert book.revisions == {"web": PAST["web"]}
    assert "the history of db cannot be read" in book.trouble
    book.keep(book.revisions)
    assert path.with_name(f"{FILE_NAME}.bad").exists()
    assert RevisionBook.at(path).trouble == ""


def test_cut_at_any_length_it_ends_nothing(path: Path) -> None:
    whole = path.read_bytes()
    for length in range(0, len(whole) - 2, 7):
        path.write_bytes(whole[:length])
        book = RevisionBook.at(path)
        assert (book.revisions, bool(book.trouble)) == ({}, True)
