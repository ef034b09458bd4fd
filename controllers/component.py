"""What scheduler and node-controller share: a configuration, a client of the api-server, and a loop woken by watches.

They speak with nobody but the api-server, and keep nothing: killed at any point, the next one goes on.
"""

from __future__ import annotations

import argparse
import logging
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from duckconf.addresses import split
from duckconf.errors import DuckconfError
from duckconf.events import Event, with_ids
from duckconf.reach.api.client import ApiClient
from duckconf.reach.api.control_config import ControlConfig, read_control_config
from duckconf.reach.api.secret import read_token
from duckconf.reach.api.servers import Servers
from duckconf.reach.state import logs
from duckconf.reach.state.ready import Readiness

T = TypeVar("T")

HELD = 30.0
# Beyond the time that the server may hold a request.
DEADLINE = HELD + 10.0
# Bindings in one transaction: an agent that gets ten instances is woken once and not ten times.
BATCH = 10_000
AGAIN = 1.0


def batches(items: Sequence[T], size: int = BATCH) -> Iterator[Sequence[T]]:
    return (items[first : first + size] for first in range(0, len(items), size))


class Component:
    """One control loop of the control plane: `once` is called after each wake-up and returns when it is due again."""

    def __init__(self, name: str, config: ControlConfig) -> None:
        self.log = logging.getLogger(name)
        self._name = name
        self._config = config
        self._servers = Servers(split(config.api_url), ca_file=config.ca_file)
        self._woken = threading.Event()
        self._ended = threading.Event()
        self._readiness = Readiness()

    def api(self) -> ApiClient:
        """A client of its own for each thread; the token is read anew, so that it may be exchanged."""
        token = read_token(Path(self._config.operator_token_file))
        return ApiClient(self._servers, "is duckconf-api running?", token, name=self._name)

    def watch(self, path: str) -> None:
        """Begin to wake the loop whenever the revision of `path` changes, such as `/nodes?`."""
        threading.Thread(target=self._watch, args=(path,), name=f"watch{path}", daemon=True).start()

    def run(self, once: Callable[[ApiClient], float]) -> None:
        """Until SIGTERM. `once` returns the seconds after which it wants to be called again without a wake-up."""
        signal.signal(signal.SIGTERM, lambda *_: self.end())
        silent = False
        api = self.api()
        while not self._ended.is_set():
            self._woken.clear()
            try:
                pause = once(api)
                if silent:
                    self.log.info("the api-server answers again")
                silent = False
            except DuckconfError as error:
                pause = AGAIN
                if not silent:
                    self.log.warning("no decisions for now: %s", error)
                silent = True
            # Also when the api-server is away: then it waits for it, as it should.
            self._readiness.tell()
            self._woken.wait(pause)

    def end(self) -> None:
        self._ended.set()
        self._woken.set()

    def tell(self, api: ApiClient, events: Sequence[Event]) -> None:
        """Send what happened to the journal, and log it with the id that the journal knows."""
        for begin in range(0, len(events), 100):
            part = events[begin : begin + 100]
            told = [
                {
                    "kind": event.kind,
                    "message": event.message,
                    "app": event.app,
                    "instance": event.instance,
                    "node": event.node,
                    "source": self._name,
                }
                for event in part
            ]
            try:
                ids = api.call("POST", "/events", {"events": told}).get("ids")
            except DuckconfError:
                logs.tell(self.log, part, spoken=True)
                raise
            logs.tell(self.log, with_ids(part, ids), spoken=True)

    def _watch(self, path: str) -> None:
        api = self.api()
        since = -1
        while not self._ended.is_set():
            try:
                answer: dict[str, Any] = api.call("GET", f"{path}since={max(since, 0)}&wait={HELD:g}", deadline=DEADLINE)
                if answer["revision"] != since:
                    since = int(answer["revision"])
                    self._woken.set()
            except DuckconfError:
                self._ended.wait(AGAIN)


def main(name: str, arguments: Sequence[str], begin: Callable[[Component, ControlConfig], Callable[[ApiClient], float]]) -> int:
    """The process of a component; `begin` starts its watches and returns its `once`."""
    parser = argparse.ArgumentParser(description=f"The Duckconf {name}.")
    parser.add_argument("--config", type=Path, required=True, help="the JSON file that the role `control_plane` writes")
    parser.add_argument("--json-logs", action="store_true", help="one JSON object per line, for programs")
    options = parser.parse_args(list(arguments))
    logs.set_up(as_json=options.json_logs)
    try:
        config = read_control_config(options.config)
        component = Component(name, config)
        component.log.info("cluster %s, api-server %s", config.cluster, config.api_url)
        component.run(begin(component, config))
    except DuckconfError as error:
        logging.getLogger(name).error("%s", error)
        return error.exit_code
    return 0
