"""A command calls only the API of its own cluster, checkout and mode."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from duckconf.cli.cluster.api import api_client
from duckconf.errors import DuckconfError
from duckconf.reach.inventory.project import Project
from duckconf.settings import Settings


class Server(ThreadingHTTPServer):
    """Says what /healthz is to say, and keeps what else it is asked for."""

    def __init__(self) -> None:
        self.health, self.asked, self.tokens = b"{}", [], []  # type: bytes, list[str], list[str]
        self.status = 200
        super().__init__(("127.0.0.1", 0), Answer)


class Answer(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        body = self.server.health if self.path == "/healthz" else b"{}"
        self.server.asked.append(self.path)
        self.server.tokens.append(self.headers.get("Authorization", ""))
        self.send_response(200 if self.path == "/healthz" else self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def project(server: Server, tmp_path: Path) -> Project:
    made = Project(tmp_path, Settings(api_url=f"http://127.0.0.1:{server.server_address[1]}"), "demo")
    made.state.mkdir(parents=True)
    (made.state / "mode").write_text("reconcile\n")
    return made


def test_the_own_api_is_asked_once_whose_it_is(server: Server, project: Project) -> None:
    server.health = f'{{"cluster": "demo", "mode": "reconcile", "folder": "{project.root}"}}'.encode()
    api = api_client(project)
    for _ in range(2):
        api.call("GET", "/apps")
    assert server.asked == ["/healthz", "/apps", "/apps"]


@pytest.mark.parametrize(
    ("cluster", "mode", "folder", "words"),
    [
        ("demo", "reconcile", "/home/kim/duckconf", "that of cluster demo in /home/kim/duckconf, not of demo in "),
        ("other", "reconcile", "", "that of cluster other, not of demo in "),
        (
            "demo",
            "push",
            "HERE",
            "serves mode push, and this cluster is in mode reconcile (bring it up again: ./inv up reconcile)",
        ),
        ("demo", "agents", "", "that of cluster demo, not of demo in "),
    ],
)
def test_another_api_is_refused_before_anything_is_asked_of_it(
    server: Server, project: Project, cluster: str, mode: str, folder: str, words: str
) -> None:
    place = str(project.root) if folder == "HERE" else folder
    server.health = f'{{"cluster": "{cluster}", "mode": "{mode}", "folder": "{place}"}}'.encode()
    with pytest.raises(DuckconfError) as refused:
        api_client(project).call("POST", "/app/start", {"image": "nginx"})
    assert words in str(refused.value)
    assert server.asked == ["/healthz"]


def test_a_control_plane_elsewhere_names_no_folder(server: Server, project: Project) -> None:
    (project.state / "mode").write_text("agents\n")
    (project.state / "operator.token").write_text("a secret\n")
    server.health = b'{"cluster": "demo", "mode": "agents"}'
    api_client(project).call("GET", "/apps")
    assert server.asked == ["/healthz", "/apps"]
    # Who has not said whose it is gets no token.
    assert server.tokens == ["", "Bearer a secret"]


@pytest.mark.parametrize(
    ("file", "variable", "words"),
    [
        ("", "", "the API asks for the operator's token, and there is none in .duckconf/demo/operator.token (./inv provision"),
        ("old\n", "", "the API refuses the token in .duckconf/demo/operator.token (./inv provision hands over a new one)"),
        ("old\n", "other", "the API refuses the token in DUCKCONF_TOKEN (unset it"),
    ],
)
def test_a_token_that_is_refused_is_told_with_where_it_lies(
    server: Server, project: Project, monkeypatch: pytest.MonkeyPatch, file: str, variable: str, words: str
) -> None:
    monkeypatch.delenv("DUCKCONF_TOKEN", raising=False)
    if variable:
        monkeypatch.setenv("DUCKCONF_TOKEN", variable)
    (project.state / "mode").write_text("agents\n")
    if file:
        (project.state / "operator.token").write_text(file)
    server.health, server.status = b'{"cluster": "demo", "mode": "agents"}', 401
    for ask in (lambda: api_client(project).call("GET", "/apps"), lambda: list(api_client(project).stream("/events"))):
        with pytest.raises(DuckconfError) as refused:
            ask()
        assert words in str(refused.value)
