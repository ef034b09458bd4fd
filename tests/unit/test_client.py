"""The HTTP client against a real socket: slow answers are waited for, silence and strangers are told apart."""

from __future__ import annotations

import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from duckconf.errors import DuckconfError
from duckconf.reach.api import client
from duckconf.reach.api.client import ApiClient, ApiRefused, path_of


class Server(BaseHTTPRequestHandler):
    """Answers by path; `/slow` only when it is told to."""

    go = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/slow":
            self.go.wait(30)
        status = 422 if self.path == "/refused" else 200
        content = b"<html>" if self.path == "/stranger" else b'{"detail": "because"}'
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """The test's output stays clean."""


@pytest.fixture
def url() -> Iterator[str]:
    Server.go.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        Server.go.set()
        server.shutdown()


def test_an_answer_may_take_longer_than_a_connection(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CONNECT_SECONDS", 0.2)
    threading.Timer(0.6, Server.go.set).start()
    assert ApiClient(url).call("GET", "/slow") == {"detail": "because"}


def test_silence_a_refusal_and_a_stranger_are_told_apart(url: str) -> None:
    api = ApiClient(url)
    with pytest.raises(DuckconfError, match="took too long"):
        api.call("GET", "/slow", deadline=0.2)
    with pytest.raises(ApiRefused, match="because"):
        api.call("GET", "/refused")
    with pytest.raises(DuckconfError, match="not the Duckconf API"):
        api.call("GET", "/stranger")
    with pytest.raises(DuckconfError, match="no API answers"):
        ApiClient("http://127.0.0.1:9").call("GET", "/")


@pytest.mark.parametrize("name", ["web?revision=1", "web/history", "web#x", "we b", "web%2F"])
def test_a_typed_name_stays_one_part_of_an_address(name: str) -> None:
    parts = urllib.parse.urlsplit(path_of("app", name, "history"))
    assert [urllib.parse.unquote(part) for part in parts.path.split("/")] == ["", "app", name, "history"]
    assert (parts.query, parts.fragment) == ("", "")
