"""A backup as bytes: what went in comes out, and of a bad file nothing ever does."""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from duckconf.backup import (
    AHEAD,
    FORMAT,
    MANIFEST,
    UNREAD,
    Manifest,
    continued,
    may_hold,
    require_cluster,
    surviving,
    with_header,
    without_header,
)
from duckconf.cli.cluster import backup_file
from duckconf.cli.cluster.backup import backup, restore
from duckconf.cli.cluster.backup_file import Backup, packed, read_passphrase, unpacked
from duckconf.control_plane import ETCD
from duckconf.control_plane import FILES as IN_FILES
from duckconf.desired import empty_document, marked, read_document
from duckconf.errors import BadInput, Conflict, DuckconfError, NotFound, SetupError
from duckconf.reach.inventory.project import Project
from duckconf.settings import Settings

PASSPHRASE = b"correct horse battery"
MADE = Manifest("demo", "reconcile", 1_700_000_000.0, "0.1.0")
FILES = {"history.json": b"{}", "tokens/node-1": b"secret token", "tls/ca.key": b"key"}
Entry = tuple[tarfile.TarInfo, bytes]


def entry(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> Entry:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(content)
    return info, content


def archive(*entries: Entry) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:") as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def zipped(content: bytes) -> bytes:
    """Without the time: it would be part of the name of a test, which each test worker must find alike."""
    return gzip.compress(content, mtime=0)


def sealed(content: bytes) -> bytes:
    return with_header(backup_file._vault(PASSPHRASE).encrypt(content))


def manifest(**other: object) -> Entry:
    return entry(MANIFEST, json.dumps({**MADE.to_json(), **other}).encode())


def test_what_went_in_comes_out_and_is_not_to_be_read_in_between() -> None:
    content = packed(Backup(MADE, FILES), PASSPHRASE)
    assert unpacked(content, PASSPHRASE, "x") == Backup(MADE, FILES)
    assert b"secret token" not in content


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda _: b"", "is no backup"),
        (lambda _: b"PK\x03\x04 something else", "is no backup"),
        (lambda content: content[:-100], "is cut"),
        (lambda content: content[:40], "is no backup"),
        (lambda content: content[:-2] + b"zz", "is damaged"),
        (lambda content: content.replace(b"backup 1 ", b"backup 2 ", 1), "format 2, and this Duckconf reads up to 1"),
    ],
)
def test_a_file_that_is_cut_damaged_newer_or_none_is_told_apart(change: Callable[[bytes], bytes], words: str) -> None:
    assert FORMAT == 1
    with pytest.raises(BadInput, match=words):
        unpacked(change(packed(Backup(MADE, FILES), PASSPHRASE)), PASSPHRASE, "x")


def test_another_passphrase_opens_nothing() -> None:
    with pytest.raises(BadInput, match="the passphrase is not the one"):
        unpacked(packed(Backup(MADE, FILES), PASSPHRASE), b"wrong horse battery", "x")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no gzip", "holds no archive"),
        (zipped(b"no tar" * 200), "holds no archive"),
        (zipped(archive(manifest()))[:-9], "cut archive"),
        (zipped(archive(entry("history.json", b"{}"))), "lacks its manifest"),
        (zipped(archive(entry(MANIFEST, b"[]"))), "cannot be read"),
        (zipped(archive(manifest(mode="chaos"))), "'chaos'"),
        (zipped(archive(manifest(), entry("../history.json", b"{}"))), "belongs into no backup"),
        (zipped(archive(manifest(), entry("tokens/../../x", b"{}"))), "belongs into no backup"),
        (zipped(archive(manifest(), entry("/etc/passwd", b"{}"))), "belongs into no backup"),
        (zipped(archive(manifest(), entry("mode", b"push"))), "belongs into no backup"),
        (zipped(archive(manifest(), entry("history.json", kind=tarfile.SYMTYPE, link="/etc/passwd"))), "no backup"),
        (zipped(archive(manifest(), entry("history.json", kind=tarfile.LNKTYPE, link=MANIFEST))), "no backup"),
        (zipped(archive(manifest(), entry("history.json", b"{}"), entry("history.json", b"[]"))), "no backup"),
        (zipped(archive(manifest(), entry("history.json", b"{"))), "holds a history.json that cannot be read"),
        (zipped(archive(manifest(), entry("desired_state.csv", b"\xff"))), "holds a desired_state.csv that cannot"),
    ],
)
def test_an_archive_that_backup_never_wrote_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        unpacked(sealed(content), PASSPHRASE, "x")


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_file, "LARGEST_CONTENT", 1 << 20)
    with pytest.raises(BadInput, match="more than 1 MiB"):
        unpacked(sealed(gzip.compress(bytes(4 << 20))), PASSPHRASE, "x")


