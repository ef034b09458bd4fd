"""The routes for a rebalance: ask for one, and see how far it is. The loop carries it out and keeps its progress on disk itself;
for the scheduler, this server keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, jsonify

from api.auth import require_operator
from api.body import body, query, seconds, whole
from api.held import HeldRequests
from api.stores.placed import REBALANCE, PlacedIndex
from duckconf.errors import BadInput, Fault, NotFound
from duckconf.events import Event
from duckconf.naming import app_of
from duckconf.reach.state.rebalances import RebalanceRequests
from duckconf.rebalancing import progress_from_json

NOT_HERE = "push mode has no desired state and moves no app; rebalancing needs mode reconcile or agents: ./inv up reconcile"
Tell = Callable[[Event], object]


def told(book: RebalanceRequests) -> dict[str, Any]:
    """The last request, and what became of it."""
    asked, progress = book.asked(), book.read()
    moving = [{"instance": name, "from": way.source, "to": way.target} for name, way in sorted(progress.moving.items())]
    under_way = asked > progress.done or bool(progress.owed or progress.moving)
    answer = {"asked": asked, "done": progress.done, "under_way": under_way, "moved": progress.moved, "moving": moving}
    return answer | {"waits": progress.waits, "why": progress.owed, "left": list(progress.left), "result": progress.result}


def ask(book: RebalanceRequests, tell: Tell) -> tuple[Response, HTTPStatus]:
    number = book.ask()
    tell(Event("rebalance-asked", f"a rebalance is asked for (request {number})"))
    return jsonify(told(book) | {"asked": number}), HTTPStatus.ACCEPTED


def blueprint(book: RebalanceRequests, tell: Tell) -> Blueprint:
    """Of reconcile mode."""
    routes = Blueprint("rebalance", __name__)
    routes.add_url_rule("/rebalance", view_func=lambda: ask(book, tell), methods=["POST"], endpoint="ask")
    routes.add_url_rule("/rebalance", view_func=lambda: jsonify(told(book)), methods=["GET"], endpoint="show")
    return routes


@dataclass(frozen=True)
class Scheduled:
    """A rebalance that the scheduler carries out."""

    book: RebalanceRequests
    tell: Tell
    index: PlacedIndex
    held: HeldRequests

    def __post_init__(self) -> None:
        self.follow()

    def show(self) -> Response:
        """For people, and with the whole progress for the scheduler, which may wait for news of it."""
        require_operator()
        query("wait", "since")
        patience, since = seconds("wait"), whole("since", -1)
        with self.held.up_to(patience if since >= 0 else 0) as allowed:
            self.index.wait(REBALANCE, since, allowed)
        revision = self.index.share(REBALANCE).revision
        return jsonify({"revision": revision, **told(self.book), "progress": self.book.progress.to_json()})

    def ask(self) -> tuple[Response, HTTPStatus]:
        require_operator()
        answer = ask(self.book, self.tell)
        self.index.wake(REBALANCE)
        return answer

    def keep(self) -> Response:
        require_operator()
        try:
            progress = progress_from_json(body())
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadInput(Fault("", f"should be the progress of a rebalance: {type(error).__name__} {error}")) from None
        self.book.keep(progress)
        self.follow()
        return jsonify(told(self.book))

    def changed(self, _: Iterable[str]) -> None:
        """Another server may have done it."""
        self.follow()
        self.index.wake(REBALANCE)

    def follow(self) -> None:
        """Know which apps are moving now."""
        self.index.moving = frozenset(app_of(name) for name in self.book.progress.moving)


def scheduled(served: Scheduled) -> Blueprint:
    """Of agents mode."""
    routes = Blueprint("rebalance", __name__)
    routes.get("/rebalance")(served.show)
    routes.post("/rebalance")(served.ask)
    routes.put("/rebalance")(served.keep)
    return routes


def elsewhere() -> Blueprint:
    """The same address in the mode that cannot."""
    routes = Blueprint("rebalance", __name__)

    def refuse() -> Response:
        raise NotFound(NOT_HERE)

    routes.add_url_rule("/rebalance", view_func=refuse, methods=["GET", "POST"])
    return routes
