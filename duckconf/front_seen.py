"""What a front may send requests to, as a loop sees it. Pure.

An instance on a node that does not answer counts while nothing else serves its app. One that was ready and whose checks fail
counts while those of most instances fail: more likely that is a machine which is overloaded for a moment, and the front checks
for itself. A row that cannot be read changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from duckconf.desired import Desired
from duckconf.front import Copy
from duckconf.healthcheck import STARTING
from duckconf.leaving import Where
from duckconf.model import App
from duckconf.overview import UNREACHABLE, UNREADABLE, AppView


class Served(NamedTuple):
    """A container that is ready or was, and since when it runs."""

    copy: Copy
    started: float


# Seconds in which a process that has just begun, and has heard all nodes, waits for the checks of what runs: until they have
# passed, it does not know what serves.
CHECKS = 15.0


class Beginning:
    """Whether a process that has just begun knows enough to tell a front: all nodes are heard, and the checks of what runs have
    passed or had their time. `now` is in seconds of one clock."""

    def __init__(self) -> None:
        self._over = False
        self._heard_all: float | None = None
        self._waits: frozenset[Where] = frozenset()
        """What was there when all had been heard: what is started later is no reason to wait."""

    def is_over(self, seen: FrontSeen, now: float) -> bool:
        if self._heard_all is None and not seen.unheard:
            self._heard_all, self._waits = now, frozenset(seen.unchecked)
        if self._heard_all is not None:
            self._waits &= frozenset(seen.unchecked)
            self._over = self._over or not self._waits or now >= self._heard_all + CHECKS
        return self._over


@dataclass(frozen=True)
class FrontSeen:
    """The containers of all apps, as far as they concern a front."""

    ready: Mapping[Where, Served] = field(default_factory=dict)
    doubtful: Mapping[Where, Served] = field(default_factory=dict)
    """They were ready, and their node does not answer now."""
    failing: Mapping[Where, Served] = field(default_factory=dict)
    """They were ready, run as they did, and their checks fail."""
    there: Collection[Where] = ()
    """All that may still run."""
    unheard: bool = False
    """Whether one is on a silent node and has never been seen ready."""
    unchecked: Collection[Where] = ()
    """Never seen ready, and their checks have not passed yet."""

    def served(self) -> Iterable[Copy]:
        """What is ready; of an app of which nothing is, or less than fails, what was."""
        ready, failing = (Counter(one.copy.app for one in some.values()) for some in (self.ready, self.failing))
        fail = (one for one in self.failing.values() if failing[one.copy.app] > ready[one.copy.app])
        doubtful = (one for one in self.doubtful.values() if not ready[one.copy.app])
        return [one.copy for one in (*self.ready.values(), *fail, *doubtful)]


def seen_in(views: Sequence[AppView], known: Mapping[Where, Served]) -> FrontSeen:
    """`known` are those that have been ready before."""
    ready: dict[Where, Served] = {}
    doubtful: dict[Where, Served] = {}
    failing: dict[Where, Served] = {}
    there, unheard, unchecked = set(), False, set()
    for view in views:
        where = (view.node, view.container)
        there.add(where)
        before = known.get(where)
        silent = view.state in (UNREACHABLE, UNREADABLE)
        unheard = unheard or (before is None and silent)
        if before is None and view.health == STARTING:
            unchecked.add(where)
        if view.leaving:
            continue
        if view.ready:
            copy = Copy(view.app, view.slot, view.node, view.container, tuple(view.ports))
            ready[where] = Served(copy, view.started)
        elif before is not None and _goes_on(view, before):
            ready[where] = before
        elif before is not None and silent:
            doubtful[where] = before
        elif before is not None and _runs_on(view, before):
            failing[where] = before
    return FrontSeen(ready, doubtful, failing, there, unheard, unchecked)


def _goes_on(view: AppView, before: Served) -> bool:
    """Whether it runs as it did, and nobody says that it is ready only because its row cannot be read, or because whoever checks
    it has begun anew."""
    return _runs_on(view, before) and (view.desired == "unclear" or view.health == STARTING)


def _runs_on(view: AppView, before: Served) -> bool:
    return view.state == "running" and view.started == before.started


class Told(NamedTuple):
    """What the fronts are to send requests to, and all that has been ready and may still be there."""

    ready: Sequence[Copy]
    known: Sequence[Copy]


class Telling:
    """What the fronts are told, look after look; nothing before it is known what serves. `now` is in seconds of one clock."""

    def __init__(self) -> None:
        self._known: Mapping[Where, Served] = {}
        self._beginning = Beginning()

    def look(self, views: Sequence[AppView], now: float) -> Told | None:
        seen = seen_in(views, self._known)
        self._known = {**{where: one for where, one in self._known.items() if where in seen.there}, **seen.ready}
        if not self._beginning.is_over(seen, now):
            return None
        return Told(tuple(seen.served()), tuple(one.copy for one in self._known.values()))


def routed(desired: Desired, before: Mapping[str, App]) -> dict[str, App]:
    """The apps with routes. One whose row cannot be read now has those of before."""
    now = {instance.app.name: instance.app for instance in desired.instances.values()}
    kept = {name: app for name, app in before.items() if name not in now and desired.is_unclear(name)}
    return {name: app for name, app in {**kept, **now}.items() if app.routes}
