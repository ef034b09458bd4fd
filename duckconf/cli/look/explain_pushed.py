"""`./inv explain` in push mode, which wants nothing and remembers nothing: what was started, and that nobody looks after it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from duckconf.cli.cluster.nodes import open_cluster
from duckconf.engine_output import Container
from duckconf.errors import DuckconfError, NodeFailure, NotFound
from duckconf.explain import INSTANCE, Part, lasting
from duckconf.explain_node import READY, explain_node
from duckconf.picture import InstanceSeen, NodeSeen
from duckconf.reach.inventory.project import Project
from duckconf.reach.nodes.parallel import Result
from duckconf.reach.state import cordons
from duckconf.reach.state.cordons import Cordons
from duckconf.suggest import meant

UNREACHABLE = "unreachable"


def explain_pushed(project: Project, what: str, events: Mapping[str, Sequence[str]]) -> list[Part]:
    """`events` are sentences about each node. Raises NotFound."""
    cordoned = Cordons(project.state / cordons.FILE_NAME).names()
    with open_cluster(project, warm=True) as cluster:
        seen, facts = cluster.observe_with_facts()
    found = [one for view in seen.values() if isinstance(view, tuple) for one in view if one.app]
    if what in seen:
        instances = {one.name: InstanceSeen(one.app, node=one.node, status=one.state, ready=one.ready) for one in found}
        node, now = _node(seen[what], cordoned=what in cordoned), time.time()
        lately = events.get(what, ())
        return explain_node(
            what, node, instances, facts=facts[what], events=lately, now=now, clock=0.0, timeout=0.0, observes=False
        )
    named = [one for one in found if what in (one.app, one.instance, one.name)]
    if not named:
        like = meant(what, [*seen, *(one.app for one in found)])
        raise NotFound(f"there is no app or node {what!r}{like}", "see `./inv ps` and `./inv nodes`")
    return [_started(one, [name for name in seen if name not in cordoned]) for one in named]


def _node(found: Result[tuple[Container, ...]], *, cordoned: bool) -> NodeSeen:
    if not isinstance(found, DuckconfError):
        return NodeSeen(READY, cordoned=cordoned)
    return NodeSeen(UNREACHABLE, found.reason if isinstance(found, NodeFailure) else str(found), cordoned=cordoned)


def _started(one: Container, turns: Sequence[str]) -> Part:
    since = f" for {lasting(time.time() - one.started)}" if one.running and one.started else ""
    state = f"{one.app} ({one.image}) is {one.state} on {one.node}{since}."
    order = ", ".join(turns) or "none"
    why = f"A request started it there: in push mode the nodes take turns ({order}), and one that does not answer is skipped."
    coming = "Nothing: push mode has no loop. When it ends or its node is lost, it stays as it is."
    change = f"./inv stop-app {one.app} removes it; ./inv up reconcile takes it over and keeps it running."
    return Part(INSTANCE, one.app, [state], [why], [], [coming], [change])
