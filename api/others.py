"""The other servers of a cluster: what one of them is told that the others must know too, and how new what it knows is.

A server that is alone tells nobody. What is kept (apps, cordons and more) is not meant: that is known by all in any case.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Optional, Protocol

from flask import Flask, Response, request

from api.problems import BadRequest
from api.stores import board
from api.stores.board import SharedBoard
from api.stores.fronts import FrontBook
from api.stores.nodes import NodeBook, Report
from api.stores.placed import PlacedIndex
from api.stores.questions import Questions
from api.stores.relay import PART as HEARD
from api.stores.relay import Relay
from duckconf.events import Event
from duckconf.leaving import Where
from duckconf.reach.state.entries import CUT_OFF, Mirror, Reading, SharedEntries
from duckconf.reach.state.journal import Journal
from duckconf.reach.state.table import Changes, News

FRONTS = "fronts"
STOPPING = "stopping"
UPDATES = "updates"
AGE = "Duckconf-Age"
STALE = '110 - "Response is stale: this server is cut off from etcd"'
YES = "1"


class Others(Protocol):
    def age(self) -> Optional[float]:
        """Seconds for which what this server knows may be behind; None where nobody else writes."""

    def catch_up(self) -> None:
        """Know all that was acknowledged anywhere before this call. Raises NotNow."""

    def hear(self, node: str, told: Any, report: Report) -> None:
        """A heartbeat has come here."""

    def stop_first(self, instances: Iterable[str], *, stops: bool) -> None:
        """These end where they run before they start elsewhere, or do not. Raises NotNow."""

    def front_has(self, edge: str, has: frozenset[Where]) -> None:
        """What a front may send requests to. Raises NotNow."""

    def tell_updates(self, notes: Mapping[str, str]) -> None:
        """How far the updates of these apps are. Raises NotNow."""

    def join(self, take: Callable[[str, Any], None]) -> None:
        """From now on: tell them what is heard here, and give `take` what nodes tell them."""


class Nobody:
    """This server is alone."""

    def __init__(self, index: PlacedIndex, fronts: FrontBook) -> None:
        self._index = index
        self._fronts = fronts

    def age(self) -> Optional[float]:
        return None

    def catch_up(self) -> None:
        """Nobody else writes."""

    def hear(self, node: str, told: Any, report: Report) -> None:
        """Nobody else asks."""

    def stop_first(self, instances: Iterable[str], *, stops: bool) -> None:
        self._index.stop_first(instances, stops=stops)

    def front_has(self, edge: str, has: frozenset[Where]) -> None:
        self._fronts.tell(edge, has)

    def tell_updates(self, notes: Mapping[str, str]) -> None:
        self._index.updates.update(notes)

    def join(self, take: Callable[[str, Any], None]) -> None:
        """There is nobody."""


class Joined:
    """This server, called `server`, is one of several."""

    def __init__(
        self, mirror: Mirror, server: str, nodes: NodeBook, index: PlacedIndex, fronts: FrontBook, journal: Journal,
        questions: Questions,
    ) -> None:  # fmt: skip
        self._mirror = mirror
        self._server = server
        self._nodes = nodes
        self._index = index
        self._fronts = fronts
        self._journal = journal
        self._has = mirror.part(FRONTS)
        self._stopping = mirror.part(STOPPING)
        self._updates = mirror.part(UPDATES)
        questions.board = SharedBoard(mirror.part(board.PART), questions)
        self._heard = mirror.part(HEARD, probing=True)
        self._relay: Optional[Relay] = None
        _now_and_later(self._has, self._see_front)
        _now_and_later(self._stopping, self._see_stopping)
        _now_and_later(self._updates, self._see_updates)

    def age(self) -> Optional[float]:
        return self._mirror.age

    def catch_up(self) -> None:
        self._has.catch_up()

    def hear(self, node: str, told: Any, report: Report) -> None:
        if self._relay is not None:
            self._relay.hear(node, told, report)

    def stop_first(self, instances: Iterable[str], *, stops: bool) -> None:
        names = [*instances]

        def decide(reading: Reading) -> Changes:
            there = reading.all().keys() & {*names}
            return dict.fromkeys({*names} - there, YES) if stops else dict.fromkeys(there)

        self._stopping.change(decide)

    def front_has(self, edge: str, has: frozenset[Where]) -> None:
        text = json.dumps(sorted(has))
        self._has.change(lambda reading: {edge: text} if reading.get(edge) != text else {})

    def tell_updates(self, notes: Mapping[str, str]) -> None:
        """And forget those that are over."""
        texts = {name: json.dumps(note, ensure_ascii=False) for name, note in notes.items()}

        def decide(reading: Reading) -> Changes:
            there = reading.all()
            over = dict.fromkeys(name for name in there if name not in texts and name not in self._index.restless)
            return {**over, **{name: text for name, text in texts.items() if there.get(name) != text}}

        self._updates.change(decide)

    def join(self, take: Callable[[str, Any], None]) -> None:
        nodes = self._nodes
        self._relay = Relay(self._heard, self._server, nodes.timeout, take, nodes.heard_elsewhere, self._note)
        self._journal.relay = self._relay.tell
        self._mirror.at_end.append(self._relay.close)
        threading.Thread(target=self._relay.run, name="relay", daemon=True).start()

    def _note(self, event: Event) -> None:
        self._journal.take(event)
        if event.kind == "pending" and event.app:
            self._index.waits(event.instance or event.app, event.message)

    def _see_front(self, news: News) -> None:
        for edge, item in news.items.items():
            if item is not None:
                self._fronts.tell(edge, frozenset((str(node), str(container)) for node, container in json.loads(item.text)))

    def _see_updates(self, news: News) -> None:
        known = {name: json.loads(item.text) for name, item in news.items.items() if item is not None}
        self._index.updates.update({name: str(note) for name, note in known.items() if name in self._index.restless})

    def _see_stopping(self, news: News) -> None:
        for name, item in news.items.items():
            self._index.stop_first([name], stops=item is not None)


def _now_and_later(entries: SharedEntries, see: Callable[[News], None]) -> None:
    entries.follow(see)
    see(entries.news())


def say_age(app: Flask, others: Others) -> None:
    """Have each answer to a read say how old it may be, and let `?consistent=1` ask for one that is not."""

    @app.before_request
    def be_consistent() -> None:
        wanted = request.args.get("consistent")
        if wanted not in (None, YES):
            raise BadRequest(HTTPStatus.BAD_REQUEST, f"consistent should be 1, or not be there, got {wanted!r}")
        if wanted is not None:
            others.catch_up()

    @app.after_request
    def told(answer: Response) -> Response:
        age = others.age()
        if age is not None and request.method == "GET":
            answer.headers[AGE] = f"{age:.2f}"
        if age is not None and age > CUT_OFF:
            # Also to a heartbeat: others do not hear of it, and the agent has to send it to one of them.
            answer.headers["Warning"] = STALE
        return answer
