"""One id leads from a request to all that it led to, whoever tells it."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import pytest

from duckconf.causes import is_of_request
from duckconf.events import Event
from duckconf.reach.state import logs
from duckconf.reach.state.journal import Journal


@pytest.fixture
def api(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "events.jsonl", "api")


@pytest.fixture
def loop(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "events.jsonl", "reconciler")


def ids(journal: Journal) -> list[tuple[str, str]]:
    return [(event.kind, event.id) for event in journal.tail(100).events]


def test_what_another_process_does_for_an_app_has_the_id_of_its_last_request(api: Journal, loop: Journal) -> None:
    for number, kind in (("one", "declared"), ("two", "updated")):
        api.request = lambda number=number: number  # type: ignore[misc]
        api.add(Event(kind, "x", "web"))
        loop.add(Event("pending", "x", "web"))
        loop.add(Event("started", "x", "web", "node-1"))
    loop.add(Event("started", "x", "other", "node-1"))
    loop.add(Event("node-lost", "x", node="node-1"))
    assert ids(loop) == [
        ("declared", "one"), ("pending", "one"), ("started", "one"),
        ("updated", "two"), ("pending", "two"), ("started", "two"), ("started", ""), ("node-lost", ""),
    ]  # fmt: skip


def test_a_process_that_starts_later_knows_what_was_told_before(api: Journal, tmp_path: Path) -> None:
    api.request = lambda: "one"
    api.add(Event("declared", "x", "web"))
    later = Journal(tmp_path / "events.jsonl", "reconciler")
    later.add(Event("started", "x", "web"))
    assert ids(later)[-1] == ("started", "one")


def test_a_full_journal_that_is_turned_over_loses_no_id(api: Journal, tmp_path: Path) -> None:
    loop = Journal(tmp_path / "events.jsonl", "reconciler", largest=300)
    api.request = lambda: "one"
    api.add(Event("declared", "x", "web"))
    for _ in range(12):
        loop.add(Event("started", "again and again", "web"))
    assert {event.id for event in loop.tail(100).events} == {"one"}


def test_what_follows_an_edit_by_hand_goes_back_to_the_edit(api: Journal, loop: Journal) -> None:
    api.request = lambda: "one"
    api.add(Event("declared", "x", "web"))
    api.add(Event("declared", "x", "db"))
    # A request may be the first to see that the file was edited.
    api.add(Event("edited", "x", apps=("web", "new")))
    for app in ("web", "new", "db"):
        loop.add(Event("started", "x", app))
    *_, (kind, edit), (_, web), (_, new), (_, db) = ids(loop)
    assert (kind, len(edit), web, new, db) == ("edited", 8, edit, edit, "one")


def test_what_a_request_only_brings_is_not_its_own() -> None:
    assert is_of_request(Event("declared", "x", "web"))
    assert is_of_request(Event("cordoned", "x", node="node-1"))
    assert not is_of_request(Event("scheduled", "x", "web"))
    assert not is_of_request(Event("started", "x", "web", source="agent@node-1"))


def test_a_change_that_no_request_made_has_an_id_too(api: Journal, loop: Journal) -> None:
    api.add(Event("declared", "x", "web"))
    loop.add(Event("started", "x", "web"))
    (_, first), (_, second) = ids(loop)
    assert (len(first), second) == (8, first)


@pytest.mark.parametrize("as_json", [True, False])
def test_events_are_lines_of_json_logs_and_not_of_those_for_people(
    as_json: bool, loop: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, out = logging.getLogger(), io.StringIO()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr("sys.stderr", out)
    before = root.level
    try:
        logs.set_up(as_json=as_json)
        loop.add(Event("updated", "web is updated", "web", id="one"))
        events = out.getvalue()
        logging.getLogger("x").info("it said %s", "\x1b[2Jgone\nand more")
        said = out.getvalue().removeprefix(events)
    finally:
        root.setLevel(before)
    assert "\x1b" not in said
    if not as_json:
        assert events == ""
        assert said.endswith("Z it said \\x1b[2Jgone\nand more\n")
        return
    told = json.loads(events)
    assert (told["logger"], told["kind"], told["app"], told["id"], told["message"]) == (
        "events", "updated", "web", "one", "web is updated",
    )  # fmt: skip
