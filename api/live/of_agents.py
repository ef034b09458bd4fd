"""The picture of agents mode: what is declared and placed, and beside it what the nodes reported with their heartbeats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from api.live.components import Components
from api.live.shown_apps import ShownApps
from api.stores.nodes import READY, UNREACHABLE, NodeBook, Seen
from api.stores.placed import PlacedIndex
from api.stores.store import Store
from duckconf.picture import (
    COMPARATOR,
    RUNS,
    SENSOR,
    SETPOINT,
    SILENT,
    STEPS,
    InstanceSeen,
    NodeSeen,
    Picture,
    Process,
    Step,
    counted,
)  # fmt: skip
from duckconf.reach.state.journal import Journal
from duckconf.stepped import steps_in

# Events by which a server that has just begun knows what the steps did last.
LAST_EVENTS = 500
LONGEST = 1.0
COMPONENTS: Mapping[str, tuple[str, ...]] = {"scheduler": (COMPARATOR,), "node-controller": (COMPARATOR,)}


class OfAgents:
    """For one thread at a time, but for `heard`. `changed` is called when a heartbeat changes the picture."""

    def __init__(
        self,
        cluster: str,
        store: Store,
        nodes: NodeBook,
        index: PlacedIndex,
        journal: Journal,
        components: Components,
        changed: Callable[[], None],
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._nodes = nodes
        self._index = index
        self._journal = journal
        self._components = components
        self._changed = changed
        self._apps = ShownApps(index, nodes)
        self._steps: dict[str, Step] = {}
        self._cursor = ""
        self._shown: dict[str, tuple[str, tuple[Seen, ...]]] = {}

    def look(self) -> Picture:
        self._shown = {name: (self._nodes.status(name), node.containers) for name, node in self._nodes.nodes.items()}
        listing = self._store.listing()
        statuses = {name: status for name, (status, _) in self._shown.items()}
        apps = self._apps.of(listing.apps, statuses)
        instances = {name: one for app in apps.values() for name, one in app.instances.items()} | self._surplus()
        return Picture(
            self._cluster,
            "agents",
            self._nodes.timeout,
            {"api": Process(RUNS, does=(SETPOINT,)), **self._processes()},
            counted(self._seen_nodes(), instances.values()),
            {name: shown.app for name, shown in apps.items()},
            instances,
            self._four_steps(),
            {},
            tuple(listing.faults),
        )

    def due(self) -> float:
        """Until the next node falls silent, if nothing else happens."""
        timeout = self._nodes.timeout
        ages = [self._nodes.age(name) for name in self._nodes.nodes]
        return min([LONGEST, *(turn - age + 0.01 for age in ages for turn in (timeout / 2, timeout) if turn > age)])

    def watch(self) -> None:
        """The agents report all the time."""

    def heard(self, node: str, containers: Iterable[Seen]) -> None:
        """A heartbeat has come. Only its time has changed, as a rule, which can wait."""
        if self._shown.get(node) != (self._nodes.status(node), tuple(containers)):
            self._changed()

    def _processes(self) -> dict[str, Process]:
        silent = "it has asked for nothing for a while: see ./inv logs "
        return {
            name: Process(RUNS, does=does) if self._components.is_heard(name) else Process(SILENT, silent + name, does)
            for name, does in COMPONENTS.items()
        }

    def _seen_nodes(self) -> dict[str, NodeSeen]:
        found = {}
        for name, node in self._nodes.nodes.items():
            status = self._nodes.status(name)
            reason = node.unreadable or ("" if status == READY else "no heartbeat")
            zone = self._index.sites.zone(name)
            found[name] = NodeSeen(status, reason, round(node.heartbeat, 3), node.cordoned, node.draining, zone=zone)
        return found

    def _surplus(self) -> dict[str, InstanceSeen]:
        """Containers that run where their instance is not placed."""
        return {
            f"{name}/{seen.container}": _stray(name, seen, silent=self._nodes.status(name) == UNREACHABLE)
            for name, node in self._nodes.nodes.items()
            for seen in node.containers
            if seen.running and not self._is_shown(name, seen)
        }

    def _is_shown(self, node: str, seen: Seen) -> bool:
        instance = self._index.instance(seen.instance)
        return instance is not None and instance.node in ("", node)

    def _four_steps(self) -> dict[str, Step]:
        page = self._journal.after(self._cursor) if self._cursor else self._journal.tail(LAST_EVENTS)
        self._cursor = page.cursor if page.cursor != "0-0" else ""
        self._steps = steps_in(page.events, self._steps)
        last = max(self._nodes.nodes, key=lambda name: self._nodes.nodes[name].heartbeat, default="")
        sensed = Step("waits for heartbeats")
        if last and self._nodes.nodes[last].heartbeat:
            at = round(self._nodes.nodes[last].heartbeat, 3)
            sensed = Step(f"heartbeat of {last}, {len(self._nodes.nodes[last].containers)} containers", at, last)
        return {SENSOR: sensed} | {step: self._steps.get(step, Step()) for step in STEPS if step != SENSOR}


def _stray(node: str, seen: Seen, *, silent: bool) -> InstanceSeen:
    return InstanceSeen(
        seen.app,
        seen.slot,
        node,
        UNREACHABLE if silent else seen.state,
        seen.container,
        seen.ready and not silent,
        seen.health,
        seen.image,
        surplus=True,
        ports=seen.ports,
        started=seen.started,
        restarts=seen.restarts,
        note=seen.note,
    )
