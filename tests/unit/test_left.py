"""Requests that come to a server that is frozen, and whose senders do not wait for it to go on."""

from __future__ import annotations

import socket
import threading

from flask import Flask, request

from api.server import bind
from benchmarks.ports import free_ports
from tests.waiting import until

BODY = b"x" * 20_000


def sent(port: int, method: str, path: str) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", port))
    head = f"{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {len(BODY)}\r\n\r\n"
    line.sendall(head.encode() + BODY)
    return line


def test_a_write_whose_sender_has_left_is_not_carried_out() -> None:
    done: list[str] = []
    app = Flask("left")

    @app.route("/<path:path>", methods=["GET", "PUT", "POST"])
    def write(path: str) -> str:
        assert request.get_data() == BODY
        done.append(path)
        return "done"

    (port,) = free_ports("127.0.0.1", 1)
    # It listens, and serves nothing yet.
    server = bind(f"http://127.0.0.1:{port}", 4)
    server.wsgi_app = app
    for method in ("PUT", "POST"):
        sent(port, method, "/left").close()
    sent(port, "GET", "/read").close()
    waiting = sent(port, "PUT", "/waiting")
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        with waiting:
            waiting.settimeout(20)
            assert b"done" in b"".join(iter(lambda: waiting.recv(4096), b""))
        until("the read was carried out too", lambda: sorted(done) == ["read", "waiting"])
    finally:
        server.stop()
        thread.join(20)
    assert sorted(done) == ["read", "waiting"]
