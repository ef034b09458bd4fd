"""Which node has the data of each instance in agents mode, as the nodes' agents report it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping

from duckconf.instance import Instance
from duckconf.local_data import Held, binding, held_by
from duckconf.naming import app_of
from duckconf.reach.state.data import Data, ForgottenData, Update


class HeldData:
    """For many threads of one process; what is noted is on disk. Raises OSError where it cannot be."""

    def __init__(self, book: Data | None = None) -> None:
        self._book = book or ForgottenData()
        self._lock = threading.Lock()

    @property
    def held(self) -> Mapping[str, Held]:
        return self._book.held

    def of(self, instance: Instance) -> Held | None:
        """The node that has its data. Where it is placed counts as that until it has run."""
        if not instance.app.volumes:
            return None
        found = held_by(instance, self._book.held)
        sources = binding(instance.app)
        return found or (Held(instance.node, sources) if instance.node and sources else None)

    def note(self, node: str, instances: Iterable[Instance]) -> None:
        """These run on the node, where they are placed."""
        news = {
            one.name: Held(node, sources)
            for one in instances
            if (sources := binding(one.app)) and self._book.held.get(one.name) != Held(node, sources)
        }
        if news:
            self._edit(lambda held: {**held, **news})

    def forget(self, *instances: str) -> None:
        self._edit(lambda held: {name: data for name, data in held.items() if name not in instances})

    def take_over(self, held: Mapping[str, Held]) -> None:
        """What another mode remembered."""
        self._edit(lambda before: {**before, **held})

    def of_withdrawn(self, nodes: Collection[str], is_app: Callable[[str], bool]) -> list[str]:
        """The instances of apps that are none any more whose data is on nodes that are none any more."""
        held = self._book.held.items()
        return [name for name, data in held if data.node not in nodes and not is_app(app_of(name))]

    def _edit(self, update: Update) -> None:
        with self._lock:
            self._book.edit(update)
