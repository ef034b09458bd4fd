"""The HTTP client of the API: every call has a deadline, every refusal becomes an error with the server's words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import urllib3

from duckconf.command import Secret
from duckconf.errors import DuckconfError

CONNECT_SECONDS = 3.0
# A start may pull an image before it answers.
ANSWER_SECONDS = 610.0
# A stream that is silent for longer is dead: the server sends something every 5 s.
SILENT_SECONDS = 12.0
CHUNK = 1 << 16


def path_of(*parts: str) -> str:
    """An address of the API; what a person typed stays one part of it, whatever is in it."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


class ApiRefused(DuckconfError):
    """The API answered with a problem; `status` is the HTTP status, `problem` the decoded body."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(problem.get("detail") or problem.get("title") or f"HTTP {status}")
        self.status = status
        self.problem = problem
        # Of all that a 503 can say, only this is about nodes.
        self.exit_code = 4 if status == 503 and "skipped" in problem else 1


class ApiClient:
    """Calls to one API server, with `token` where it asks for one; `ca_file` verifies an https server."""

    def __init__(
        self,
        url: str,
        remedy: str = "start it with `./inv up MODE`",
        token: Secret | None = None,
        ca_file: str = "",
        name: str = "",
    ) -> None:
        """`name` is what the program calls itself."""
        self.url = url.rstrip("/")
        self._remedy = remedy
        self._headers = {} if token is None else {"Authorization": f"Bearer {str.__str__(token)}"}
        self._headers |= {"User-Agent": f"duckconf/{name}"} if name else {}
        trust = {"ca_certs": ca_file} if ca_file else {}
        bounds = urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS)
        self._pool = urllib3.PoolManager(retries=False, timeout=bounds, **trust)  # type: ignore[arg-type]

    def call(self, method: str, path: str, body: object = None, deadline: float | None = None, at: str = "") -> dict[str, Any]:
        """The decoded answer; raises ApiRefused for a problem, DuckconfError when nobody (or nobody like us) answers. `at` is the
        revision that what is changed should have."""
        content = None if body is None else json.dumps(body).encode()
        headers = dict(self._headers) if body is None else {**self._headers, "Content-Type": "application/json"}
        headers |= {"If-Match": f'"{at}"'} if at else {}
        bounds = {} if deadline is None else {"timeout": urllib3.Timeout(total=deadline, connect=CONNECT_SECONDS)}
        try:
            answer = self._pool.request(method, self.url + path, body=content, headers=headers, **bounds)  # type: ignore[arg-type]
        except urllib3.exceptions.HTTPError as error:
            raise self._unanswered(method, path, error) from error
        decoded = _decoded(answer.data)
        if decoded is None or answer.status >= 400:
            raise _refused(self.url, answer.status, answer.data)
        return decoded

    def _unanswered(self, method: str, path: str, error: urllib3.exceptions.HTTPError) -> DuckconfError:
        if isinstance(error, urllib3.exceptions.ReadTimeoutError):
            return DuckconfError(f"the API at {self.url} took too long to answer {method} {path}", "see its log")
        if isinstance(error, urllib3.exceptions.SSLError):
            return DuckconfError(
                f"the API at {self.url} is not trusted: {error}", "is its certificate signed by the CA of the cluster?"
            )
        return DuckconfError(f"no API answers at {self.url}", self._remedy)

    def stream(self, path: str, known: str = "") -> Iterator[bytes]:
        """The bytes of a stream of server-sent events as they come, to its end; `known` is the id of the last known event.
        Raises as `call`, also when nothing comes for SILENT_SECONDS."""
        headers = {**self._headers, "Accept": "text/event-stream"} | ({"Last-Event-ID": known} if known else {})
        bounds = urllib3.Timeout(connect=CONNECT_SECONDS, read=SILENT_SECONDS)
        try:
            answer = self._pool.request("GET", self.url + path, headers=headers, timeout=bounds, preload_content=False)
            try:
                if answer.status >= 400 or not answer.headers.get("Content-Type", "").startswith("text/event-stream"):
                    raise _refused(self.url, answer.status, answer.read(CHUNK))
                while content := answer.read1(CHUNK):
                    yield content
            finally:
                answer.close()
        except urllib3.exceptions.HTTPError as error:
            raise self._unanswered("GET", path, error) from error


def _decoded(content: bytes) -> dict[str, Any] | None:
    try:
        decoded = json.loads(content)
    except ValueError:
        return None
    return decoded if isinstance(decoded, dict) else None


def _refused(url: str, status: int, content: bytes) -> DuckconfError:
    """What an answer means that is not the one that was asked for."""
    problem = _decoded(content)
    if problem is None or status < 400:
        return DuckconfError(f"what answers at {url} is not the Duckconf API (HTTP {status})", "see DUCKCONF_API")
    return ApiRefused(status, problem)
