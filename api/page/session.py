"""The session of a browser: a short-lived cookie in place of the operator's token, which the page keeps nowhere.

It is signed and not stored, so that it outlives a restart of the API. It ends with its time, and with the token that it was given
for. It counts only together with a header that no other site can send, so that a foreign page can use it for nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable
from pathlib import Path

from flask import request

from duckconf.reach.state.files import write_durably

FILE_NAME = "session.key"
# Seconds. An open page renews it long before.
LIFETIME = 30 * 60
KEY_LENGTH = 32
HEADER = "X-Duckconf-Page"
OWN_SITE = ("", "same-origin")


class Sessions:
    """Of one server. `mark` changes with the operator's token; `clock` is in seconds since the epoch."""

    def __init__(self, folder: Path, cluster: str, mark: Callable[[], str], clock: Callable[[], float]) -> None:
        self.name = f"duckconf-{cluster}"
        self._path = folder / FILE_NAME
        self._mark = mark
        self._clock = clock
        self._lock = threading.Lock()

    def open(self) -> str:
        """The value of a new cookie. Raises OSError."""
        until = f"{int(self._clock()) + LIFETIME}.{secrets.token_hex(8)}"
        return f"{until}.{self._signature(until)}"

    def is_valid(self, value: str) -> bool:
        until, _, signature = value.rpartition(".")
        end = until.partition(".")[0]
        if not (end.isascii() and end.isdigit() and len(end) < 12 and int(end) > self._clock()):
            return False
        return hmac.compare_digest(signature.encode(), self._signature(until).encode())

    def is_in_request(self) -> bool:
        """Whether the current request is of our page, in a browser with a session."""
        if request.headers.get(HEADER) != "1" or request.headers.get("Sec-Fetch-Site", "") not in OWN_SITE:
            return False
        return self.is_valid(request.cookies.get(self.name, ""))

    def _signature(self, text: str) -> str:
        return hmac.new(self._key(), f"{self._mark()} {text}".encode(), hashlib.sha256).hexdigest()

    def _key(self) -> bytes:
        """Made when it is first needed. Without it, all sessions have ended."""
        with self._lock:
            key = self._path.read_bytes() if self._path.exists() else b""
            if len(key) < KEY_LENGTH:
                key = secrets.token_bytes(KEY_LENGTH)
                write_durably(self._path, key)
        return key
