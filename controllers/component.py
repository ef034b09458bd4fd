"""What scheduler and node-controller share: a configuration, a client of the api-server, a lease, and a loop woken by watches.

They speak with nobody but the api-server, and keep nothing: killed at any point, the next one goes on. Of several, the one with
the lease decides; what it sends bears the term of that, and is refused when there is a newer one.
"""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from controllers.lease import LeaseHolder, NotLeading
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
Once = Callable[[ApiClient], float]
"""Returns the seconds after which it wants to be called again without a wake-up."""

HELD = 30.0
# Beyond the time that the server may hold a request.
DEADLINE = HELD + 10.0
# Bindings in one transaction: an agent that gets ten instances is woken once and not ten times.
BATCH = 10_000
AGAIN = 1.0


def batches(items: Sequence[T], size: int = BATCH) -> Iterator[Sequence[T]]:
    return (items[first : first + size] for first in range(0, len(items), size))


class Component:
    """One control loop of the control plane: `once` is called after each wake-up while this process leads, and returns when it is
    due again."""

    def __init__(self, name: str, config: ControlConfig) -> None:
        self.log = logging.getLogger(name)
        self._name = name
        self._config = config
        self._servers = Servers(split(config.api_url), ca_file=config.ca_file)
        self._woken = threading.Event()
        self._ended = threading.Event()
        self._readiness = Readiness()
        self._silent = False
        self._watched: set[str] = set()
        self._lease = LeaseHolder(name, config.server or socket.gethostname(), self.api, self._woken.set)

    def api(self, more: Callable[[], Mapping[str, str]] = dict) -> ApiClient:
        """A client of its own for each thread; the token is read anew, so that it may be exchanged. `more` has headers."""
        token = read_token(Path(self._config.operator_token_file))
        return ApiClient(self._servers, "is duckconf-api running?", token, name=self._name, more=more)

    def watch(self, path: str) -> None:
        """Wake the loop from now on whenever the revision of `path` changes, such as `/nodes?`."""
        if path in self._watched:
            return
        self._watched.add(path)
        threading.Thread(target=self._watch, args=(path,), name=f"watch{path}", daemon=True).start()

    def run(self, begin: Callable[[], Once]) -> None:
        """Until SIGTERM. `begin` is called at the beginning of each term: what was known in an earlier one is forgotten."""
        signal.signal(signal.SIGTERM, lambda *_: self.end())
        self._lease.start()
        try:
            self._lead(begin)
        finally:
            self._lease.end()

    def _lead(self, begin: Callable[[], Once]) -> None:
        term = 0
        while not self._ended.is_set():
            self._woken.clear()
            if not (now := self._lease.term()):
                term = 0
                # One that follows, or waits for the api-server, does what it should.
                self._readiness.tell()
                self._woken.wait()
                continue
            if now != term:
                term, once, api = now, begin(), self.api(partial(self._lease.headers, now))
            pause = self._decide(once, api)
            self._readiness.tell()
            self._woken.wait(pause)

    def _decide(self, once: Once, api: ApiClient) -> float:
        try:
            pause = once(api)
        except NotLeading:
            return 0.0
        except DuckconfError as error:
            if not self._silent:
                self.log.warning("no decisions for now: %s", error)
            self._silent = True
            return AGAIN
        if self._silent:
            self.log.info("the api-server answers again")
        self._silent = False
        return pause

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
        api: ApiClient | None = None
        since = -1
        while not self._ended.is_set():
            try:
                api = api or self.api()
                # The lease asks all the time: when its server is cut off or gone, this does not wait there for news.
                question = f"{path}since={max(since, 0)}&wait={HELD:g}"
                answer: dict[str, Any] = api.call("GET", question, deadline=DEADLINE, held=True)
                if answer["revision"] != since:
                    since = int(answer["revision"])
                    self._woken.set()
            except DuckconfError:
                # The token may have been exchanged.
                api = None
                self._ended.wait(AGAIN)


def main(name: str, arguments: Sequence[str], begin: Callable[[Component, ControlConfig], Callable[[], Once]]) -> int:
    """The process of a component; what `begin` returns is called at the beginning of each term, sees to the watches and gives the
    `once` of that term."""
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
