"""A drain whose app cannot start elsewhere yet: it waits, says for what, and not for ever."""

from __future__ import annotations

import pytest

from duckconf.beside import OWN_COPY
from duckconf.cli.fleet.drained import not_empty
from duckconf.cli.fleet.trying import TRIED_FOR, Trying


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr("duckconf.cli.fleet.trying.time.monotonic", lambda: now[0])
    return now


def test_each_reason_is_said_once_and_a_move_gives_the_next_one_as_long(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    drain = Trying("n1")
    for now, words in ((0, "no such image"), (1, "no such image"), (50, "disk full")):
        clock[0] = now
        drain.failed("web", words, words)
    assert [line.split(": ")[1] for line in capsys.readouterr().err.splitlines()] == [
        "no such image; this is tried again for 60 s",
        "disk full; this is tried again for 60 s",
    ]
    drain.moved()
    clock[0] = 100
    drain.failed("db", "disk full", "disk full")
    clock[0] = 100 + TRIED_FOR + 1
    drain.failed("db", "disk full", "disk full")
    assert drain.stays == {"db": "disk full (tried for 60 s)"}


def test_where_no_later_try_could_work_nothing_is_waited_for() -> None:
    drain = Trying("n1")
    drain.failed("web", f"n2: port 80/tcp {OWN_COPY} n1", "port")
    assert list(drain.stays) == ["web"]


def test_what_is_given_up_keeps_its_first_reason_and_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    drain = Trying("n1")
    for why in ("no node fits", "later"):
        drain.cannot("web", why)
    drain.failed("web", "later", "later")
    assert (drain.stays, capsys.readouterr().err) == ({"web": "no node fits"}, "  web stays on n1: no node fits\n")


def test_the_end_names_all_that_stay_and_what_to_do() -> None:
    error = not_empty(["n1"], ["web.2", "db"], 3)
    assert str(error) == (
        "n1 is not empty: 3 apps moved, db, web.2 cannot move and run on there (make room and drain again, or withdraw them: "
        "./inv stop-app db; to cancel the drain: ./inv uncordon n1)"
    )
