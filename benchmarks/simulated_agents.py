"""Many agents in one process: real HTTP client, real watches and heartbeats, an engine that is a dictionary.

`python -m benchmarks.simulated_agents URL TOKENS.json` reads commands from stdin, one a line, and answers each with one line
of JSON: `stats` (heartbeats and their p50/p99 in ms since the last time, apps that run), `kill NAME …` (these fall silent).
"""

from __future__ import annotations

import json
import queue
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import Any

from duckconf.command import Secret
from duckconf.errors import DuckconfError
from duckconf.reach.client import ApiClient

HELD = 50.0
HANDS = 24
STACK = 256 * 1024


class Agent:
    """One node: what it was told to run, it runs at once."""

    def __init__(self, name: str, token: str, url: str, beats: queue.Queue[Agent]) -> None:
        self.name = name
        self.alive = True
        self.apps: list[dict[str, Any]] = []
        self.due = 0.0
        self._api = ApiClient(url, token=Secret(token))
        self._beats = beats

    def watch(self) -> None:
        since = 0
        while self.alive:
            try:
                share = self._api.call("GET", f"/apps?nodeName={self.name}&since={since}&wait={HELD:g}", deadline=HELD + 20)
            except DuckconfError:
                time.sleep(0.5)
                continue
            if share["revision"] != since:
                since, self.apps = share["revision"], share["apps"]
                self._beats.put(self)

    def beat(self, api: ApiClient) -> float:
        """Send what runs; returns when the next one is due, in seconds from now."""
        containers = [
            {"app": app["name"], "container": f"duckconf-{app['name']}", "state": "running", "generation": app["generation"]}
            for app in self.apps
        ]
        answer = api.call("PUT", f"/node/{self.name}/heartbeat", {"instance": self.name, "containers": containers}, deadline=30)
        return float(answer["interval"])


class Crowd:
    """All agents, with a few hands that send their heartbeats."""

    def __init__(self, url: str, tokens: dict[str, str]) -> None:
        self._url = url
        self._tokens = tokens
        self._beats: queue.Queue[Agent] = queue.Queue()
        self.agents = {name: Agent(name, token, url, self._beats) for name, token in tokens.items()}
        self._took: list[float] = []
        self._lock = threading.Lock()

    def begin(self) -> None:
        threading.stack_size(STACK)
        for _ in range(HANDS):
            threading.Thread(target=self._send, daemon=True).start()
        for number, agent in enumerate(self.agents.values()):
            agent.due = time.monotonic() + 10 * number / len(self.agents)
            self._beats.put(agent)
            threading.Thread(target=agent.watch, daemon=True).start()
        threading.Thread(target=self._keep_time, daemon=True).start()

    def answer(self, words: list[str]) -> dict[str, Any]:
        if words[:1] == ["kill"]:
            for name in words[1:]:
                self.agents[name].alive = False
            return {"killed": len(words) - 1}
        with self._lock:
            took, self._took = sorted(self._took), []
        running = sum(len(agent.apps) for agent in self.agents.values() if agent.alive)
        quantiles = statistics.quantiles(took, n=100) if len(took) > 1 else [0.0] * 99
        return {"heartbeats": len(took), "p50": quantiles[49], "p99": quantiles[98], "running": running}

    def _send(self) -> None:
        clients: dict[str, ApiClient] = {}
        while True:
            agent = self._beats.get()
            if not agent.alive:
                continue
            api = clients.setdefault(agent.name, ApiClient(self._url, token=Secret(self._tokens[agent.name])))
            begun = time.perf_counter()
            try:
                interval = agent.beat(api)
            except DuckconfError:
                interval = 1.0
            with self._lock:
                self._took.append((time.perf_counter() - begun) * 1000)
            agent.due = time.monotonic() + interval

    def _keep_time(self) -> None:
        while True:
            now = time.monotonic()
            for agent in self.agents.values():
                if agent.alive and agent.due <= now:
                    agent.due = now + 60
                    self._beats.put(agent)
            time.sleep(0.1)


def main(url: str, tokens: Path) -> None:
    crowd = Crowd(url, json.loads(tokens.read_text()))
    crowd.begin()
    for line in sys.stdin:
        print(json.dumps(crowd.answer(line.split())), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
