"""Several API servers on real sockets: one that is gone, silent, slow, starting or a stranger, and what is asked again."""

from __future__ import annotations

import json
import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from duckconf.cli.cluster.certificates import ensure_certificate
from duckconf.control_plane import Tls
from duckconf.errors import DuckconfError
from duckconf.reach.api.client import ApiClient, ApiRefused
from duckconf.reach.api.lookup import Lookup
from duckconf.reach.api.servers import Servers
from tests.waiting import until

# Longer than any wait of the client for a server that is not there, shorter than for one that it believes in.
DEADLINE = 20.0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.partition("?")[0] == "/slow":
            self.server.go.wait(30)
        if self.path == "/stream":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self.wfile.write(b"data: first\n\n")
            self.server.go.wait(30)
            return
        if self.server.cut_off and self.path != "/healthz":
            self._answer_cut_off()
            return
        starting = self.server.starting and self.path != "/healthz"
        self.send_response(503 if starting else 200)
        if starting:
            self.send_header("Retry-After", "1")
        content = b'{"revision": 1}' if "?since=" in self.path else b'{"port": %d}' % self.server.server_port
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _answer_cut_off(self) -> None:
        """As a server that hears of no other: it refuses changes, and takes heartbeats and reads with a warning."""
        is_change = self.command != "GET" and "heartbeat" not in self.path
        content = b'{"detail": "no majority"}' if is_change else b'{"port": %d}' % self.server.server_port
        self.send_response(503 if is_change else 200)
        self.send_header("Warning", '110 - "Response is stale"')
        self.send_header("Duckconf-Age", "130.12")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """The test's output stays clean."""


