"""Many agents in one process: real HTTP client, real watches and heartbeats, an engine that is a dictionary.

`python -m benchmarks.simulated_agents URL TOKENS.json` reads commands from stdin, one a line, and answers each with one line
of JSON: `stats` (how many ms each heartbeat since the last time took, calls that failed, apps that run), `kill NAME …`
(those of them that are here fall silent).
"""

from __future__ import annotations

import heapq
import json
import queue
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

from duckconf.command import Secret
from duckconf.errors import DuckconfError
from duckconf.reach.api.client import ApiClient

HELD = 50.0
# Threads that send heartbeats: more than are ever on their way at once.
HANDS = 16
INTERVAL = 10.0
STACK = 256 * 1024


class Agent:
    """One node: what it was told to run, it runs at once."""

    def __init__(self, name: str, token: str, url: str, beats: queue.Queue[Agent]) -> None:
        """`beats` is for whoever sends its heartbeats, one after the other."""
        self.name = name
        self.alive = True
        self.apps: list[dict[str, Any]] = []
        self.beats = beats
        # As a real agent it has one connection for its watch and one for its heartbeats, which both stay.
        self._watching = ApiClient(url, token=Secret(token))
        self._beating = ApiClient(url, token=Secret(token))

    def watch(self) -> None:
        since = 0
        while self.alive:
            try:
                share = self._watching.call("GET", f"/apps?nodeName={self.name}&since={since}&wait={HELD:g}", deadline=HELD + 20)
            except DuckconfError:
                time.sleep(0.5)
                continue
            if share["revision"] != since:
                since, self.apps = share["revision"], share["apps"]
                self.beats.put(self)

    def beat(self) -> None:
        """Send what runs."""
        containers = [
            {"app": app["name"], "container": f"duckconf-{app['name']}", "state": "running", "generation": app["generation"]}
            for app in self.apps
        ]
        self._beating.call("PUT", f"/node/{self.name}/heartbeat", {"instance": self.name, "containers": containers}, deadline=30)


class Crowd:
    """All agents, with a few hands that send their heartbeats."""

    def __init__(self, url: str, tokens: dict[str, str]) -> None:
        self._hands: list[queue.Queue[Agent]] = [queue.Queue() for _ in range(HANDS)]
        self.agents = {
            name: Agent(name, token, url, self._hands[number % HANDS]) for number, (name, token) in enumerate(tokens.items())
        }
        self._took: list[float] = []
        self._failed = 0
        self._lock = threading.Lock()
        self._due: list[tuple[float, str]] = []

    def begin(self) -> None:
        """A small fleet leaves some crowds without an agent."""
        threading.stack_size(STACK)
        for beats in self._hands:
            threading.Thread(target=self._send, args=(beats,), daemon=True).start()
        now = time.monotonic()
        for agent in self.agents.values():
            # Machines start when they start: their heartbeats are strewn over the interval.
            self._due.append((now + random.uniform(0, INTERVAL), agent.name))  # noqa: S311
            threading.Thread(target=agent.watch, daemon=True).start()
        heapq.heapify(self._due)
        if self._due:
            threading.Thread(target=self._keep_time, daemon=True).start()

    def answer(self, words: list[str]) -> dict[str, Any]:
        if words[:1] == ["kill"]:
            here = [self.agents[name] for name in words[1:] if name in self.agents]
            for agent in here:
                agent.alive = False
            return {"killed": len(here)}
        with self._lock:
            took, self._took, failed, self._failed = self._took, [], self._failed, 0
        running = sum(len(agent.apps) for agent in self.agents.values() if agent.alive)
        return {"took": took, "failed": failed, "running": running}

    def _send(self, beats: queue.Queue[Agent]) -> None:
        while True:
            agent = beats.get()
            if not agent.alive:
                continue
            begun = time.perf_counter()
            failed = False
            try:
                agent.beat()
            except DuckconfError:
                failed = True
            with self._lock:
                self._took.append((time.perf_counter() - begun) * 1000)
                self._failed += failed

    def _keep_time(self) -> None:
        """Each agent's heartbeat when it is due, to the millisecond: not in batches, which no fleet sends."""
        while True:
            due, name = self._due[0]
            time.sleep(max(0.0, due - time.monotonic()))
            heapq.heapreplace(self._due, (due + INTERVAL, name))
            agent = self.agents[name]
            agent.beats.put(agent)


def main(url: str, tokens: Path) -> None:
    crowd = Crowd(url, json.loads(tokens.read_text()))
    crowd.begin()
    for line in sys.stdin:
        print(json.dumps(crowd.answer(line.split())), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