def test_the_first_line_is_bounded() -> None:
    with pytest.raises(BadInput, match="is no backup"):
        without_header(b"duckconf-backup " + b"1" * 10_000 + b"\n", "x")


def test_another_clusters_backup_is_refused() -> None:
    with pytest.raises(BadInput, match=r"is of cluster demo, and this is cluster other; .* or DUCKCONF_CLUSTER=demo"):
        require_cluster(MADE, "other", "x")


def test_names_with_another_folder_in_them_are_none() -> None:
    assert all(map(may_hold, ("tokens/node-1", "host-keys/node-1.pub", "secrets.json")))
    assert not any(
        map(may_hold, ("tokens/", "tokens/a/b", "tokens/..", "./secrets.json", "tls/../secrets.json", "mode", "restored"))
    )


def test_a_new_control_plane_counts_on_after_what_the_lost_one_may_have_counted_since() -> None:
    before = marked(empty_document(), 41, 7)
    after = read_document(continued(before.text(), 1000.0))
    assert (after.revision, after.next_number, after.apps()) == (41 + AHEAD, 7, {})


@pytest.mark.parametrize(
    ("counted", "expected"), [(41, 1_800_000_000), (1_799_999_000, 1_800_000_000), (1_800_000_005, 1_800_000_006)]
)
def test_generations_that_follow_the_clock_are_not_counted_into_its_future(counted: int, expected: int) -> None:
    # A snapshot that is restored later relies on the clock.
    before = marked(empty_document(), counted, 7)
    assert read_document(continued(before.text(), 1.8e9)).revision == expected


def test_the_state_of_a_control_plane_that_is_still_there_is_found_and_never_guessed() -> None:
    assert surviving({"a": "", "b": ""}) == ""
    assert surviving({"a": UNREAD, "b": ETCD}) == ETCD
    # A move into etcd that was interrupted.
    assert surviving({"a": IN_FILES, "b": ETCD}) == IN_FILES
    with pytest.raises(SetupError, match="a, c has data of etcd, which no majority of its members serves"):
        surviving({"c": UNREAD, "b": "", "a": UNREAD})


def project(root: Path, cluster: str = "demo") -> Project:
    return Project(root, Settings(), cluster)


def push_cluster(root: Path) -> Project:
    one = project(root)
    (one.state / "tokens").mkdir(parents=True)
    for name, content in {"mode": "push\n", "cordoned": "node-1\n", "known_hosts": "pin\n", "tokens/node-1": "t\n"}.items():
        (one.state / name).write_text(content)
    return one


def passphrase(folder: Path, text: str = "correct horse battery\n") -> str:
    (folder / "passphrase").write_text(text)
    return str(folder / "passphrase")


