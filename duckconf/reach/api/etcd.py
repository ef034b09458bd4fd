"""Calls to an etcd cluster through its JSON gateway: each with a deadline, and with another member when one does not answer."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import urllib3

from duckconf.errors import DuckconfError, NotNow

# Seconds for one try at one member, and for all tries: longer than an election takes, and short enough for a client to ask
# another server within five seconds of a failure.
CONNECT_SECONDS = 0.5
TRY_SECONDS = 1.5
CALL_SECONDS = 4.0
PAUSE = 0.05
CHUNK = 1 << 16
# What another member, or the same one a moment later, may do: gRPC's UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED and UNKNOWN.
PASSING = (14, 4, 1, 2)
# RESOURCE_EXHAUSTED: its quota is used up, or it has too much to do.
EXHAUSTED = 8


MAJORITY = "is a majority of its members up?"


class Unsure(NotNow):
    """It was sent, and whether it was done is not known."""


class EtcdRefused(DuckconfError):
    """etcd understood the call and did not do it; the message has its words."""


class Gateway:
    """The members of one cluster, for many threads. Which one answered last is asked first."""

    def __init__(
        self, endpoints: Sequence[str], ca_file: str = "", certificate: str = "", key: str = "", seconds: float = CALL_SECONDS
    ) -> None:
        """`endpoints` are URLs; CA, certificate and key of the client are paths, "" without TLS. A call is tried for
        `seconds`."""
        self.seconds = seconds
        self.endpoints = tuple(endpoint.rstrip("/") for endpoint in endpoints)
        trust = {"ca_certs": ca_file} if ca_file else {}
        trust |= {"cert_file": certificate, "key_file": key} if certificate else {}
        self._pool = urllib3.PoolManager(retries=False, maxsize=16, **trust)  # type: ignore[arg-type]
        self._first = 0

    def call(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """For a call that may be done more than once. Raises EtcdRefused, NotNow."""
        end = time.monotonic() + self.seconds
        while True:
            try:
                return self.once(path, body, end)
            except NotNow:
                if time.monotonic() >= end:
                    raise
            time.sleep(PAUSE)

    def once(self, path: str, body: Mapping[str, Any], end: float) -> dict[str, Any]:
        """One try at one member, until `end` at most; the next try is at another one. Raises EtcdRefused, NotNow, Unsure."""
        number = self._first
        endpoint = self.endpoints[number % len(self.endpoints)]
        left = max(PAUSE, min(TRY_SECONDS, end - time.monotonic()))
        bounds = urllib3.Timeout(connect=min(CONNECT_SECONDS, left), total=left)
        try:
            answer = self._pool.request("POST", endpoint + path, body=json.dumps(body).encode(), timeout=bounds)
            content: Any = json.loads(answer.data)
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
            self._pass_over(number)
            raise NotNow(f"etcd at {endpoint} cannot be reached", _remedy(error)) from error
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            self._pass_over(number)
            raise Unsure(f"etcd at {endpoint} did not answer", _remedy(error)) from error
        if answer.status == 200:
            return dict(content)
        return self._refused(number, endpoint, content if isinstance(content, dict) else {})

    def _refused(self, number: int, endpoint: str, problem: Mapping[str, Any]) -> dict[str, Any]:
        words = problem.get("error") or problem.get("message") or "an unknown answer"
        if problem.get("code") == EXHAUSTED:
            raise NotNow(f"etcd at {endpoint} takes nothing now: {words}", "docs/operations.md says what to do when etcd is full")
        if problem.get("code") in PASSING:
            self._pass_over(number)
            raise Unsure(f"etcd at {endpoint} cannot do it now: {words}", MAJORITY)
        raise EtcdRefused(f"etcd at {endpoint} refused: {words}", "")

    def _pass_over(self, number: int) -> None:
        """Only the first of many threads that meet the same trouble chooses another member."""
        if self._first == number:
            self._first = (number + 1) % len(self.endpoints)

    def watch(self, body: Mapping[str, Any], pause: float) -> Iterator[dict[str, Any]]:
        """What a watch tells, until nothing has come for `pause` seconds or the member is away; the next watch then asks another.
        Raises EtcdRefused."""
        number = self._first
        endpoint = self.endpoints[number % len(self.endpoints)]
        bounds = urllib3.Timeout(connect=CONNECT_SECONDS, read=pause)
        content = json.dumps({"create_request": body}).encode()
        try:
            answer = self._pool.request("POST", f"{endpoint}/v3/watch", body=content, timeout=bounds, preload_content=False)
        except urllib3.exceptions.HTTPError:
            self._pass_over(number)
            return
        rest, heard = b"", False
        try:
            while chunk := answer.read1(CHUNK):
                *lines, rest = (rest + chunk).split(b"\n")
                heard = True
                for line in filter(None, lines):
                    yield dict(json.loads(line).get("result") or {})
            self._pass_over(number)
        except urllib3.exceptions.ReadTimeoutError:
            # A member that answers at all says at once that the watch has begun.
            if not heard:
                self._pass_over(number)
        except (urllib3.exceptions.HTTPError, ValueError):
            self._pass_over(number)
        finally:
            # What is left of a stream has no end: the connection is not used again.
            answer.close()


def coded(text: str) -> str:
    """As the gateway takes keys and values."""
    return base64.b64encode(text.encode()).decode()


def decoded(text: str) -> str:
    return base64.b64decode(text).decode()


def _remedy(error: Exception) -> str:
    return str(error).rsplit(": ", 1)[-1]
