"""known_hosts lines mean what they mean to OpenSSH, and a bad one hides no other."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from duckconf.known_hosts import Book, HostKey, expected
from duckconf.reach.ssh.host_keys import KnownHosts


def key(number: int, kind: str = "ssh-ed25519") -> HostKey:
    return HostKey(kind, len(kind).to_bytes(4, "big") + kind.encode() + b"\0\0\0\x20" + bytes([number]) * 32)


def line(patterns: str, wanted: HostKey, marker: str = "") -> str:
    return f"{marker} {patterns} {wanted.kind} {base64.b64encode(wanted.blob).decode()} a comment\n".lstrip()


@pytest.mark.parametrize(
    "bad",
    [
        b"\xff\xfe\x00",
        b"web-1",
        b"web-1 ssh-ed25519",
        b"web-1 ssh-ed25519 AAAAC3N",
        b"web-1 ssh-ed25519 !!!!",
        b"web-1 1024 35 1234567",
        b"@unheard-of web-1 ssh-ed25519 AAAA",
        b"|1|broken ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEB",
        "@revoked é".encode(),
    ],
)
def test_a_bad_line_is_told_and_hides_no_other(bad: bytes) -> None:
    book = Book(b"# comment\n\n" + bad + b"\n" + line("web-1", key(1)).encode())
    assert [number for number, _ in book.faults] == [3]
    assert expected([book], "web-1").keys == (key(1),)


def test_every_key_of_a_host_is_expected_and_of_one_type_too() -> None:
    text = line("web-1", key(1)) + line("web-1,10.0.0.1", key(2)) + line("web-1", key(3, "ssh-rsa"))
    assert set(expected([Book(text.encode())], "WEB-1").keys) == {key(1), key(2), key(3, "ssh-rsa")}


@pytest.mark.parametrize(
    ("patterns", "name", "found"),
    [
        ("*.example", "a.example", True),
        ("web-?", "web-1", True),
        ("web-?", "web-11", False),
        ("*.example,!b.example", "b.example", False),
        ("!b.example,*.example", "c.example", True),
        ("[127.0.0.1]:*", "[127.0.0.1]:2222", True),
        ("a.example", "axexample", False),
        ("!a.example", "b.example", False),
    ],
)
def test_patterns_match_as_in_openssh(patterns: str, name: str, found: bool) -> None:
    assert bool(expected([Book(line(patterns, key(1)).encode())], name).keys) is found


def test_hashed_names_of_openssh_are_found(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(line("web-1", key(1)))
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(path)], check=True, capture_output=True)
    assert path.read_text().startswith("|1|")
    assert expected([Book(path.read_bytes())], "web-1").keys == (key(1),)
    assert expected([Book(path.read_bytes())], "web-2").keys == ()


def test_the_first_file_that_names_a_host_decides_and_any_may_revoke(tmp_path: Path) -> None:
    ours, own, other = (tmp_path / name for name in ("ours", "own", "other"))
    ours.write_text(line("[h]:2222", key(1)))
    own.write_text(line("[h]:2222", key(2)) + line("*", key(1), "@revoked") + line("*.example", key(4), "@cert-authority"))
    other.write_text(line("alias", key(3)))
    known = KnownHosts(ours, own)
    assert known.expected("h", 2222).keys == (key(1),)
    assert known.expected("h", 2222).revoked == (key(1),)
    assert known.expected("a.example", 22).keys == ()
    assert known.expected("a.example", 22).authorities == (key(4),)
    assert known.expected("h", 2222, alias="alias", files=[other]).keys == (key(3),)
    assert known.faults() == []


def test_a_key_without_its_port_will_do_and_a_folder_in_place_of_the_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(line("h", key(1)))
    assert KnownHosts(path).expected("h", 2222).keys == (key(1),)
    assert "cannot be read" in KnownHosts(path, tmp_path).faults()[0]
