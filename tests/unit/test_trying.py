"""A drain whose app cannot start elsewhere yet: it waits, says for what, and not for ever."""

from __future__ import annotations

import pytest

from duckconf.beside import OWN_COPY
from duckconf.cli.fleet.trying import TRIED_FOR, Trying
from duckconf.errors import DuckconfError


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
    with pytest.raises(DuckconfError, match=r"db cannot move: disk full \(tried for 60 s\)") as caught:
        drain.failed("db", "disk full", "disk full")
    assert caught.value.remedy == "its container on n1 stays until then; to cancel the drain: ./inv uncordon n1"


def test_where_no_later_try_could_work_nothing_is_waited_for() -> None:
    with pytest.raises(DuckconfError, match="web cannot move"):
        Trying("n1").failed("web", f"n2: port 80/tcp {OWN_COPY} n1", "port")
