"""known_hosts lines as values, read and matched as OpenSSH does (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). Pure.

A line that cannot be read is a fault of that line and hides no other. `reach/ssh/host_keys.py` reads the files.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

REVOKED = "@revoked"
AUTHORITY = "@cert-authority"
HASHED = "|1|"
SSH_PORT = 22


@dataclass(frozen=True)
class HostKey:
    """A public key: its type, such as `ssh-ed25519`, and its bytes as they travel."""

    kind: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")


@dataclass(frozen=True)
class Entry:
    """One line: a marker ("" for none), the host patterns as written, and the key."""

    marker: str
    patterns: str
    key: HostKey

    def names(self, name: str) -> bool:
        """Whether the line is for the host `name`, which is in lower case. One negated match outweighs all others."""
        if self.patterns.startswith(HASHED):
            return _hashed_match(self.patterns, name)
        found = False
        for pattern in self.patterns.lower().split(","):
            negated = pattern.startswith("!")
            if _pattern(pattern.removeprefix("!")).fullmatch(name):
                if negated:
                    return False
                found = True
        return found


@dataclass(frozen=True)
class Expected:
    """What may be shown by one host: any of `keys`, none of `revoked`. `authorities` have their lines in known_hosts,
    and their certificates are not checked."""

    keys: tuple[HostKey, ...] = ()
    revoked: tuple[HostKey, ...] = ()
    authorities: tuple[HostKey, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(key.kind for key in self.keys))


class Book:
    """The entries of one file, found by name; `faults` has line number and reason of each line that cannot be read."""

    def __init__(self, content: bytes) -> None:
        self.faults: list[tuple[int, str]] = []
        self._plain: dict[str, list[Entry]] = {}
        self._others: list[Entry] = []
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            try:
                self._add(_entry(words))
            except ValueError as error:
                self.faults.append((number, str(error)))

    def about(self, name: str) -> list[Entry]:
        """Every entry for this host, in no order that matters."""
        name = name.lower()
        return [*self._plain.get(name, ()), *(entry for entry in self._others if entry.names(name))]

    def _add(self, entry: Entry) -> None:
        if re.search(r"[*?!|]", entry.patterns):
            self._others.append(entry)
            return
        for name in dict.fromkeys(entry.patterns.lower().split(",")):
            self._plain.setdefault(name, []).append(entry)


def expected(books: Iterable[Book], name: str) -> Expected:
    """The keys of the first book that has any for `name`; revocations of all books count."""
    entries = [book.about(name) for book in books]
    first = next((found for found in entries if any(entry.marker != REVOKED for entry in found)), [])
    return Expected(
        keys=_keys(first, ""), revoked=_keys(itertools.chain.from_iterable(entries), REVOKED), authorities=_keys(first, AUTHORITY)
    )  # fmt: skip


def _keys(entries: Iterable[Entry], marker: str) -> tuple[HostKey, ...]:
    return tuple(dict.fromkeys(entry.key for entry in entries if entry.marker == marker))


def entry_name(address: str, port: int) -> str:
    """The name of a host in known_hosts, as OpenSSH writes it."""
    return address if port == SSH_PORT else f"[{address}]:{port}"


def _entry(words: Sequence[str]) -> Entry:
    """Raises ValueError with what is wrong."""
    marker = words[0] if words[0].startswith("@") else ""
    if marker not in ("", REVOKED, AUTHORITY):
        raise ValueError(f"the marker {marker} is not known")
    fields = words[1:] if marker else words
    if len(fields) < 3:
        raise ValueError("should have a host name, a key type and a key")
    patterns, kind, text = fields[:3]
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the key is not base64") from None
    length = int.from_bytes(blob[:4], "big")
    if blob[4 : 4 + length] != kind.encode() or len(blob) <= 4 + length:
        raise ValueError(f"the key is cut off or is not of the type {kind[:40]}")
    if patterns.startswith(HASHED):
        _salt_and_digest(patterns)
    return Entry(marker, patterns, HostKey(kind, blob))


def _hashed_match(patterns: str, name: str) -> bool:
    salt, digest = _salt_and_digest(patterns)
    return hmac.compare_digest(hmac.digest(salt, name.encode(), "sha1"), digest)


def _salt_and_digest(patterns: str) -> tuple[bytes, bytes]:
    try:
        salt, digest = patterns.removeprefix(HASHED).split("|")
        return base64.b64decode(salt, validate=True), base64.b64decode(digest, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the hashed host name cannot be read") from None


def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern), re.DOTALL)
