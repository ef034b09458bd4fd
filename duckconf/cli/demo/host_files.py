"""The files that a demo host is born with: its keys, and the archive in which they are put into its container."""

from __future__ import annotations

import io
import tarfile

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# The name server of a podman network loses queries while a container comes or goes. One costs a second then; else it is five, and
# twenty with the machine's own server behind it, and the agents' heartbeats wait for that.
RESOLVER = ("--dns-option=timeout:1", "--dns-option=attempts:1")


def new_key() -> tuple[bytes, str]:
    """An ed25519 key pair in OpenSSH's formats: private file, public line without a comment."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private, public.decode()


def tar(files: list[tuple[str, int, bytes]]) -> bytes:
    """An archive of (name, mode, content), owned by root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in ("root/.ssh",):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o700
            archive.addfile(entry)
        for name, mode, content in files:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
