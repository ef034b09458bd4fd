"""`cp`: what is typed, where files go, and what a container cannot make us write."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from duckconf.cli.apps.copy import Unpacking, packed
from duckconf.copying import Copy, Place, is_folder, named, parse_copy
from duckconf.errors import BadInput, DuckconfError


@pytest.mark.parametrize(
    ("source", "target", "meant"),
    [
        ("web:/etc/nginx", "./nginx", Copy(Place("web", "/etc/nginx"), Place("", "./nginx"))),
        ("web.2:log", ".", Copy(Place("web.2", "/log"), Place("", "."))),
        ("./a:b", "web:/tmp/", Copy(Place("", "./a:b"), Place("web", "/tmp/"))),
        ("/a:b", "web:/x:y", Copy(Place("", "/a:b"), Place("web", "/x:y"))),
        ("-", "web:/tmp", Copy(Place("", "-"), Place("web", "/tmp"))),
    ],
)
def test_one_side_is_in_a_container(source: str, target: str, meant: Copy) -> None:
    assert parse_copy(source, target) == meant


@pytest.mark.parametrize(("source", "target"), [("a", "b"), ("web:/a", "db:/b"), ("web:", "b")])
def test_what_cannot_be_meant_is_refused_with_an_example(source: str, target: str) -> None:
    with pytest.raises(BadInput, match="such as web:/etc/nginx"):
        parse_copy(source, target)


def test_a_name_is_kept_in_a_folder_that_is_there() -> None:
    assert named("/etc/nginx/", "/srv", folder_there=True) == ("/srv", "nginx")
    assert named("/etc/nginx", "/srv/conf/", folder_there=False) == ("/srv", "conf")
    assert named("/etc/nginx", "/conf", folder_there=False) == ("/", "conf")


def test_nothing_that_is_typed_is_read_by_a_shell() -> None:
    command = is_folder("web", "/a'; reboot #")
    assert command.argv[-1] == "web:/a'; reboot #"
    assert "reboot" not in "".join(command.argv[:-1])


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(mode="w|", fileobj=stream) as made:
        for member, content in members:
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.mode, found.uid = kind, link, 0o4755, 12345
    return found


def unpacked(folder: Path, name: str, content: bytes) -> Unpacking:
    unpacking = Unpacking(folder, name, 1)
    with unpacking.fed() as feed:
        for begin in range(0, len(content), 100):
            feed(content[begin : begin + 100])
    unpacking.require_done()
    return unpacking


def test_files_come_under_their_new_name_with_links_among_them(tmp_path: Path) -> None:
    content = archive(
        (member("data", tarfile.DIRTYPE), b""),
        (member("data/f"), b"quack"),
        (member("data/hard", tarfile.LNKTYPE, "data/f"), b""),
        (member("data/soft", tarfile.SYMTYPE, "f"), b""),
    )
    done = unpacked(tmp_path, "mine", content)
    assert (done.files, done.left) == (1, [])
    assert [(tmp_path / "mine" / name).read_text() for name in ("f", "hard", "soft")] == ["quack"] * 3
    assert (tmp_path / "mine" / "f").stat().st_mode & 0o7000 == 0
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_container_cannot_write_outside_the_folder_that_was_named(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    content = archive(
        (member("data", tarfile.DIRTYPE), b""),
        (member("data/../../outside/a"), b"bad"),
        (member("data/out", tarfile.SYMTYPE, str(outside)), b""),
        (member("data/up", tarfile.SYMTYPE, "../../outside"), b""),
        (member("data/up/b"), b"bad"),
        (member("data/device", tarfile.CHRTYPE), b""),
        (member("data/pipe", tarfile.FIFOTYPE), b""),
        (member("data/good"), b"good"),
    )
    done = unpacked(inside, "mine", content)
    assert list(outside.iterdir()) == []
    assert (inside / "mine" / "good").read_text() == "good"
    assert not (inside / "mine" / "pipe").exists()
    assert [left.partition(": ")[0] for left in done.left] == [
        "data/../../outside/a", "data/out", "data/up", "data/device", "data/pipe",
    ]  # fmt: skip


def test_what_is_no_archive_is_told(tmp_path: Path) -> None:
    with pytest.raises(DuckconfError, match="no archive"):
        unpacked(tmp_path, "x", b"Error: " * 200)


def test_what_is_sent_is_roots_and_comes_under_its_new_name(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 100_000)
    content = b"".join(packed(tmp_path / "f", "g"))
    with tarfile.open(fileobj=io.BytesIO(content)) as found:
        assert [(one.name, one.uid, one.uname, one.size) for one in found] == [("g", 0, "root", 100_000)]


def test_who_leaves_before_the_end_ends_the_packing(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 1_000_000)
    pieces = packed(tmp_path / "f", "g")
    assert next(pieces)
    pieces.close()  # type: ignore[attr-defined]
