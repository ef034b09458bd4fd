"""A real server for tests of what a test client cannot have: connections that stay open."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from flask import Flask

from api.server import bind
from duckconf.merge_patch import patched


@contextmanager
def served(app: Flask, threads: int = 4, certificate: str = "", key: str = "") -> Iterator[int]:
    """The port at which the app is served until the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    server = bind(f"http{'s' if certificate else ''}://127.0.0.1:{port}", threads, certificate, key)
    server.wsgi_app = app
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield port
    finally:
        server.stop()
        thread.join(10)


class Frame(NamedTuple):
    """One event of a stream."""

    kind: str
    id: str
    data: Any


class Reader:
    """One who looks: reads the stream, and keeps the picture that it makes."""

    def __init__(self, port: int, known: str = "", trust: ssl.SSLContext | None = None, **headers: str) -> None:
        line = socket.create_connection(("127.0.0.1", port), 10)
        self._line = trust.wrap_socket(line, server_hostname="127.0.0.1") if trust is not None else line
        told = {"Accept": "text/event-stream", **({"Last-Event-ID": known} if known else {}), **headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        self._line.sendall(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{lines}\r\n".encode())
        self._buffer = b""
        self.head = self._until(b"\r\n\r\n").decode()
        self.picture: dict[str, Any] = {}
        self.events: list[dict[str, Any]] = []
        self.kinds: list[str] = []
        self.known = known

    def next(self) -> Frame:
        """The next event, taken over; comments are passed over."""
        while True:
            lines = dict(line.split(": ", 1) for line in self._until(b"\n\n").decode().splitlines() if not line.startswith(":"))
            if "data" in lines:
                break
        found = Frame(lines["event"], lines["id"], json.loads(lines["data"]))
        self.kinds.append(found.kind)
        self.known = found.id
        if found.kind == "picture":
            self.picture = found.data
        elif found.kind == "patch":
            self.picture = patched(self.picture, found.data)
        elif found.kind == "events":
            self.events += found.data
        return found

    def until(self, kind: str) -> Frame:
        while (found := self.next()).kind != kind:
            pass
        return found

    def close(self) -> None:
        self._line.close()

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            more = self._line.recv(65536)
            assert more, f"the stream has ended after {self._buffer!r}"
            self._buffer += more
        content, _, self._buffer = self._buffer.partition(mark)
        return content
