"""The secrets of a cluster in one file that only its owner can read: of the loop in the project's state folder, of the
api-server in its own, and on a node those that its agent needs.

Each has a salt, which stays when the same value is set again, so that nothing is replaced for that.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from duckconf import secrets as decisions
from duckconf.desired import Desired
from duckconf.errors import NotFound, NotNow
from duckconf.reach.state.files import write_durably
from duckconf.secrets import KeptSecret, value_at
from duckconf.suggest import meant

FILE_NAME = "secrets.json"
SALT_BYTES = 16


class Secrets(Protocol):
    """For many threads."""

    def current(self) -> Mapping[str, KeptSecret]:
        """Raises NotNow where they cannot be read."""

    def revisions(self) -> dict[str, str]: ...

    def put(self, name: str, value: bytes, now: float, salt: bytes = b"") -> tuple[KeptSecret, bool]:
        """What is kept safely then, and whether that is news. Raises NotNow, OSError."""

    def remove(self, name: str) -> None:
        """Raises NotFound, NotNow, OSError."""


def after_put(before: KeptSecret | None, value: bytes, now: float, salt: bytes) -> KeptSecret:
    """The same one, where nothing changes."""
    if before is not None and before.value == value and salt in (b"", before.salt):
        return before
    return KeptSecret(value, salt or secrets.token_bytes(SALT_BYTES), now)


def require_there(name: str, kept: Mapping[str, KeptSecret]) -> None:
    """Raises NotFound."""
    if name not in kept:
        raise NotFound(f"there is no secret {name}{meant(name, kept)}", "see ./inv secret list")


class SecretFile:
    """For many threads and processes: a writer holds a lock, and a reader sees the whole file as one wrote it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._secrets: dict[str, KeptSecret] = {}

    def current(self) -> Mapping[str, KeptSecret]:
        """Raises NotNow for a file that cannot be read."""
        with self._lock:
            try:
                status = self.path.stat()
                if (stamp := (status.st_mtime_ns, status.st_ino)) != self._stamp:
                    self._secrets, self._stamp = _read(self.path), stamp
            except FileNotFoundError:
                self._secrets, self._stamp = {}, None
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                # The file's own words may hold a value.
                raise NotNow(
                    f"{self.path} cannot be read ({type(error).__name__})", "restore it, or set the secrets again"
                ) from None
            return dict(self._secrets)

    def revisions(self) -> dict[str, str]:
        return {name: secret.revision for name, secret in self.current().items()}

    def value(self, name: str, revision: str) -> bytes:
        """Raises DuckconfError when there is no such value any more."""
        return value_at(self.current(), name, revision)

    def put(self, name: str, value: bytes, now: float, salt: bytes = b"") -> tuple[KeptSecret, bool]:
        """What is kept on disk then, and whether that is news. Raises OSError."""
        with self._writing() as kept:
            before = kept.get(name)
            after = after_put(before, value, now, salt)
            if after is not before:
                self._write({**kept, name: after})
            return after, after is not before

    def remove(self, name: str) -> None:
        """Raises NotFound."""
        with self._writing() as kept:
            require_there(name, kept)
            self._write({other: secret for other, secret in kept.items() if other != name})

    def replace(self, kept: Mapping[str, KeptSecret]) -> None:
        """Keep these and no others."""
        with self._writing() as before:
            if before != kept:
                self._write(kept)

    @contextmanager
    def _writing(self) -> Iterator[Mapping[str, KeptSecret]]:
        descriptor = os.open(self.path.with_name(f".{self.path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield self.current()
        finally:
            os.close(descriptor)

    def _write(self, kept: Mapping[str, KeptSecret]) -> None:
        content = {name: to_json(secret) for name, secret in sorted(kept.items())}
        write_durably(self.path, json.dumps({"secrets": content}, indent=1).encode() + b"\n")


def resolved(desired: Desired, file: SecretFile) -> tuple[Desired, tuple[str, ...]]:
    """The desired state at the revisions of the secrets, and in words which apps are left as they are."""
    try:
        return decisions.resolved(desired, file.revisions())
    except NotNow as trouble:
        return decisions.resolved(desired, {})[0], (f"{trouble}; apps with secrets are left unchanged",)


def to_json(secret: KeptSecret) -> dict[str, Any]:
    """With its value."""
    encoded = {key: base64.b64encode(text).decode() for key, text in (("value", secret.value), ("salt", secret.salt))}
    return {**encoded, "since": secret.since}


def from_json(entry: Any) -> KeptSecret:
    """Raises ValueError, KeyError or TypeError."""
    value, salt = (base64.b64decode(entry[key], validate=True) for key in ("value", "salt"))
    return KeptSecret(value, salt, float(entry["since"]))


def _read(path: Path) -> dict[str, KeptSecret]:
    content = json.loads(path.read_bytes())
    return {str(name): from_json(entry) for name, entry in content["secrets"].items()}
