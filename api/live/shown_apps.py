"""The apps of agents mode for the picture, each made anew only when something that it is made of has changed.

With thousands of apps almost all of them are as they were a moment ago. What is on its way, waits, or is on a node that is not
ready is made anew each time: its words tell how long it has been so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from api.shown import shown_app
from api.stores.nodes import READY, NodeBook
from api.stores.placed import PlacedIndex
from duckconf.model import App
from duckconf.picture import AppSeen, InstanceSeen, apps_in, instances_in
from duckconf.place_kinds import GLOBAL


class Shown(NamedTuple):
    """`of` is what it was made of, None for one that may not be used again."""

    of: tuple[Any, ...] | None
    app: AppSeen
    instances: Mapping[str, InstanceSeen]


class ShownApps:
    """For one thread at a time."""

    def __init__(self, index: PlacedIndex, nodes: NodeBook) -> None:
        self._index = index
        self._nodes = nodes
        self._known: dict[str, Shown] = {}

    def of(self, apps: Mapping[str, App], statuses: Mapping[str, str]) -> Mapping[str, Shown]:
        """`statuses` are those of the nodes now."""
        self._known = {name: self._one(app, statuses) for name, app in apps.items()}
        return self._known

    def _one(self, app: App, statuses: Mapping[str, str]) -> Shown:
        of, known = self._made_of(app, statuses), self._known.get(app.name)
        if known is not None and of is not None and known.of == of:
            return known
        entry = shown_app(app, self._index, self._nodes)
        return Shown(of, apps_in([entry])[app.name], instances_in([entry]))

    def _made_of(self, app: App, statuses: Mapping[str, str]) -> tuple[Any, ...] | None:
        index = self._index
        if app.secrets or app.mode == GLOBAL or app.name in index.updates:
            return None
        instances = index.instances(app.name)
        for one in instances:
            calm = statuses.get(one.node) == READY and not self._nodes.nodes[one.node].refusals
            if not calm or one.name in index.misplaced:
                return None
        seen = [index.seen(one) for one in instances]
        return app, instances, seen, index.past(app.name)
