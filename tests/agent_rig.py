"""What an agent needs around it in a test: an api-server of its own on a real socket, and a process to be killed."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

NODE = "node-1"
TOKEN = "not-to-be-printed"


class FakeApi:
    """Stands in for the api-server towards one node. `keep` are the apps of which a copy must stay where it was
    reported to be; a server that has just begun again has heard of none."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.answer: dict[str, Any] = {"revision": 1, "apps": []}
        self.keep: set[str] = set()
        self.rival = False
        self.secrets: dict[str, Any] = {}
        """What `/node/NAME/secrets` tells."""
        self.beats: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.origin = ""
        """Which of several servers it is."""
        self.asked = 0
        self.questions: list[dict[str, Any]] = []
        self.answers: dict[str, dict[str, Any]] = {}
        self.news = threading.Condition()
        self._heard: set[str] = set()
        self._context = context
        self._server: ThreadingHTTPServer | None = None
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        api = self

        class Handler(_Handler):
            serves = api

        self._heard = set()
        self._server = _Server(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        if self._context is not None:
            self._server.socket = self._context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Goes away; calls that it holds are cut off."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            with self.news:
                self.news.notify_all()

    def place(self, *apps: Mapping[str, Any], keep: Sequence[str] = (), revision: int | None = None) -> None:
        """What the node should run from now on."""
        with self.news:
            number = self.answer["revision"] + 1 if revision is None else revision
            self.keep = set(keep)
            self.answer = {"revision": number, "apps": [{"node": NODE, "revision": "0123456789abcdef", **app} for app in apps]}
            self.news.notify_all()

    def reported(self) -> dict[str, str]:
        """App to state, as the node told last."""
        return {entry["app"]: entry["state"] for entry in self.beats[-1]["containers"]} if self.beats else {}

    def share(self, since: int, seconds: float) -> dict[str, Any]:
        mine = self._server
        with self.news:
            self.asked += 1
            self.news.wait_for(lambda: self.answer["revision"] != since or self._server is not mine, seconds)
            if self._server is not mine:
                raise ConnectionAbortedError
            asked = {"questions": self.questions} if self.questions else {}
            return {**self.answer, "kept": sorted(self.keep & self._heard), **asked, "origin": self.origin}

    def ask(self, *questions: dict[str, Any]) -> None:
        """Tell them with what the node should run, again and again as the api-server does until they are answered."""
        with self.news:
            self.questions = list(questions)
            self.answer = {**self.answer, "revision": self.answer["revision"] + 1}
            self.news.notify_all()

    def hear(self, beat: dict[str, Any]) -> bool:
        with self.news:
            self.beats.append({**beat, "at": time.monotonic()})
            if not self.rival:
                self._heard = {entry["app"] for entry in beat["containers"]}
            return not self.rival


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """An agent that is killed leaves in the middle of a request, which is no fault of this server."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    serves: FakeApi

    def do_GET(self) -> None:
        if self.path == f"/node/{NODE}/secrets":
            self._answer(200, {"secrets": self.serves.secrets})
            return
        query = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
        self._answer(200, self.serves.share(int(query.get("since", -1)), float(query.get("wait", 0))))

    def do_PUT(self) -> None:
        before, slash, number = self.path.partition(f"/node/{NODE}/answers/")
        if slash and not before:
            self.serves.answers[number] = self._body()
            self._answer(200, {})
            return
        well = self.serves.hear(self._body())
        if well:
            self._answer(200, {"node": NODE, "heartbeat": time.time(), "interval": 10})
        else:
            self._answer(409, {"detail": f"another agent with the name {NODE} is running"})

    def do_POST(self) -> None:
        self.serves.events += self._body()["events"]
        self._answer(200, {})

    def log_message(self, format: str, *args: object) -> None:
        """The test's output stays clean."""

    def _body(self) -> Any:
        """Raises ConnectionAbortedError where the agent has gone before all of it was here."""
        content = self.rfile.read(length := int(self.headers["Content-Length"]))
        if len(content) < length:
            raise ConnectionAbortedError
        return json.loads(content)

    def _answer(self, status: int, answer: object) -> None:
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            status, answer = 401, {"detail": "no token"}
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class AgentProcess:
    """An agent's installation on a machine: configuration, state folder, and the process while there is one."""

    def __init__(self, folder: Path, program: Sequence[str], environ: Mapping[str, str], url: str, **settings: object) -> None:
        self._folder = folder
        self.log = folder / "agent.log"
        self._program = program
        self._environ = environ
        (folder / "token").write_text(TOKEN)
        self.state = folder / "state"
        config = {"node": NODE, "api_url": url, "token_file": f"{folder / 'token'}", "state_dir": f"{self.state}"}
        (folder / "agent.json").write_text(json.dumps({**config, **settings}))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        argv = [*self._program, "--config", str(self._folder / "agent.json")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(argv, env=dict(self._environ), stderr=log, stdin=subprocess.DEVNULL)
        return self.process

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def end(self, how: signal.Signals) -> int:
        """The exit code."""
        process, self.process = self.process, None
        if process is None:
            return 0
        os.kill(process.pid, how)
        return process.wait(10)
