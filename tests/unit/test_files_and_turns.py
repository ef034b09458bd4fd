"""What is acknowledged is on disk, one process owns a folder, and no number is given twice."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from api.turns import TurnBook
from duckconf.errors import SetupError
from duckconf.reach.state.files import FolderLock, GroupCommit, write_durably


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state"
    write_durably(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_durably(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_every_writers_change_is_in_the_file_when_its_save_returns(tmp_path: Path) -> None:
    path, seen = tmp_path / "state", set[int]()
    commit = GroupCommit(path, lambda: " ".join(map(str, sorted(seen.copy()))).encode())

    def write(number: int) -> bool:
        seen.add(number)
        commit.save()
        return str(number) in path.read_text().split()

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(write, range(200)))


def test_a_second_process_is_refused_and_told_who_holds_the_folder(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path / "lock", "the first")
    path = str(tmp_path / "lock")
    program = f"from pathlib import Path; from duckconf.reach.state.files import FolderLock; FolderLock(Path({path!r}), 'x')"
    refused = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "in use by the first" in refused.stderr
    lock.release()
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0


def test_forty_threads_take_forty_turns_and_a_restart_goes_on(tmp_path: Path) -> None:
    book = TurnBook(tmp_path / "push.json")
    with ThreadPoolExecutor(40) as pool:
        turns = list(pool.map(lambda _: book.take(), range(40)))
    assert sorted(turn.number for turn in turns) == list(range(1, 41))
    assert sorted(turn.position for turn in turns) == list(range(40))
    assert TurnBook(tmp_path / "push.json", first_number=7).take() == (41, 40)


def test_doubts_survive_a_restart_until_they_are_settled(tmp_path: Path) -> None:
    TurnBook(tmp_path / "push.json").doubt("node-1", "c")
    book = TurnBook(tmp_path / "push.json")
    assert book.doubts("node-1") == ("c",)
    book.settle("node-1", "c")
    book.settle("node-1", "c")
    assert TurnBook(tmp_path / "push.json").doubts("node-1") == ()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"next_number": 1}', '{"next_number": "x", "next_position": 0, "doubts": {}}']
)
def test_a_book_that_cannot_be_read_is_an_error_and_not_a_new_start(tmp_path: Path, content: str) -> None:
    (tmp_path / "push.json").write_text(content)
    with pytest.raises(SetupError, match=r"push\.json"):
        TurnBook(tmp_path / "push.json")
