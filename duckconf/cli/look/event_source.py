"""The events of a cluster: from the journal where services run here, else from the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from duckconf.cli.cluster.modes import AGENTS, mode_of
from duckconf.cli.terminal.times import clock
from duckconf.events import Event, event_from_json
from duckconf.reach.inventory.project import Project
from duckconf.reach.state import journal
from duckconf.reach.state.journal import Journal, Page

# The longest kind of an event.
KIND = len("rebalance-failed")
AT_ONCE = 2.0
HELD = 25.0


class EventSource(NamedTuple):
    """`tail` gives the newest events, `after` those after a cursor, held for a while until there are some."""

    tail: Callable[[int], Page]
    after: Callable[[str], Page]


def event_source(project: Project) -> EventSource:
    if mode_of(project) != AGENTS:
        book = Journal(project.state / journal.FILE_NAME)
        return EventSource(book.tail, lambda cursor: book.wait(cursor, AT_ONCE))
    from duckconf.cli.cluster.api import api_client

    api = api_client(project)

    def ask(query: str) -> Page:
        answer = api.call("GET", f"/events?{query}", deadline=HELD + 10)
        return Page(answer["cursor"], tuple(event_from_json(entry) for entry in answer["events"]))

    return EventSource(lambda limit: ask(f"limit={limit}"), lambda cursor: ask(f"since={cursor}&wait={HELD:g}"))


def event_line(event: Event) -> str:
    """When, what, about what, why, and at its end who says so and the id of the request that it goes back to."""
    about = " ".join(part for part in (event.instance or event.app, event.node) if part)
    who = " ".join(part for part in (event.source, event.id) if part)
    return f"{clock(event.time)}  {event.kind:<{KIND}} {about:<24} {event.message}" + (f"  [{who}]" if who else "")
