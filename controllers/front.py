"""Keeps the front of one edge host as it should be: a thread that tells Caddy what is ready, and learns what still has requests.

It acts only when something has changed. A front that does not answer goes on with what it was told last.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from duckconf.acme import Acme
from duckconf.command import Runner
from duckconf.edge_admin import Answer, asking, read_answer
from duckconf.edge_certificates import Certificates
from duckconf.edge_config import document
from duckconf.edge_turn import Applied, Ask, Known, next_ask, next_turn, parked
from duckconf.errors import DuckconfError, NodeFailure
from duckconf.events import Event
from duckconf.front import Serving
from duckconf.leaving import Where

# Seconds after a failure.
AGAIN = 1.0
# Seconds without a change after which is seen whether Caddy still has what it was told: its host may be a new one.
LOOK_AGAIN = 30.0
# A front that has not answered for as long is not waited for any more.
GIVEN_UP = 10.0


class Keeper:
    """One front. `has` is called by other threads; `on_change` is called when what it says has changed."""

    def __init__(
        self, node: str, acme: Acme, runner: Callable[[], Runner], on_change: Callable[[], None], tell: Callable[[Event], None]
    ) -> None:
        self._node = node
        self._acme = acme
        self._runner = runner
        self._on_change = on_change
        self._tell = tell
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._ended = False
        self._wanted: tuple[Serving, ...] | None = None
        self._names: dict[str, Where] = {}
        self._applied: Applied | None = None
        self._addresses: set[str] | None = None
        """What Caddy may send requests to, or waits for: None while nobody has asked it."""
        self._parked: set[str] = set()
        self._old: bool | None = None
        """Whether it is a Caddy before 2.7; None while that is not known, as after a failure."""
        self._certificates = Certificates()
        self._told: dict[str, object] | None = None
        self._check = False
        """Whether somebody may have told Caddy otherwise meanwhile."""
        self._failing = 0.0
        self._trouble = ""

    def want(self, servings: Sequence[Serving], names: Mapping[str, Where]) -> None:
        """What should be served from now on; `names` are the containers behind the addresses, also of what leaves."""
        with self._lock:
            self._names.update(names)
            if self._wanted == tuple(servings):
                return
            self._wanted = tuple(servings)
        self._woken.set()

    def trust(self, acme: Acme) -> None:
        """Certificates come from there from now on."""
        if acme != self._acme:
            self._acme, self._applied, self._certificates = acme, None, Certificates()
            self._woken.set()

    def is_told(self) -> bool:
        """Until it is, nothing is known of what the front has."""
        return self._wanted is not None

    def has(self) -> Collection[Where]:
        """The containers that the front may send requests to, or waits for. Of one that was never asked, all."""
        with self._lock:
            if self._failing and time.monotonic() - self._failing > GIVEN_UP:
                return frozenset()
            if self._addresses is None:
                return frozenset(self._names.values())
            there = self._addresses | self._parked | _addresses(self._wanted or ())
            return frozenset(where for address, where in self._names.items() if address in there)

    def run(self) -> None:
        """For a thread of its own, until `end`."""
        while not self._ended:
            self._woken.clear()
            before = self.has()
            try:
                again = self._once()
                self._note("")
            except DuckconfError as error:
                self._note(getattr(error, "reason", str(error)))
                self._old = None
                again = AGAIN
            if self.has() != before:
                self._on_change()
            if not self._woken.wait(LOOK_AGAIN if again is None else again) and again is None:
                self._check = True

    def end(self) -> None:
        self._ended = True
        self._woken.set()

    def _once(self) -> float | None:
        """Seconds until there is something to do without a change."""
        done: set[Ask] = set()
        while (ask := next_ask(self._known(), done)) is not None:
            self._act(ask)
            done.add(ask)
        known = self._known()
        soon = next_turn(known)
        if soon is None and known.wanted is not None and self._old:
            return self._certificates.next_look(_hosts(known.wanted[0]))
        return soon

    def _known(self) -> Known:
        wanted = self._wanted
        return Known(
            (wanted, self._certified()) if wanted is not None else None,
            self._applied,
            learned=self._addresses is not None and self._old is not None,
            doubt=self._check and self._told is not None,
            parked=self._parked,
            lacks=bool(self._old) and not self._certificates.there.issuperset(_hosts(wanted or ())),
        )

    def _act(self, ask: Ask) -> None:
        if ask is Ask.REPEAT:
            self._ask(self._told)
            self._check = False
        elif ask is Ask.LOAD:
            self._load(self._wanted or ())
        elif ask is Ask.LOOK:
            self._look()
        else:
            upstreams = self._ask(None).upstreams
            self._addresses = set(upstreams) if self._addresses is None else self._addresses

    def _look(self) -> None:
        # Not by the answer to the load: a request that came at that moment may be counted a little later.
        told = self._ask(None).upstreams
        with self._lock:
            self._parked = {address for address in self._parked if told.get(address, 0) > 0}
            there = (self._addresses or set()) | self._parked | _addresses(self._wanted or ())
            self._names = {address: where for address, where in self._names.items() if address in there}

    def _certified(self) -> Collection[str]:
        return self._certificates.there if self._old else frozenset()

    def _load(self, wanted: tuple[Serving, ...]) -> None:
        certified = self._certified()
        self._parked = parked(self._parked, self._addresses or (), _addresses(wanted))
        self._told = document(wanted, self._parked, self._acme, certified=certified, old=bool(self._old))
        answer = self._ask(self._told)
        if answer.refused:
            raise NodeFailure(self._node, f"Caddy refuses its configuration: {answer.refused}")
        self._applied = wanted, certified
        with self._lock:
            self._addresses = _addresses(wanted)

    def _ask(self, wanted: dict[str, object] | None) -> Answer:
        acme, certificates = self._acme, self._certificates
        looks = self._old is not False
        hosts = certificates.to_look_at(_hosts(self._wanted or ()), time.monotonic()) if looks else ()
        try:
            answer = read_answer(self._runner().run(asking(wanted, hosts, acme, version=self._old is None)))
        except ValueError as error:
            raise NodeFailure(self._node, str(error)) from error
        except KeyError:
            raise NodeFailure(self._node, "is no longer in the inventory") from None
        certificates.learn(answer.certificates)
        self._old = answer.old if answer.old is not None else self._old
        return answer

    def _note(self, trouble: str) -> None:
        with self._lock:
            self._failing = (self._failing or time.monotonic()) if trouble else 0.0
        if trouble == self._trouble:
            return
        if trouble:
            words = f"the front on {self._node} cannot be told of changes, and serves what it was told last: {trouble}"
            self._tell(Event("front-away", words, node=self._node))
        elif self._trouble:
            self._tell(Event("front-back", f"the front on {self._node} is told of changes again", node=self._node))
        self._trouble = trouble


def _addresses(servings: Sequence[Serving]) -> set[str]:
    return {upstream.address for one in servings for upstream in one.upstreams}


def _hosts(servings: Sequence[Serving]) -> Collection[str]:
    return {one.route.host for one in servings}
