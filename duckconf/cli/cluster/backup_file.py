"""A backup as bytes: files into one archive, encrypted by Ansible's vault, and out of it again.

What comes out was checked: a bomb, a path that leads elsewhere or a link never reaches the disk.
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
import zlib
from collections.abc import Mapping
from getpass import getpass
from pathlib import Path
from typing import NamedTuple

from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib, VaultSecret

from duckconf.backup import (
    LARGEST_CONTENT,
    LARGEST_FILE,
    MANIFEST,
    SHORTEST_PASSPHRASE,
    Manifest,
    may_hold,
    read_manifest,
    require_readable,
    with_header,
    without_header,
)
from duckconf.cli.cluster.modes import MODES
from duckconf.cli.terminal.edge import typed_path
from duckconf.errors import BadInput, Fault

GZIP = 16 + zlib.MAX_WBITS


class Backup(NamedTuple):
    """`files` are by their names below the state folder."""

    manifest: Manifest
    files: Mapping[str, bytes]


def packed(backup: Backup, passphrase: bytes) -> bytes:
    """The content of the file."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        manifest = json.dumps(backup.manifest.to_json(), indent=1).encode() + b"\n"
        for name, content in {MANIFEST: manifest, **backup.files}.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), 0o600, int(backup.manifest.made)
            tar.addfile(entry, io.BytesIO(content))
    return with_header(_vault(passphrase).encrypt(archive.getvalue()))


def unpacked(content: bytes, passphrase: bytes, what: str) -> Backup:
    """What the file `what` holds. Raises BadInput, whatever is wrong with it."""
    try:
        archive = _vault(passphrase).decrypt(without_header(content, what))
    except AnsibleError:
        raise BadInput(Fault(what, "cannot be decrypted: the passphrase is not the one that it was made with")) from None
    files = _members(_inflated(archive, what), what)
    if MANIFEST not in files:
        raise BadInput(Fault(what, f"lacks its {MANIFEST}"))
    manifest = read_manifest(files.pop(MANIFEST), what, MODES)
    require_readable(files, what)
    return Backup(manifest, files)


def read_file(path: Path, what: str) -> bytes:
    """Raises BadInput."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise BadInput(Fault(what, f"cannot be read: {error.strerror}")) from None
    if len(content) > LARGEST_FILE:
        raise BadInput(Fault(what, f"is larger than {LARGEST_FILE >> 20} MiB: it is no backup of Duckconf"))
    return content


def read_passphrase(file: str, *, again: bool) -> bytes:
    """From the first line of a file, or from the terminal, typed twice with `again`. Raises BadInput."""
    if file:
        try:
            with Path(typed_path(file)).expanduser().open("rb") as stream:
                typed = stream.readline(4096).rstrip(b"\r\n")
        except OSError as error:
            raise BadInput(Fault("--passphrase-file", f"{file} cannot be read: {error.strerror}")) from None
        return _checked(typed, "--passphrase-file")
    if not sys.stdin.isatty():
        raise BadInput(Fault("stdin", "is no terminal to ask for the passphrase; name a file: --passphrase-file FILE"))
    typed = _asked("passphrase: ")
    if again and _asked("again: ") != typed:
        raise BadInput(Fault("passphrase", "was typed in two ways; nothing is written"))
    return _checked(typed, "passphrase")


def _asked(prompt: str) -> bytes:
    try:
        return getpass(prompt).encode()
    except EOFError:
        raise BadInput(Fault("passphrase", "was not typed; nothing is written")) from None
    except UnicodeError:
        raise BadInput(
            Fault("passphrase", "cannot be read as text of this terminal; name a file: --passphrase-file FILE")
        ) from None


def _checked(typed: bytes, where: str) -> bytes:
    if len(typed) < SHORTEST_PASSPHRASE:
        raise BadInput(Fault(where, f"should have at least {SHORTEST_PASSPHRASE} characters, got {len(typed)}"))
    return typed


def _vault(passphrase: bytes) -> VaultLib:
    return VaultLib([("default", VaultSecret(passphrase))])


def _inflated(archive: bytes, what: str) -> bytes:
    reader = zlib.decompressobj(GZIP)
    try:
        content = reader.decompress(archive, LARGEST_CONTENT)
    except zlib.error as error:
        raise BadInput(Fault(what, f"holds no archive: {error}")) from None
    if not reader.eof:
        raise BadInput(Fault(what, f"holds a cut archive, or one of more than {LARGEST_CONTENT >> 20} MiB"))
    return content


def _members(content: bytes, what: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
            for entry in tar:
                known = entry.name == MANIFEST or may_hold(entry.name)
                reader = tar.extractfile(entry) if known and entry.isreg() and entry.name not in found else None
                if reader is None:
                    raise BadInput(Fault(what, f"holds {entry.name[:80]!r}, which belongs into no backup"))
                found[entry.name] = reader.read()
    except tarfile.TarError as error:
        raise BadInput(Fault(what, f"holds no archive: {error}")) from None
    return found
