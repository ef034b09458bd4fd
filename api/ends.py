"""How jobs ended, as the nodes' agents tell it, written into the state: what is done stays done when its node is lost, and when
its container is removed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from api.stores.changes import Changes, View
from api.stores.nodes import Seen
from api.stores.placed import PlacedIndex
from api.stores.store import Store
from duckconf.errors import DuckconfError
from duckconf.instance import Instance, slots_of, with_end
from duckconf.model import App
from duckconf.naming import app_of
from duckconf.restart import recorded

log = logging.getLogger(__name__)


class Ends:
    """Called with each heartbeat. What cannot be written now is told again by the next one."""

    def __init__(self, store: Store, index: PlacedIndex) -> None:
        self._store = store
        self._index = index

    def record(self, node: str, containers: Iterable[Seen]) -> None:
        """Return when what is new of it is on disk."""
        told = {seen.instance: seen.end for seen in containers if seen.end}
        if not any(_is_news(self._index.instance(name), node, record) for name, record in told.items()):
            return
        try:
            self._store.submit(lambda view: self._changes(view, node, told))
        except (DuckconfError, OSError) as error:
            log.warning("the end of a job cannot be recorded yet: %s", error)

    def _changes(self, view: View, node: str, told: Mapping[str, str]) -> Changes:
        changes: dict[str, App | None] = {}
        for name in sorted({app_of(name) for name in told}):
            app = view.app(name)
            for instance in slots_of(self._index.resolve(app)) if app is not None else ():
                if app is not None and _is_news(instance, node, told.get(instance.name, "")):
                    app = with_end(app, instance.slot, told[instance.name])
                    changes[name] = app
        return changes


def _is_news(instance: Instance | None, node: str, record: str) -> bool:
    if instance is None or instance.node != node or instance.ended == record:
        return False
    return recorded(instance.app, record) is not None
