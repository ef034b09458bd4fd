"""A thread that waits for news is woken by the kernel's word about a file that another process wrote."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from duckconf.events import Event
from duckconf.reach.state import news as news_of
from duckconf.reach.state.journal import FILE_NAME, Journal
from duckconf.reach.state.news import NOT_TOLD, News, of_folder

WRITE = "import sys; open(sys.argv[1], 'a').write('x')"
REPLACE = "import os, sys; open(sys.argv[1] + '.new', 'w').close(); os.replace(sys.argv[1] + '.new', sys.argv[1])"


@pytest.mark.parametrize("how", [WRITE, REPLACE])
def test_another_process_that_writes_the_file_wakes_who_waits(tmp_path: Path, how: str) -> None:
    news = of_folder(tmp_path, ("wanted",))
    news.again = 30.0
    seen = news.count
    subprocess.run([sys.executable, "-c", how, str(tmp_path / "other")], check=True)
    subprocess.run([sys.executable, "-c", how, str(tmp_path / "wanted")], check=True)
    begun = time.monotonic()
    assert news.wait(seen, 10.0) > seen
    assert time.monotonic() - begun < 5.0


def test_a_file_that_nobody_asked_for_wakes_nobody(tmp_path: Path) -> None:
    news = of_folder(tmp_path, ("wanted",))
    (tmp_path / "other").write_text("x")
    assert news.wait(0, 0.2) == 0


def test_where_the_kernel_tells_nothing_who_waits_looks_again_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news_of, "_watch", lambda _: (_ for _ in ()).throw(OSError(38, "no inotify")))
    begun = time.monotonic()
    assert of_folder(tmp_path, ("wanted",)).wait(0, 10.0) == 0
    assert NOT_TOLD <= time.monotonic() - begun < 2.0


def test_an_event_of_another_process_ends_a_wait_for_events_at_once(tmp_path: Path) -> None:
    news = of_folder(tmp_path, (FILE_NAME,))
    news.again = 30.0
    mine, theirs = Journal(tmp_path / FILE_NAME, "api", news=news), Journal(tmp_path / FILE_NAME, "reconciler")
    cursor = mine.tail(0).cursor
    theirs.add(Event("started", "web started"))
    begun = time.monotonic()
    assert [event.message for event in mine.wait(cursor, 10.0).events] == ["web started"]
    assert time.monotonic() - begun < 5.0


def test_own_news_wakes_all_who_wait() -> None:
    news = News(30.0)
    news.tell()
    assert news.wait(0, 10.0) == 1