class Server(ThreadingHTTPServer):
    """`hold` has it accept connections and say nothing, as a process that was stopped."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[str] = []
        self.starting = False
        self.cut_off = False
        self.go = threading.Event()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def hold(self) -> None:
        self.shutdown()

    def handle_error(self, *_: object) -> None:
        """A client that broke off, or did not believe the certificate."""

    def end(self) -> None:
        self.go.set()
        self.shutdown()
        self.server_close()


@pytest.fixture
def two() -> Iterator[tuple[Server, Server]]:
    made = (Server(), Server())
    yield made
    for server in made:
        server.end()


class Hanging:
    """A name server that knows one name, until it hangs."""

    def __init__(self) -> None:
        self.hangs = False
        self.asked = 0
        self.end = threading.Event()

    def __call__(self, host: str, port: object, *_: object, **__: object) -> list[tuple[object, ...]]:
        if not host.endswith(".example"):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]
        self.asked += 1
        if self.hangs:
            self.end.wait(60)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    names = Hanging()
    monkeypatch.setattr(socket, "getaddrinfo", names)
    yield names
    names.end.set()


def hold(servers: Servers, server: Server) -> queue.Queue[str]:
    """Have a server hold a call; the queue gets the words with which that ends."""
    ended: queue.Queue[str] = queue.Queue()

    def call() -> None:
        try:
            ended.put(str(ApiClient(servers).call("GET", "/slow", deadline=DEADLINE, held=True)))
        except DuckconfError as error:
            ended.put(str(error))

    threading.Thread(target=call).start()
    until("it is held", lambda: server.asked == ["GET /slow"])
    return ended


def client_of(*servers: Server) -> ApiClient:
    return ApiClient(Servers([server.url for server in servers]))


def test_another_server_answers_when_one_refuses_and_the_first_is_used_again_when_it_is_back(two: tuple[Server, Server]) -> None:
    first, second = two
    with socket.create_server(("127.0.0.1", 0)) as gone:
        nobody = f"http://127.0.0.1:{gone.getsockname()[1]}"
    api = ApiClient(f"{nobody},{first.url},{second.url}")
    assert api.call("POST", "/app/start", {}) == {"port": first.server_port}
    assert (api.server, second.asked) == (first.url, [])
    with socket.create_server(("127.0.0.1", int(nobody.rsplit(":", 1)[1])), reuse_port=False) as back:
        serving = threading.Thread(target=answer_all, args=(back,), daemon=True)
        serving.start()
        until("the first address is asked again", lambda: api.call("GET", "/") == {"port": 0}, seconds=10)
        assert api.server == nobody
        back.shutdown(socket.SHUT_RDWR)
        serving.join(5)


def answer_all(listening: socket.socket) -> None:
    try:
        while True:
            line, _ = listening.accept()
            with line:
                line.recv(4096)
                line.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 11\r\n\r\n{"port": 0}')
    except OSError:
        return


def test_a_read_leaves_a_server_that_falls_silent(two: tuple[Server, Server]) -> None:
    first, second = two
    api = client_of(first, second)
    first.hold()
    assert api.call("GET", "/apps", deadline=DEADLINE) == {"port": second.server_port}


def test_a_read_waits_for_a_server_that_is_slow(two: tuple[Server, Server]) -> None:
    first, second = two

    def answer() -> None:
        until("it is asked whether it is there", lambda: "GET /healthz" in first.asked)
        first.go.set()

    threading.Thread(target=answer).start()
    assert client_of(first, second).call("GET", "/slow", deadline=DEADLINE) == {"port": first.server_port}
    assert second.asked == []


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_what_may_have_been_done_is_not_asked_of_another(two: tuple[Server, Server], method: str) -> None:
    first, second = two
    api = client_of(first, second)
    first.hold()
    with pytest.raises(DuckconfError, match="broke off") as raised:
        api.call(method, "/app/web", deadline=DEADLINE)
    assert "may have been done" in raised.value.remedy
    assert second.asked == []
    assert api.call(method, "/app/web", deadline=DEADLINE) == {"port": second.server_port}


def test_a_write_at_a_revision_is_asked_of_another(two: tuple[Server, Server]) -> None:
    first, second = two
    first.hold()
    assert client_of(first, second).call("POST", "/app/web", {}, DEADLINE, "7") == {"port": second.server_port}


def test_a_server_that_can_do_nothing_now_is_passed_over_also_by_a_write(two: tuple[Server, Server]) -> None:
    first, second = two
    first.starting = True
    api = client_of(first, second)
    assert api.call("POST", "/app/start", {}) == {"port": second.server_port}
    second.starting = True
    with pytest.raises(ApiRefused, match="503"):
        api.call("POST", "/app/start", {})
    assert first.asked.count("POST /app/start") == 2


@pytest.mark.parametrize(("method", "path"), [("GET", "/apps"), ("PUT", "/node/n/heartbeat"), ("PUT", "/app/web")])
def test_a_server_that_is_cut_off_from_the_others_is_left(two: tuple[Server, Server], method: str, path: str) -> None:
    first, second = two
    first.cut_off = True
    api = client_of(first, second)
    assert api.call(method, path, deadline=DEADLINE) == {"port": second.server_port}
    assert api.call("POST", "/app/start", {}) == {"port": second.server_port}
    assert first.asked == [f"{method} {path}"]


def test_what_a_server_that_is_cut_off_may_have_done_is_not_asked_of_another(two: tuple[Server, Server]) -> None:
    first, second = two
    first.cut_off = True
    with pytest.raises(ApiRefused, match="no majority"):
        client_of(first, second).call("POST", "/app/start", {})
    assert second.asked == []


def test_where_all_are_cut_off_a_read_is_answered_and_a_heartbeat_heard(two: tuple[Server, Server]) -> None:
    for server in two:
        server.cut_off = True
    api = client_of(*two)
    for method, path in (("GET", "/apps"), ("PUT", "/node/n/heartbeat")):
        assert api.call(method, path)["port"] in {server.server_port for server in two}
    with pytest.raises(ApiRefused, match="no majority"):
        api.call("PUT", "/app/web", {})


@pytest.mark.parametrize("becomes", [Server.hold, Server.end])
def test_where_the_others_are_gone_one_that_is_cut_off_is_better_than_none(two: tuple[Server, Server], becomes: Any) -> None:
    first, second = two
    first.cut_off = True
    becomes(second)
    api = client_of(first, second)
    assert api.call("GET", "/apps", deadline=DEADLINE) == {"port": first.server_port}
    assert (api.server, api.stale) == (first.url, "130.12")
    assert api.call("PUT", "/node/n/heartbeat", {}, deadline=DEADLINE) == {"port": first.server_port}
    with pytest.raises(DuckconfError) as raised:
        api.call("PUT", "/app/web", {}, deadline=DEADLINE)
    # What one that is silent may have done was not refused.
    assert isinstance(raised.value, ApiRefused) == (becomes is Server.end)


def test_a_call_that_is_held_is_broken_off_when_its_server_is_cut_off(two: tuple[Server, Server]) -> None:
    first, second = two
    servers = Servers([first.url, second.url])
    ended = hold(servers, first)
    first.cut_off = True
    assert ApiClient(servers).call("PUT", "/node/n/heartbeat", {}, DEADLINE) == {"port": second.server_port}
    assert "no API answers" in ended.get(timeout=DEADLINE / 2)


def test_a_stream_of_a_server_that_falls_silent_ends_and_the_next_is_another_ones(two: tuple[Server, Server]) -> None:
    first, second = two
    api = client_of(first, second)
    stream = api.stream("/stream")
    assert b"first" in next(stream)
    first.hold()
    assert next(stream, b"ended") == b"ended"
    assert b"first" in next(api.stream("/stream"))
    assert "GET /stream" in second.asked


def test_a_call_that_is_held_is_broken_off_when_another_finds_its_server_silent(two: tuple[Server, Server]) -> None:
    first, second = two
    servers = Servers([first.url, second.url])
    ended = hold(servers, first)
    first.hold()
    assert ApiClient(servers).call("PUT", "/node/n/heartbeat", {}, DEADLINE) == {"port": second.server_port}
    assert "no API answers" in ended.get(timeout=DEADLINE / 2)
    assert "GET /slow" not in second.asked


def test_a_safe_line_is_broken_off_too_and_a_name_that_hangs_is_still_verified(
    names: Hanging, two: tuple[Server, Server], tmp_path: Path
) -> None:
    files = ensure_certificate(tmp_path, tmp_path, Tls(), "demo", ("api.example",), time.time())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    for server in two:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    urls = [f"https://api.example:{server.server_port}" for server in two]
    servers = Servers(urls, ca_file=str(files.ca))
    assert ApiClient(servers).call("GET", "/", deadline=DEADLINE) == {"port": two[0].server_port}
    names.hangs = True
    stream = ApiClient(servers).stream("/stream")
    assert b"first" in next(stream)
    two[0].hold()
    assert next(stream, b"ended") == b"ended"
    assert ApiClient(servers).call("GET", "/", deadline=DEADLINE) == {"port": two[1].server_port}
    (tmp_path / "kept.json").write_text('{"other.example": "127.0.0.1"}')
    stranger = Servers([urls[1].replace("api.example", "other.example")], ca_file=str(files.ca), kept=tmp_path / "kept.json")
    with pytest.raises(DuckconfError, match="is not trusted"):
        ApiClient(stranger).call("GET", "/", deadline=DEADLINE)


def test_nobody_answers_at_any_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        urls = [f"http://127.0.0.1:{server.getsockname()[1]}" for server in (one, two)]
    with pytest.raises(DuckconfError, match=f"no API answers at {urls[0]}, {urls[1]}"):
        ApiClient(",".join(urls)).call("POST", "/app/start", {})


def test_the_address_that_was_reached_last_stands_in_for_a_name_server_that_hangs(
    names: Hanging, two: tuple[Server, Server]
) -> None:
    servers = Servers([f"http://api.example:{two[0].server_port}"])
    ApiClient(servers).call("GET", "/")
    names.hangs = True
    for _ in range(3):
        assert ApiClient(servers).call("GET", "/", deadline=5.0) == {"port": two[0].server_port}
    assert names.asked == 2


def test_the_next_process_knows_the_address_too(names: Hanging, two: tuple[Server, Server], tmp_path: Path) -> None:
    urls = [f"http://api.example:{two[0].server_port}"]
    ApiClient(Servers(urls, kept=tmp_path / "kept.json")).call("GET", "/")
    names.hangs = True
    answer = ApiClient(Servers(urls, kept=tmp_path / "kept.json")).call("GET", "/", deadline=5.0)
    assert answer == {"port": two[0].server_port}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"api.example": 7}', '{"api.example": "no address"}'])
def test_a_file_that_is_damaged_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    (tmp_path / "kept.json").write_text(content)
    known = Lookup(tmp_path / "kept.json")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))])
    assert known.find("api.example", 1.0) == ["192.0.2.1"]
    known.reached("api.example", "192.0.2.1")
    assert json.loads((tmp_path / "kept.json").read_text()) == {"api.example": "192.0.2.1"}


def test_a_name_that_was_never_reached_has_a_deadline_too(names: Hanging) -> None:
    names.hangs = True
    with pytest.raises(DuckconfError, match="no API answers"):
        ApiClient("http://api.example:1").call("GET", "/", deadline=0.2)


def test_a_name_server_that_says_no_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Lookup()
    known.reached("api.example", "192.0.2.1")
    for error, found in ((socket.EAI_AGAIN, ["192.0.2.1"]), (socket.EAI_NONAME, None)):

        def refuse(*_: object, error: int = error, **__: object) -> None:
            raise socket.gaierror(error, "no")

        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        if found is None:
            with pytest.raises(socket.gaierror):
                known.find("api.example", 1.0)
        else:
            assert known.find("api.example", 1.0) == found
