"""The fronts of a cluster in reconcile mode: one keeper for each edge host of the inventory, over the connection that is open."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from controllers.front import Keeper
from duckconf.acme import Acme
from duckconf.command import Runner
from duckconf.desired import Desired
from duckconf.events import Event
from duckconf.front import servings
from duckconf.front_seen import Telling, routed
from duckconf.leaving import Fronted
from duckconf.model import App
from duckconf.overview import AppView


class Fronts:
    """Called by the loop's thread. `on_change` is called when a container has left a front, or entered one."""

    def __init__(self, runner: Callable[[str], Runner], on_change: Callable[[], None], tell: Callable[[Event], None]) -> None:
        self._runner = runner
        self._on_change = on_change
        self._tell = tell
        self._keepers: dict[tuple[str, Acme], Keeper] = {}
        self._apps: Mapping[str, App] = {}
        self._telling = Telling()

    def follow(self, edges: Mapping[str, Acme]) -> None:
        """These hosts have a front from now on, with certificates from there."""
        for gone in [known for known in self._keepers if known not in edges.items()]:
            self._keepers.pop(gone).end()
        for node, acme in edges.items():
            if (node, acme) not in self._keepers:
                keeper = Keeper(node, acme, lambda node=node: self._runner(node), self._on_change, self._tell)  # type: ignore[misc]
                self._keepers[node, acme] = keeper
                threading.Thread(target=keeper.run, name=f"front-{node}", daemon=True).start()

    def fronted(self) -> Fronted:
        has = frozenset(where for keeper in self._keepers.values() for where in keeper.has())
        return Fronted(has, told=all(keeper.is_told() for keeper in self._keepers.values()))

    def serve(self, desired: Desired, views: Sequence[AppView], addresses: Mapping[str, str]) -> None:
        """`addresses` has where a front reaches each node."""
        if not self._keepers:
            return
        self._apps = routed(desired, self._apps)
        told = self._telling.look(views, time.monotonic())
        if told is None:
            return
        ready = servings(self._apps.values(), told.ready, lambda node: addresses.get(node, node))
        known = servings(self._apps.values(), told.known, lambda node: addresses.get(node, node))
        names = {upstream.address: (upstream.node, upstream.container) for one in known for upstream in one.upstreams}
        for keeper in self._keepers.values():
            keeper.want(ready, names)
