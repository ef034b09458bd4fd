"""What the threads of a process know of the API servers together: which to ask, and which one has gone silent.

With several servers, one that owes an answer and gives no sign is asked whether it is there. When it is not, all that waits for
it is broken off, and the callers ask another. With one server there is nobody else to ask: it is waited for.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import urllib3

from duckconf import addresses
from duckconf.addresses import Standing
from duckconf.reach.api.lines import Lines
from duckconf.reach.api.lookup import Lookup

log = logging.getLogger(__name__)

# Seconds for the question whether a server is there, and between two looks at what is under way. With addresses.QUIET, a server
# that is silent is left within 2 s.
PROBE_SECONDS = 0.8
LOOK_EVERY = 0.25
PORTS = {"http": 80, "https": 443}


class Servers:
    """For many threads. A client with a `name` has an order of its own, one without takes them as they come. `ca_file` verifies
    https servers, and the file `kept` remembers their IP addresses."""

    def __init__(self, urls: Sequence[str], name: str = "", ca_file: str = "", kept: Path | None = None) -> None:
        self.urls = tuple(urls)
        self.ca_file = ca_file
        lookup = Lookup(kept)
        self.lines = Lines(lookup)
        # Of calls that a server holds: there, a caller would learn late that it is to ask another.
        self.held = Lines(lookup)
        self._standing = Standing(addresses.own_order(self.urls, name))
        self._changed = threading.Condition()
        self._waiting: dict[object, tuple[str, float]] = {}
        self._heard: dict[str, float] = {}
        self._guard: threading.Thread | None = None
        bounds = urllib3.Timeout(total=PROBE_SECONDS)
        self._probes = self.lines.pool(ca_file, timeout=bounds)

    def choose(self, passed: Collection[str] = ()) -> str:
        """The one to ask now, which is none of the `passed`."""
        return addresses.choose(self._standing, passed)

    def failed(self, url: str) -> None:
        with self._changed:
            self._keep(addresses.after_failure(self._standing, url, time.monotonic(), random.random()))  # noqa: S311
        if self.choose() != url:
            _break_off(self.held, url)

    def answered(self, url: str) -> None:
        with self._changed:
            self._heard[url] = time.monotonic()
            self._keep(addresses.after_answer(self._standing, url))

    def heard(self, url: str) -> None:
        """It gave a sign of itself."""
        self._heard[url] = time.monotonic()

    @contextmanager
    def waiting(self, url: str) -> Iterator[None]:
        """While a caller waits for an answer that should come soon: raises in the caller what a broken connection raises when
        the server goes silent."""
        if len(self.urls) == 1:
            yield
            return
        key = object()
        with self._changed:
            self._waiting[key] = (url, time.monotonic())
            if self._guard is None:
                self._guard = threading.Thread(target=self._watch, name="api-servers", daemon=True)
                self._guard.start()
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                del self._waiting[key]

    def _keep(self, standing: Standing) -> None:
        before, self._standing = addresses.choose(self._standing), standing
        if (now := addresses.choose(standing)) != before:
            log.info("the API server is now %s, before it was %s", now, before)

    def _watch(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                silent, away = self._questions(time.monotonic())
            for url in silent:
                if not self._is_there(url):
                    self.failed(url)
                    _break_off(self.lines, url)
            for url in away:
                self._try_again(url)
            time.sleep(LOOK_EVERY)

    def _questions(self, now: float) -> tuple[list[str], list[str]]:
        """Servers that are silent, and servers that may be there again."""
        since: dict[str, float] = {}
        for url, begun in self._waiting.values():
            since[url] = min(begun, since.get(url, begun))
        return addresses.to_ask(since, self._heard, now), addresses.to_try_again(self._standing, now)

    def _is_there(self, url: str, *, well: bool = False) -> bool:
        """Whether it answers at all, or is `well`."""
        try:
            answer = self._probes.request("GET", f"{url}/healthz")
        except urllib3.exceptions.HTTPError:
            return False
        self.heard(url)
        return answer.status == 200 or not well

    def _try_again(self, url: str) -> None:
        if not self._is_there(url, well=True):
            self.failed(url)
            return
        with self._changed:
            self._keep(addresses.after_sign(self._standing, url))


def _break_off(lines: Lines, url: str) -> None:
    place = urllib3.util.parse_url(url)
    if place.host:
        lines.break_off(place.host.strip("[]"), place.port or PORTS.get(place.scheme or "", 0))
