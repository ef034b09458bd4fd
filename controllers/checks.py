"""The verdicts on the health of containers: kept for the loop and the agent, and laid over what their looks show.

What checks is a line to each node: a watcher there (`health_line.py`), or on this machine (`watcher.py`). It is told with each
look what to watch, and tells changes, which wake the loop. A verdict that is not there yet is `starting`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from duckconf.engine_output import Container
from duckconf.events import Event
from duckconf.healthcheck import HEALTHY, NO_CHECK, STARTING, UNHEALTHY
from duckconf.reach.nodes.watcher import Target, Verdict


class Line(Protocol):
    """What checks the containers of one node. Neither call waits."""

    def watch(self, targets: Sequence[Target]) -> None: ...
    def forget(self, container: str) -> None: ...


@dataclass
class Node:
    """`seen` are the containers with a check by id, as of the last look."""

    line: Line
    seen: dict[str, Container] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)


class Checks:
    """For many threads. `begin` gives the line to a node, whose verdicts it passes on."""

    def __init__(
        self,
        begin: Callable[[str, Callable[[Verdict], None]], Line],
        tell: Callable[[Event], None],
        wake: Callable[[], None],
    ) -> None:
        self._begin = begin
        self._tell = tell
        self._wake = wake
        self._lock = threading.Lock()
        self._nodes: dict[str, Node] = {}

    def over(self, name: str, containers: Sequence[Container]) -> tuple[Container, ...]:
        """The containers of a node as they were just seen, with the verdicts; from now on those with a check are watched."""
        checked = {item.id: item for item in containers if item.app and item.running and item.health != NO_CHECK}
        with self._lock:
            node = self._nodes.get(name)
            if node is None:
                if not checked:
                    return tuple(containers)
                node = self._nodes[name] = Node(self._begin(name, lambda verdict: self._hear(name, verdict)))
            node.seen = checked
            there = {item.id for item in containers}
            node.verdicts = {
                key: verdict if key in checked else _begins_again(verdict)
                for key, verdict in node.verdicts.items()
                if key in there
            }
            node.line.watch([Target(item.id, item.check) for item in checked.values()])
            return tuple(_judged(item, node.verdicts.get(item.id)) if item.id in checked else item for item in containers)

    def restarted(self, name: str, container: str) -> None:
        """It is another process now: what was said of it does not count, and is told until there is a verdict on this one."""
        with self._lock:
            node = self._nodes.get(name)
            if node is None:
                return
            for item in [item for item in node.seen.values() if item.name == container]:
                node.verdicts[item.id] = _begins_again(node.verdicts.get(item.id, Verdict(item.id, STARTING, "", True)))
                node.line.forget(item.id)

    def _hear(self, name: str, verdict: Verdict) -> None:
        with self._lock:
            node = self._nodes[name]
            container, before = node.seen.get(verdict.id), node.verdicts.get(verdict.id)
            if container is None or (before is not None and verdict.health == STARTING and not verdict.fresh):
                # Gone meanwhile; or only the watcher has begun anew, and not the container.
                return
            words = _trouble(before) if verdict.health == STARTING else verdict.words
            node.verdicts[verdict.id] = verdict._replace(words=words)
        event = _event(name, container, verdict, before)
        if event is not None:
            self._tell(event)
        self._wake()


def _trouble(verdict: Verdict | None) -> str:
    return verdict.words if verdict is not None and verdict.health != HEALTHY else ""


def _begins_again(verdict: Verdict) -> Verdict:
    """Of a container that is another process when it runs again: also where it was seen while it was being started again."""
    return verdict._replace(health=STARTING, words=_trouble(verdict), fresh=True)


def _judged(container: Container, verdict: Verdict | None) -> Container:
    if verdict is None:
        return replace(container, health=STARTING)
    return replace(container, health=verdict.health, said="" if verdict.health == HEALTHY else verdict.words)


def _event(node: str, container: Container, verdict: Verdict, before: Verdict | None) -> Event | None:
    if before is not None and before.health == verdict.health:
        return None
    name, app = container.instance, container.app
    if verdict.health == UNHEALTHY:
        return Event("unhealthy", f"{name} is unhealthy on {node}: {verdict.words}", app, node)
    # Whose trouble was told is told to be well, also when its watcher knows only the process after the restart.
    if verdict.health == HEALTHY and (verdict.fresh or (before is not None and _trouble(before))):
        return Event("healthy", f"{name} is healthy on {node}", app, node)
    return None
