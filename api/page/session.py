"""The session of a browser: a short-lived cookie in place of the operator's token, which the page keeps nowhere.

It is signed and not stored, with a key that follows from the operator's token: it outlives a restart of the API, and every server
of the cluster knows it. It ends with its time, and with the token that it was given for. It counts only together with a header
that no other site can send, so that a foreign page can use it for nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from pathlib import Path

from flask import request

from duckconf.errors import SetupError
from duckconf.reach.api.secret import read_token

# Seconds. An open page renews it long before.
LIFETIME = 30 * 60
# What the key is for: nothing else that is ever made of the token is the same.
PURPOSE = b"duckconf: sessions of browsers"
HEADER = "X-Duckconf-Page"
OWN_SITE = ("", "same-origin")


class Sessions:
    """Of a cluster whose operator's token lies in the file `token`. `mark` changes with it; `clock` is in seconds since the
    epoch."""

    def __init__(self, token: Path, cluster: str, mark: Callable[[], str], clock: Callable[[], float]) -> None:
        self.name = f"duckconf-{cluster}"
        self._token = token
        self._mark = mark
        self._clock = clock

    def open(self) -> str:
        """The value of a new cookie. Raises SetupError."""
        until = f"{int(self._clock()) + LIFETIME}.{secrets.token_hex(8)}"
        return f"{until}.{self._signature(until)}"

    def is_valid(self, value: str) -> bool:
        until, _, signature = value.rpartition(".")
        end = until.partition(".")[0]
        if not (end.isascii() and end.isdigit() and len(end) < 12 and int(end) > self._clock()):
            return False
        try:
            return hmac.compare_digest(signature.encode(), self._signature(until).encode())
        except SetupError:
            # The page asks for the token then.
            return False

    def is_in_request(self) -> bool:
        """Whether the current request is of our page, in a browser with a session."""
        if request.headers.get(HEADER) != "1" or request.headers.get("Sec-Fetch-Site", "") not in OWN_SITE:
            return False
        return self.is_valid(request.cookies.get(self.name, ""))

    def _signature(self, text: str) -> str:
        key = hmac.digest(str(read_token(self._token)).encode(), PURPOSE, "sha256")
        return hmac.new(key, f"{self._mark()} {text}".encode(), hashlib.sha256).hexdigest()
