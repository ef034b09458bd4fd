"""The HTTP client of the API: every call has a deadline, every refusal becomes an error with the server's words."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import urllib3

from duckconf.addresses import split
from duckconf.command import Secret
from duckconf.errors import DuckconfError
from duckconf.reach.api.servers import Servers

CONNECT_SECONDS = 3.0
# The same while there is another server to ask.
CHANGE_SECONDS = 1.0
# A start may pull an image before it answers.
ANSWER_SECONDS = 610.0
# A stream that is silent for longer is dead: the server sends something every 5 s.
SILENT_SECONDS = 12.0
CHUNK = 1 << 16
# For a server to say whose it is.
ASK_SECONDS = 10.0
# Of what is left of a deadline.
SHORTEST = 0.05
# What may be done twice. DELETE is not among them: its second answer would be that there is nothing to delete.
AGAIN = ("GET", "HEAD", "PUT")

# RFC 7234: what such a warning begins with.
STALE = "110 "

Ask = Callable[[str, float], urllib3.BaseHTTPResponse]


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


class Unanswered(DuckconfError):
    """There is no answer."""


class ApiClient:
    """Calls to the API server that is chosen of `servers`, or of the addresses in a text with commas between them; with `token`
    where they ask for one. What may be done twice is asked of another server when one fails; what may have been done is not."""

    def __init__(
        self,
        servers: Servers | str,
        remedy: str = "start it with `./inv up MODE`",
        token: Secret | None = None,
        ca_file: str = "",
        name: str = "",
        more: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """`name` is what the program calls itself. `ca_file` verifies https servers that are given as a text. `more` has headers
        for each call, and may raise to have nothing sent."""
        self.servers = servers if isinstance(servers, Servers) else Servers(split(servers), ca_file=ca_file)
        self._remedy = remedy
        self._headers = {} if token is None else {"Authorization": f"Bearer {str.__str__(token)}"}
        self._headers |= {"User-Agent": f"duckconf/{name}"} if name else {}
        self._more = more
        self._pool = self.servers.lines.pool(self.servers.ca_file)
        self._held = self.servers.held.pool(self.servers.ca_file)
        self.server = ""
        """Which one answered last."""
        self.stale = ""
        """For how many seconds what it answered last may be behind, where it is cut off from the others; "" where it is not."""

    def call(
        self, method: str, path: str, body: object = None, deadline: float | None = None, at: str = "", *, held: bool = False
    ) -> dict[str, Any]:
        """The decoded answer; raises ApiRefused for a problem, DuckconfError when nobody (or nobody like us) answers. `at` is the
        revision that what is changed should have. A server may leave a call that is `held` without a sign for long: it is broken
        off when another call finds that the server has failed, and is not asked of another server."""
        headers = {} if body is None else {"Content-Type": "application/json"}
        headers |= {"If-Match": f'"{at}"'} if at else {}
        content = None if body is None else json.dumps(body).encode()
        end = None if deadline is None else time.monotonic() + deadline
        again = not held and (method in AGAIN or bool(at))

        pool = self._held if held else self._pool

        def ask(url: str, connect: float) -> urllib3.BaseHTTPResponse:
            bounds = urllib3.Timeout(connect=connect, read=ANSWER_SECONDS if end is None else None, total=_left(end))
            sent = {**self._headers, **headers, **self._more()}
            with contextlib.nullcontext() if held else self.servers.waiting(url):
                return pool.request(method, url + path, body=content, headers=sent, timeout=bounds)

        url, answer = self._first(method, path, ask, again=again, alone=held, end=end)
        self.stale = answer.headers.get("Duckconf-Age", "") if _is_stale(answer) else ""
        decoded = _decoded(answer.data)
        if decoded is None or answer.status >= 400:
            raise _refused(url, answer.status, answer.data)
        return decoded

    def stream(self, path: str, known: str = "") -> Iterator[bytes]:
        """The bytes of a stream of server-sent events as they come, to its end; `known` is the id of the last known event.
        Raises as `call`, also when nothing comes for SILENT_SECONDS. With other servers to ask, one that goes silent ends it."""
        headers = {**self._headers, "Accept": "text/event-stream"} | ({"Last-Event-ID": known} if known else {})

        def ask(url: str, connect: float) -> urllib3.BaseHTTPResponse:
            bounds = urllib3.Timeout(connect=connect, read=SILENT_SECONDS)
            with self.servers.waiting(url):
                return self._pool.request("GET", url + path, headers=headers, timeout=bounds, preload_content=False)

        url, answer = self._first("GET", path, ask, again=True)
        try:
            if answer.status >= 400 or not answer.headers.get("Content-Type", "").startswith("text/event-stream"):
                raise _refused(url, answer.status, answer.read(CHUNK))
            with self.servers.waiting(url):
                while content := answer.read1(CHUNK):
                    self.servers.heard(url)
                    yield content
        except urllib3.exceptions.HTTPError as error:
            self.servers.failed(url)
            raise _unanswered([url], "GET", path, error, self._remedy) from error
        finally:
            answer.close()

    def require(self, url: str, seconds: float) -> None:
        """What a server has to be before it is asked for anything; raises DuckconfError for one that is not, Unanswered."""

    def _first(
        self, method: str, path: str, ask: Ask, *, again: bool, alone: bool = False, end: float | None = None
    ) -> tuple[str, urllib3.BaseHTTPResponse]:
        """The first answer of a server that can do what is asked, and which one that is. Another one is asked `again` also when
        the first may have done it, and none when it is `alone`. An answer of one that is cut off is better than none. Raises what
        the last one made of it."""
        passed: list[str] = []
        poor: tuple[str, urllib3.BaseHTTPResponse] | None = None
        undone = True
        while True:
            url = self.servers.choose(passed)
            passed.append(url)
            is_last = alone or (len(passed) == len(self.servers.urls) and poor is None)
            try:
                self.require(url, min(ASK_SECONDS if is_last else CHANGE_SECONDS, _left(end)))
                answer = ask(url, CONNECT_SECONDS if is_last else CHANGE_SECONDS)
            except (Unanswered, urllib3.exceptions.HTTPError) as error:
                self.servers.failed(url)
                is_sure = isinstance(error, Unanswered) or not _sent(error)
                undone, is_end = undone and is_sure, len(passed) == len(self.servers.urls)
                if poor is not None and is_end and (undone or method == "GET" or poor[1].status < HTTPStatus.BAD_REQUEST):
                    self.server = poor[0]
                    return poor
                if is_last or is_end or not (again or is_sure) or (end is not None and time.monotonic() >= end):
                    if isinstance(error, Unanswered):
                        raise
                    raise _unanswered(passed, method, path, error, self._remedy) from error
                continue
            if not (is_refused := _has_done_nothing(answer)) and not _is_cut_off(answer, method):
                self.servers.answered(url)
            else:
                self.servers.failed(url)
                if len(passed) < len(self.servers.urls) and not alone and (again or is_refused):
                    if poor is not None:
                        answer.close()
                    poor = poor or (url, answer)
                    continue
            if poor is not None:
                poor[1].close()
            self.server = url
            return url, answer


def _unanswered(urls: Sequence[str], method: str, path: str, error: urllib3.exceptions.HTTPError, remedy: str) -> Unanswered:
    """`urls` are those that were asked, the last of which failed so."""
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        return Unanswered(f"the API at {urls[-1]} took too long to answer {method} {path}", "see its log")
    if isinstance(error, urllib3.exceptions.SSLError):
        words = f"the API at {urls[-1]} is not trusted: {error}"
        return Unanswered(words, "is its certificate signed by the CA of the cluster?")
    if _sent(error) and method not in AGAIN:
        words = f"the API at {urls[-1]} broke off before it answered {method} {path}"
        return Unanswered(words, "it may have been done: look before you ask again")
    return Unanswered(f"no API answers at {', '.join(urls)}", remedy)


def _has_done_nothing(answer: urllib3.BaseHTTPResponse) -> bool:
    """And says that another server, or the same a moment later, may."""
    return answer.status == HTTPStatus.SERVICE_UNAVAILABLE and "Retry-After" in answer.headers


def _is_cut_off(answer: urllib3.BaseHTTPResponse, method: str) -> bool:
    """Whether it comes from a server that other servers do not hear of: a read is old, a write is refused."""
    return _is_stale(answer) or (method != "GET" and answer.status == HTTPStatus.SERVICE_UNAVAILABLE)


def _is_stale(answer: urllib3.BaseHTTPResponse) -> bool:
    return answer.headers.get("Warning", "").startswith(STALE)


def _sent(error: urllib3.exceptions.HTTPError) -> bool:
    """Whether the request may have reached the server."""
    return not isinstance(error, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError))


def _left(end: float | None) -> float:
    """Seconds until then."""
    return ANSWER_SECONDS + CONNECT_SECONDS if end is None else max(end - time.monotonic(), SHORTEST)


def _decoded(content: bytes) -> dict[str, Any] | None:
    try:
        decoded = json.loads(content)
    except ValueError:
        return None
    return decoded if isinstance(decoded, dict) else None


def _refused(url: str, status: int, content: bytes) -> DuckconfError:
    """What an answer means that is not the one that was asked for."""
    problem = _decoded(content)
    if problem is None and status == HTTPStatus.SERVICE_UNAVAILABLE:
        return Unanswered(f"the API at {url} is not ready (HTTP 503)", "ask again in a moment")
    if problem is None or status < 400:
        return DuckconfError(f"what answers at {url} is not the Duckconf API (HTTP {status})", "see DUCKCONF_API")
    return ApiRefused(status, problem)
