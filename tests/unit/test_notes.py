"""What is said of several instances stands once."""

from __future__ import annotations

from duckconf.cli.look.notes import grouped


def test_instances_with_one_reason_share_a_line_and_the_engines_words_are_not_repeated() -> None:
    words = "; the engine said: no such image"
    notes = [
        ("web", "no node fits"),
        ("db", f"held back for 3 s{words}"),
        ("web.2", "no node fits"),
        ("db.2", f"held back for 5 s{words}"),
    ]
    assert list(grouped(notes)) == [
        ("web, web.2", "no node fits"),
        ("db", f"held back for 3 s{words}"),
        ("db.2", "held back for 5 s; the engine said the same"),
    ]
    assert list(grouped([])) == []
