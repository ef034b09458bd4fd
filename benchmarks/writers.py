"""Clients of the API that change apps as fast as they are acknowledged, in one process: `python -m benchmarks.writers
URL CLIENTS APPS SECONDS`. Prints the writes acknowledged in each second, and how busy this process was itself."""

from __future__ import annotations

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import urllib3

ANSWER_SECONDS = 30.0


class Writers:
    """Each client has a connection that stays open and an app of its own, for as long as there are enough."""

    def __init__(self, url: str, clients: int, apps: int, seconds: float) -> None:
        self._url = url
        self._clients = clients
        self._apps = apps
        self._seconds = seconds
        self._ready = threading.Barrier(clients + 1)

    def measure(self) -> dict[str, object]:
        with ThreadPoolExecutor(self._clients) as pool:
            counts = [pool.submit(self._write, number) for number in range(self._clients)]
            self._ready.wait()
            cpu, begun = time.process_time(), time.perf_counter()
            per_client = [count.result() for count in counts]
            busy = (time.process_time() - cpu) / (time.perf_counter() - begun)
        return {"rates": [sum(second) for second in zip(*per_client)], "busy": busy}

    def _write(self, client: int) -> list[int]:
        connection = urllib3.connection_from_url(
            self._url, maxsize=1, retries=False, timeout=urllib3.Timeout(total=ANSWER_SECONDS)
        )
        path = f"/app/app-{client % self._apps + 1}"
        written = 0

        def put() -> None:
            nonlocal written
            written += 1
            body = json.dumps({"env": {"WRITE": f"{client}-{written}-{time.time_ns()}"}}).encode()
            answer = connection.request("PUT", path, body=body, headers={"Content-Type": "application/json"})
            if answer.status != 200:
                sys.exit(f"PUT {path}: {answer.status} {answer.data[:200]!r}")

        put()
        self._ready.wait()
        counts = [0] * int(self._seconds)
        begun = time.perf_counter()
        while True:
            put()
            second = int(time.perf_counter() - begun)
            if second >= len(counts):
                return counts
            counts[second] += 1


if __name__ == "__main__":
    url, clients, apps, seconds = sys.argv[1:]
    print(json.dumps(Writers(url, int(clients), int(apps), float(seconds)).measure()))
