"""The HTTP client of the API: every call has a deadline, every refusal becomes an error with the server's words."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import urllib3

from duckconf.command import Secret
from duckconf.errors import DuckconfError

CONNECT_SECONDS = 3.0
# A start may pull an image before it answers.
ANSWER_SECONDS = 610.0


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
        except urllib3.exceptions.ReadTimeoutError as error:
            raise DuckconfError(f"the API at {self.url} took too long to answer {method} {path}", "see its log") from error
        except urllib3.exceptions.SSLError as error:
            raise DuckconfError(
                f"the API at {self.url} is not trusted: {error}", "is its certificate signed by the CA of the cluster?"
            ) from error
        except urllib3.exceptions.HTTPError as error:
            raise DuckconfError(f"no API answers at {self.url}", self._remedy) from error
        try:
            decoded = json.loads(answer.data)
        except ValueError:
            decoded = None
        if not isinstance(decoded, dict):
            raise DuckconfError(f"what answers at {self.url} is not the Duckconf API (HTTP {answer.status})", "see DUCKCONF_API")
        if answer.status >= 400:
            raise ApiRefused(answer.status, decoded)
        return decoded
