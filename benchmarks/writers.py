"""Clients of the API that change apps as fast as they are acknowledged, in one process: `python -m benchmarks.writers
URL CLIENTS APPS SECONDS`. Prints the writes acknowledged in each second, and how busy this process was itself."""

from __future__ import annotations

import itertools
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import urllib3

ANSWER_SECONDS = 30.0


class Writer:
    """One client: a connection that stays open, and an app of its own for as long as there are enough."""

    def __init__(self, url: str, number: int, apps: int) -> None:
        timeout = urllib3.Timeout(total=ANSWER_SECONDS)
        self._connection = urllib3.connection_from_url(url, maxsize=1, retries=False, timeout=timeout)
        self._path = f"/app/app-{number % apps + 1}"
        self._values = (f"{number}-{count}-{time.time_ns()}" for count in itertools.count())

    def put(self) -> None:
        """A change that is new each time; raises RuntimeError when it is not acknowledged."""
        body = json.dumps({"env": {"WRITE": next(self._values)}}).encode()
        answer = self._connection.request("PUT", self._path, body=body, headers={"Content-Type": "application/json"})
        if answer.status != 200:
            raise RuntimeError(f"PUT {self._path}: {answer.status} {answer.data[:200]!r}")

    def count(self, begun: float, seconds: int) -> list[int]:
        """How many were acknowledged in each second from `begun` on."""
        counts = [0] * seconds
        while True:
            self.put()
            second = int(time.perf_counter() - begun)
            if second >= seconds:
                return counts
            counts[second] += 1


def measure(url: str, clients: int, apps: int, seconds: int) -> dict[str, object]:
    writers = [Writer(url, number, apps) for number in range(clients)]
    for writer in writers:
        writer.put()
    cpu, begun = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        counts = list(pool.map(lambda writer: writer.count(begun, seconds), writers))
    busy = (time.process_time() - cpu) / (time.perf_counter() - begun)
    return {"rates": [sum(second) for second in zip(*counts)], "busy": busy}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], *map(int, sys.argv[2:]))))
