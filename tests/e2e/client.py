"""Somebody who uses an app all the time, at whichever of its published ports answers."""

from __future__ import annotations

import http.client
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.conftest import Live

# Between two requests, in seconds: an instance that is missing is so for many times as long.
PAUSE = 0.1


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, http.client.HTTPException):
        return False


@contextmanager
def asked_all_the_time(cluster: Live, app: str) -> Iterator[tuple[list[int], list[str]]]:
    """While this is open, a client asks the app again and again, at whichever of its published ports answers. Yields how many of
    its containers ran at each look, and the requests that none of them answered."""
    counts: list[int] = []
    failed: list[str] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.wait(PAUSE):
            rows = [row for row in cluster.apps() if row["Labels"]["duckconf.app"] == app and row["State"] == "running"]
            counts.append(len(rows))
            ports = [port["host_port"] for row in rows for port in row["Ports"] or ()]
            if not any(answers(port) for port in ports):
                failed.append(f"none of {ports} answers")

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield counts, failed
    finally:
        ended.set()
        thread.join()
