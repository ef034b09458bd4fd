"""The route for whoever runs a front: which app is served under which address, and from which containers now.

A watch returns as soon as a container is ready, or is not any more: a front that follows it sends no request to one that stops.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, jsonify, request

from api.auth import require_node, require_operator
from api.body import body, query, seconds
from api.held import HeldRequests
from api.stores.desired import DesiredStore
from api.stores.fronts import FrontBook
from api.stores.placed import FRONT, PlacedIndex
from duckconf.errors import BadInput, Fault, NotFound
from duckconf.front import Copy, Serving, revision, servings, to_json
from duckconf.leaving import Where
from duckconf.model import App
from duckconf.reach.state.news import News
from duckconf.reach.state.reports import ReportFile

# A node that falls silent makes no event.
AT_LEAST_EVERY = 1.0


@dataclass(frozen=True)
class Front:
    """`apps` are those declared, `copies` the containers that are ready. `mark` changes with either, and `wait` returns when it
    is another one than it was, or after some seconds."""

    apps: Callable[[], Iterable[App]]
    copies: Callable[[], Iterable[Copy]]
    address_of: Callable[[str], str]
    mark: Callable[[], Any]
    wait: Callable[[Any, float], None]
    held: HeldRequests
    allow: Callable[[], None]
    """Raises for a caller who may not know."""

    def listing(self) -> Response:
        self.allow()
        query("since", "wait")
        since, wanted = request.args.get("since", ""), seconds("wait")
        with self.held.up_to(wanted if since else 0) as patience:
            found = self.until_changed(since, patience)
        return jsonify(revision=revision(found), routes=[to_json(one) for one in found])

    def until_changed(self, since: str, patience: float) -> list[Serving]:
        end = time.monotonic() + patience
        while True:
            mark = self.mark()
            found = servings(self.apps(), self.copies(), self.address_of)
            left = end - time.monotonic()
            if revision(found) != since or left <= 0:
                return found
            self.wait(mark, min(left, AT_LEAST_EVERY))


def of_loop(store: DesiredStore, reports: ReportFile, address_of: Callable[[str], str], held: HeldRequests, news: News) -> Front:
    """In reconcile mode: as the loop reports it. `news` is told when it has written its report."""

    def copies() -> Iterable[Copy]:
        report = reports.read()
        views = report.apps if report is not None else ()
        return [Copy(view.app, view.slot, view.node, view.container, tuple(view.ports)) for view in views if view.ready]

    def mark() -> Any:
        return id(reports.read()), store.listing().revision

    def wait(before: Any, patience: float) -> None:
        end, seen = time.monotonic() + patience, news.count
        while mark() == before and (left := end - time.monotonic()) > 0:
            seen = news.wait(seen, left)

    return Front(lambda: store.listing().apps.values(), copies, address_of, mark, wait, held, lambda: None)


def of_agents(index: PlacedIndex, book: FrontBook, address_of: Callable[[str], str], held: HeldRequests) -> Front:
    """In agents mode: as the nodes' agents report it."""

    def wait(before: int, patience: float) -> None:
        index.wait(FRONT, before, patience)

    apps = index.routed.values
    return Front(apps, lambda: book.seen().served(), address_of, lambda: index.revision(FRONT), wait, held, require_operator)


@dataclass(frozen=True)
class Edges:
    """What the agents of the nodes with a front ask and tell."""

    front: Front
    book: FrontBook
    tell: Callable[[str, frozenset[Where]], None]

    def serves(self, edge: str) -> Response:
        """As `listing`, with all containers by their addresses. `complete` says whether everything was heard that may serve,
        `told` whether it is known what the front has."""
        self._require(edge)
        query("since", "wait")
        since, wanted = request.args.get("since", ""), seconds("wait")
        with self.front.held.up_to(wanted if since else 0) as patience:
            found = self.front.until_changed(since, patience)
        known = servings(self.front.apps(), self.book.known(), self.front.address_of)
        names = {upstream.address: [upstream.node, upstream.container] for one in known for upstream in one.upstreams}
        complete = self.book.is_complete(self.book.seen())
        told = self.book.has_told(edge)
        return jsonify(
            revision=revision(found), routes=[to_json(one) for one in found], names=names, complete=complete, told=told
        )

    def told(self, edge: str) -> Response:
        self._require(edge)
        has = body()
        listed = has.get("has") if isinstance(has, Mapping) else None
        if not isinstance(listed, list) or not all(_is_where(entry) for entry in listed):
            raise BadInput(Fault("has", "should be a list of containers, each as [NODE, CONTAINER]"))
        self.tell(edge, frozenset((node, container) for node, container in listed))
        return jsonify(has=len(listed))

    def _require(self, edge: str) -> None:
        require_node(edge)
        if edge not in self.book.edges:
            raise NotFound(f"{edge} runs no front; those that do: {', '.join(self.book.edges) or 'none'}")


def _is_where(entry: object) -> bool:
    return isinstance(entry, list) and len(entry) == 2 and all(isinstance(word, str) for word in entry)


def of_edges(edges: Edges) -> Blueprint:
    routes = Blueprint("edges", __name__)
    routes.get("/front/<edge>")(edges.serves)
    routes.put("/front/<edge>")(edges.told)
    return routes


def blueprint(front: Front) -> Blueprint:
    routes = Blueprint("front", __name__)
    routes.get("/routes")(front.listing)
    return routes
