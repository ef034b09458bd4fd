"""What `watch` knows of the cluster: the stream of the API, followed by a thread, which connects again by itself."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from duckconf.cli.cluster.api import api_client
from duckconf.errors import DuckconfError
from duckconf.event_stream import Reader, Sent
from duckconf.events import Event, event_from_json
from duckconf.merge_patch import patched
from duckconf.reach.inventory.project import Project

# Seconds. The server says something at least every 5.
STALE_AFTER = 12.0
AGAIN = 0.5
KEPT_EVENTS = 200


@dataclass(frozen=True)
class Known:
    """`skew` is what the server's clock is ahead of ours, in seconds; `heard` is when it last said something, by our monotonic
    clock; `why` is what is wrong with the line, "" while it is well."""

    picture: dict[str, Any] = field(default_factory=dict)
    skew: float = 0.0
    heard: float = 0.0
    why: str = ""
    fault: BaseException | None = None

    def stale(self, now: float) -> float:
        """For how many seconds nothing was heard, 0 while all is well."""
        silent = now - self.heard
        return max(silent, 0.001) if self.picture and (self.why or silent > STALE_AFTER) else 0.0


class Link:
    """`known` and `events` may be read by any thread; `changed` is called when one of them is another."""

    def __init__(self, project: Project, changed: Callable[[], None]) -> None:
        self._project = project
        self._changed = changed
        self._id = ""
        self.known = Known()
        self._events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self._lock = threading.Lock()

    @property
    def events(self) -> Sequence[Event]:
        with self._lock:
            return tuple(self._events)

    def start(self) -> None:
        threading.Thread(target=self._run, name="link", daemon=True).start()

    def _run(self) -> None:
        try:
            while True:
                self._lost(self._follow())
                time.sleep(AGAIN)
        except BaseException as fault:
            self._know(fault=fault)

    def _follow(self) -> str:
        """Until the stream ends; returns why."""
        try:
            # Made anew each time: another mode may have another token.
            api, reader = api_client(self._project), Reader()
            for content in api.stream("/events", self._id):
                for sent in reader.read(content):
                    self._take(sent)
                self._know(heard=time.monotonic(), why="")
        except DuckconfError as error:
            return str(error)
        except (KeyError, TypeError, ValueError) as error:
            self._id = ""
            return f"what the API sends cannot be read: {error}"
        return "the API has ended the stream"

    def _take(self, sent: Sent) -> None:
        if sent.kind == "now":
            self._know(skew=float(sent.data["now"]) - time.time())
        elif sent.kind == "picture":
            self._know(picture=sent.data)
        elif sent.kind == "patch":
            self._know(picture=patched(self.known.picture, sent.data))
        elif sent.kind == "events":
            with self._lock:
                self._events.extend(event for event in map(event_from_json, sent.data) if event not in self._events)
        self._id = sent.id or self._id

    def _lost(self, why: str) -> None:
        self._know(why=why)

    def _know(self, **parts: Any) -> None:
        self.known = Known(**{**vars(self.known), **parts})
        self._changed()
