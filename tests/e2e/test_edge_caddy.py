"""A Caddy of this machine with the document that a front is told, before servers of the test."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from duckconf.acme import INTERNAL, Acme
from duckconf.edge_config import document
from duckconf.front import Serving, Upstream
from duckconf.front_kinds import parse_route
from tests.e2e.conftest import free_ports
from tests.waiting import until

pytestmark = pytest.mark.slow

HOST = "shop.example.org"


class Handler(BaseHTTPRequestHandler):
    """Its check takes a second, which is longer than a front waits by itself."""

    told: ClassVar[list[dict[str, str]]] = []
    """The headers of requests, in lower case."""

    def do_GET(self) -> None:
        if self.path == "/up":
            # The check of an earlier test may end in a later one, and is not told.
            time.sleep(1)
        else:
            self.told.append({name.lower(): value for name, value in self.headers.items()})
        self.answer()

    def do_PUT(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer()

    def answer(self) -> None:
        try:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
        except ConnectionError:
            # The front had no time for it.
            return

    def log_message(self, format: str, *args: object) -> None: ...


@contextmanager
def served() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def told(folder: Path, port: int, *servings: Serving) -> str:
    """What makes it serve them at the port, without certificates."""
    found = document(servings, (), Acme(INTERNAL), old=True)
    found["admin"]["listen"] = f"unix/{folder}/admin.sock"
    secure = found["apps"]["http"]["servers"]["secure"]
    found["apps"] = {
        "http": {"servers": {"secure": {**secure, "listen": [f"127.0.0.1:{port}"], "automatic_https": {"disable": True}}}}
    }
    return json.dumps(found)


@contextmanager
def caddy(folder: Path, *servings: Serving) -> Iterator[int]:
    """The port where it serves them."""
    (port,) = free_ports(1)
    (folder / "caddy.json").write_text(told(folder, port, *servings))
    environ = {"HOME": str(folder), "PATH": "/usr/local/sbin:/usr/sbin:/usr/bin:/bin"}
    argv = ("caddy", "run", "--config", folder / "caddy.json")
    process = subprocess.Popen(argv, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until("it listens", lambda: status(port, "GET", "other.example.org") == 404, 20)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def load(folder: Path, document: str) -> None:
    talk = http.client.HTTPConnection("localhost", timeout=20)
    talk.sock = socket.socket(socket.AF_UNIX)
    talk.sock.connect(f"{folder}/admin.sock")
    talk.request("POST", "/load", document, {"Host": "", "Content-Type": "application/json"})
    assert talk.getresponse().status == 200
    talk.close()


def status(port: int, method: str, host: str = HOST, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, "/", b"x" if method == "POST" else None, {"Host": host, **headers})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def seconds_for_an_answer(port: int) -> float:
    begun = time.monotonic()
    assert status(port, "GET") == 200
    return time.monotonic() - begun


def test_an_app_whose_checks_are_all_too_slow_for_its_front_is_served_nevertheless(tmp_path: Path) -> None:
    with served() as one, served() as other:
        upstreams = tuple(Upstream("web", "n1", "c", address) for address in (one, other))
        with caddy(tmp_path, Serving(parse_route(HOST), "web", upstreams, "/up")) as port:
            # From then on a GET waits for an upstream that passes. A POST does not wait.
            until("its checks have failed", lambda: seconds_for_an_answer(port) > 1, 20)
            assert status(port, "POST") == 200


def test_an_app_is_told_who_the_client_is_and_not_what_it_says_of_itself(tmp_path: Path) -> None:
    lies = {"X-Forwarded-For": "10.0.0.1", "X-Real-Ip": "10.0.0.1", "Forwarded": "for=10.0.0.1", "True-Client-IP": "10.0.0.1"}
    # A header that is named here is one of the connection, which a proxy drops.
    drops = {"Connection": "close, X-Real-Ip, X-Forwarded-For"}
    with served() as one, caddy(tmp_path, Serving(parse_route(HOST), "web", (Upstream("web", "n1", "c", one),))) as port:
        for headers in (lies, {**lies, **drops}):
            Handler.told.clear()
            assert status(port, "GET", **headers) == 200
            (told,) = Handler.told
            assert (told["x-forwarded-for"], told["x-real-ip"]) == ("127.0.0.1", "127.0.0.1")
            assert "10.0.0.1" not in str(told)


def test_an_app_that_nothing_serves_any_more_is_answered_with_502_after_some_seconds(tmp_path: Path) -> None:
    (dead,) = free_ports(1)
    with caddy(tmp_path, Serving(parse_route(HOST), "web", (Upstream("web", "n1", "c", f"127.0.0.1:{dead}"),))) as port:
        begun = time.monotonic()
        assert status(port, "GET") in (502, 503)
        assert time.monotonic() - begun < 10


def test_no_request_fails_when_a_change_meets_an_upstream_that_has_just_died(tmp_path: Path) -> None:
    """A change ends the tries of the requests that wait for another one. A Caddy before 2.7 can send no body twice. What becomes
    of a connection that nobody has taken yet is for the kernel of an edge host (tests/e2e/test_edge_real.py)."""
    ended: Counter[tuple[str, int]] = Counter()
    over = threading.Event()

    def visit(port: int, method: str) -> None:
        while not over.is_set():
            if answer := status(port, method):
                ended[method, answer] += 1

    def serving(*addresses: str) -> Serving:
        return Serving(parse_route(HOST), "web", tuple(Upstream("web", "n1", "c", address) for address in addresses))

    with served() as one, served() as other, caddy(tmp_path, serving(one, other)) as port:
        visitors = [threading.Thread(target=visit, args=(port, method)) for method in ("GET", "PUT") * 4]
        for visitor in visitors:
            visitor.start()
        for dead in free_ports(60):
            load(tmp_path, told(tmp_path, port, serving(f"127.0.0.1:{dead}", one, other)))
        over.set()
        for visitor in visitors:
            visitor.join()
    assert set(ended) == {("GET", 200), ("PUT", 200)}, ended
