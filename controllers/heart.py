"""The agent's heartbeats: they tell the api-server that the node is alive and which containers run on it.

A heartbeat is sent at every interval, and at once when the containers have changed. None is sent while the node's engine does
not answer, so that the node counts as unreachable. Each heartbeat carries the whole state of the node. Therefore nothing is lost
when one of them does not arrive.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from http import HTTPStatus

from controllers.beat import Entry
from controllers.contact import ANSWER_WITHIN, Contact
from duckconf.errors import DuckconfError, NotNow
from duckconf.events import Event, with_ids
from duckconf.facts import Facts
from duckconf.reach.api.agent_config import AgentConfig
from duckconf.reach.api.client import ApiRefused
from duckconf.reach.state import logs
from duckconf.refusal import Refusal, refusal_to_json

log = logging.getLogger("agent")

# No more heartbeats than this within a second.
MOST_BEATS = 5
# Intervals that a heartbeat may take: the server asks for four of them within node_timeout, so that after one that fails and a
# pause of an interval the next one is in time.
ONE_FAILURE = 2.0
# A look is old after as many intervals.
OLD = 2.0
# While a container leaves the fronts, the server is asked so often whether it has.
LEAVING_EVERY = 0.25
MOST_EVENTS = 200
EVENTS_AT_ONCE = 50
LONGEST_MESSAGE = 1000


class Heart:
    """`rival` says that another agent of the same name is alive. `on_turn` is called when that changes, and when a container has
    left the fronts."""

    def __init__(self, config: AgentConfig, instance: str, on_turn: Callable[[], None]) -> None:
        self.rival = False
        self._config = config
        self._instance = instance
        self._on_turn = on_turn
        self._contact = Contact(config)
        self._beating = threading.Lock()
        self._woken = threading.Event()
        self._seen: Entry = {}
        self._facts = Facts()
        self._seen_at = 0.0
        self.has_seen = threading.Event()
        self._told: Entry | None = None
        self._events: deque[Event] = deque(maxlen=MOST_EVENTS)
        self._interval = config.interval
        self._trouble = ""
        self.front: frozenset[str] = frozenset()
        """The containers here that a front may send requests to, by the last answer."""
        self.fronts_told = True
        """Whether the fronts are told of changes, by the last answer."""

    def see(
        self,
        containers: Sequence[Entry],
        when: float,
        refusals: Sequence[Refusal] = (),
        unreadable: str = "",
        images: Sequence[Entry] = (),
    ) -> None:
        """What runs here as of `when` on the monotonic clock, as `beat.entries` has it, and what the engine refuses to run.
        `images` are those that were found out of revisions, as `pins.found_out` has them.
        `unreadable` says why the engine's answer could not be read then: the containers are those of an earlier look."""
        self._seen_at = when
        self._seen = {"containers": containers, "refusals": refusals, "unreadable": unreadable, "images": list(images)}
        self.has_seen.set()
        if self._seen != self._told or self._events:
            self._woken.set()

    def know(self, facts: Facts) -> None:
        """What the node is and has left: told at once when nothing was known, later with the next heartbeat."""
        before, self._facts = self._facts, facts
        if before == Facts() != facts:
            self._woken.set()

    def tell(self, event: Event) -> None:
        """Send it with the heartbeat after the next look; when the server is long away, the oldest are forgotten."""
        self._events.append(event)

    @property
    def server(self) -> str:
        """Which server heard the last heartbeat; "" when none did."""
        return self._contact.server

    def beat(self) -> None:
        """Now; returns when the server knows what was seen last. Raises DuckconfError."""
        with self._beating:
            seen, seen_at = self._seen, self._seen_at
            if not self.has_seen.is_set() or time.monotonic() - seen_at > OLD * self._config.interval:
                raise NotNow("the engine does not answer")
            refusals = [refusal_to_json(refusal, time.monotonic()) for refusal in seen["refusals"]]
            body = {"instance": self._instance, "facts": self._facts.to_json(), **seen, "refusals": refusals}
            try:
                within = min(ANSWER_WITHIN, ONE_FAILURE * self._interval)
                answer = self._contact.call("PUT", f"/node/{self._config.node}/heartbeat", body, within=within)
            except ApiRefused as refusal:
                if refusal.status == HTTPStatus.CONFLICT:
                    self._turn(rival=True)
                raise
            self._told = seen
            asked = answer.get("interval")
            self._interval = min(self._config.interval, asked) if isinstance(asked, (int, float)) else self._config.interval
            self._turn(rival=False)
            self._learn_front(answer.get("front"), told=answer.get("fronts_told") is not False)
            self._send_events()

    def run(self) -> None:
        """For a thread of its own: beats for ever, once there is something to tell."""
        beats: deque[float] = deque(maxlen=MOST_BEATS)
        self.has_seen.wait()
        while True:
            try:
                self.beat()
                self._contact.fine()
                self._note_trouble("")
                beats.append(time.monotonic())
                self._woken.wait(min(self._interval, LEAVING_EVERY) if self._waits() else self._interval)
                if len(beats) == MOST_BEATS:
                    time.sleep(max(0.0, beats[0] + 1.0 - time.monotonic()))
                self._woken.clear()
            except DuckconfError as error:
                self._note_trouble(str(error))
                time.sleep(self._contact.pause(self._interval))

    def _send_events(self) -> None:
        while self._events:
            batch = [self._events[index] for index in range(min(EVENTS_AT_ONCE, len(self._events)))]
            told = [{"kind": event.kind, "message": event.message[:LONGEST_MESSAGE], "app": event.app} for event in batch]
            answer = self._contact.call("POST", "/events", {"events": told})
            logs.tell(log, with_ids([replace(event, node=self._config.node) for event in batch], answer.get("ids")))
            for _ in batch:
                self._events.popleft()

    def _learn_front(self, containers: object, *, told: bool) -> None:
        self.fronts_told = told
        before, self.front = self.front, frozenset(map(str, containers)) if isinstance(containers, list) else frozenset()
        if before - self.front:
            self._on_turn()

    def _waits(self) -> bool:
        """Whether something here is not stopped before it has left the fronts."""
        return any(entry["container"] in self.front for entry in self._seen.get("containers", ()) if entry.get("leaving"))

    def _turn(self, *, rival: bool) -> None:
        if rival != self.rival:
            self.rival = rival
            self._on_turn()

    def _note_trouble(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            log.warning("no heartbeat: %s", trouble) if trouble else log.info("heartbeats reach the api-server")