def test_a_state_folder_is_written_and_put_back_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, file, secret = push_cluster(tmp_path / "one"), tmp_path / "it", passphrase(tmp_path)
    backup(one, str(file), secret, force=False, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["cluster"], told["mode"], told["files"]) == ("demo", "push", ["cordoned", "known_hosts", "tokens/node-1"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()
    with pytest.raises(Conflict, match="--force"):
        backup(one, str(file), secret, force=False, as_json=True)
    assert file.read_bytes() == before
    other = project(tmp_path / "other")
    restore(other, str(file), secret, as_json=True)
    assert json.loads(capsys.readouterr().out)["next"] == "./inv up push"
    kept = {path.relative_to(other.state).as_posix(): path.read_text() for path in other.state.rglob("*") if path.is_file()}
    assert kept == {
        "mode": "push\n",
        "cordoned": "node-1\n",
        "known_hosts": "pin\n",
        "tokens/node-1": "t\n",
        "restored": "push\n",
    }
    with pytest.raises(Conflict, match="holds a cluster already"):
        restore(other, str(file), secret, as_json=True)


@pytest.mark.parametrize(
    ("cluster", "text", "words"),
    [("other", "correct horse battery\n", "is of cluster demo"), ("demo", "wrong horse battery\n", "passphrase")],
)
def test_what_is_refused_writes_nothing(tmp_path: Path, cluster: str, text: str, words: str) -> None:
    file = tmp_path / "it"
    backup(push_cluster(tmp_path / "one"), str(file), passphrase(tmp_path), force=False, as_json=True)
    other = project(tmp_path / "other", cluster)
    with pytest.raises(BadInput, match=words):
        restore(other, str(file), passphrase(tmp_path, text), as_json=True)
    assert not other.state.exists()


def test_a_backup_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = push_cluster(tmp_path / "one")

    def fails(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    (tmp_path / "to").mkdir()
    with pytest.raises(DuckconfError, match="No space left"):
        backup(one, str(tmp_path / "to" / "it"), passphrase(tmp_path), force=False, as_json=True)
    assert list((tmp_path / "to").iterdir()) == []


def test_a_restore_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "it"
    backup(push_cluster(tmp_path / "one"), str(file), passphrase(tmp_path), force=False, as_json=True)
    other, replace = project(tmp_path / "other"), os.replace

    def full_at_the_mode(source: Path, target: Path) -> None:
        if target.name == "mode":
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full_at_the_mode)
    with pytest.raises(DuckconfError, match="No space left"):
        restore(other, str(file), passphrase(tmp_path), as_json=True)
    assert [path for path in other.state.rglob("*") if path.is_file()] == []


def test_a_restore_that_is_interrupted_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "it"
    backup(push_cluster(tmp_path / "one"), str(file), passphrase(tmp_path), force=False, as_json=True)
    other, replace = project(tmp_path / "other"), os.replace

    def interrupted_at_the_mode(source: Path, target: Path) -> None:
        if target.name == "mode":
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", interrupted_at_the_mode)
    with pytest.raises(KeyboardInterrupt):
        restore(other, str(file), passphrase(tmp_path), as_json=True)
    assert [path for path in other.state.rglob("*") if path.is_file()] == []


def test_a_cluster_that_never_was_up_and_a_folder_that_is_none_are_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no state here"):
        backup(project(tmp_path), str(tmp_path / "it"), "", force=False, as_json=False)
    one = push_cluster(tmp_path)
    for typed in ("", str(tmp_path), str(tmp_path / "no" / "it")):
        with pytest.raises(BadInput, match="FILE"):
            backup(one, typed, "", force=False, as_json=False)


def test_what_is_no_plain_file_is_never_replaced_by_one(tmp_path: Path) -> None:
    one, pipe = push_cluster(tmp_path / "one"), tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(BadInput, match="should be a plain file"):
        backup(one, str(pipe), passphrase(tmp_path), force=True, as_json=True)
    assert pipe.is_fifo()


@pytest.mark.parametrize("text", ["", "short\n", "\nlong enough in the second line\n"])
def test_a_passphrase_that_is_short_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput, match="at least 8"):
        read_passphrase(passphrase(tmp_path, text), again=True)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (EOFError(), "was not typed"),
        (UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "bad"), "--passphrase-file"),
        ("short", "at least 8"),
    ],
)
def test_a_passphrase_that_a_terminal_does_not_give_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch, typed: str | Exception, words: str
) -> None:
    def answers(_: str) -> str:
        if isinstance(typed, Exception):
            raise typed
        return typed

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(backup_file, "getpass", answers)
    with pytest.raises(BadInput, match=words):
        read_passphrase("", again=False)
