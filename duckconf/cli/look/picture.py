"""What should run and what does, asked of the nodes now: for `ps`, `diff` and `status` in reconcile mode."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from duckconf.balance_seen import Wish
from duckconf.cli.cluster.nodes import Cluster
from duckconf.decision import Decision, Memory, decide
from duckconf.desired import UNKNOWN, Desired, Document, changed, desired_of
from duckconf.engine_output import Container
from duckconf.errors import BadInput
from duckconf.globally import with_slots
from duckconf.local_data import Move
from duckconf.model import App
from duckconf.overview import AppView, overview
from duckconf.placement import Fleet
from duckconf.reach.nodes.parallel import Result
from duckconf.reach.state import cordons, data, reports, secrets
from duckconf.reach.state.cordons import Cordons
from duckconf.reach.state.data import MoveFile, read_held
from duckconf.reach.state.desired_file import FILE_NAME, read_at_rest
from duckconf.reach.state.placements import FILE_NAME as PLACEMENTS
from duckconf.reach.state.placements import PlacementBook
from duckconf.reach.state.rebalances import RebalanceBook
from duckconf.reach.state.reports import ReportFile
from duckconf.reach.state.revisions import FILE_NAME as HISTORY
from duckconf.reach.state.revisions import RevisionBook
from duckconf.reach.state.secrets import SecretFile, resolved
from duckconf.refusal import active, shifted, with_siblings
from duckconf.report import LOST, Report


@dataclass(frozen=True)
class Picture:
    """`faults` are what cannot be read of the desired state, of which all is unknown unless it is `known`; `seen` has each
    node's containers or its failure."""

    apps: tuple[AppView, ...]
    decision: Decision
    faults: tuple[str, ...]
    seen: dict[str, Result[tuple[Container, ...]]]
    known: bool = True
    moves: Mapping[str, Move] = field(default_factory=dict)
    """What people accepted to lose."""


@dataclass(frozen=True)
class Scene:
    """All that a decision is made of. `document` is None when the desired state cannot be read at all."""

    document: Document | None
    resolve: Callable[[Desired], tuple[Desired, Sequence[str]]]
    fleet: Fleet
    memory: Memory
    now: float
    faults: tuple[str, ...]
    seen: dict[str, Result[tuple[Container, ...]]]

    def desired(self, changes: Mapping[str, App] = MappingProxyType({})) -> tuple[Desired, Sequence[str]]:
        """With these changes, and in words what cannot be read of it."""
        if self.document is None:
            return UNKNOWN, ()
        return self.resolve(desired_of(changed(self.document, changes)))


def take_picture(cluster: Cluster) -> Picture:
    """Asks all nodes. What the loop would do with this, it may be doing already."""
    return picture_of(cluster, survey(cluster))


def picture_of(cluster: Cluster, scene: Scene) -> Picture:
    desired, lacking = scene.desired()
    desired = with_slots(desired, scene.fleet, scene.memory.placements)
    decision = decide(cluster.project.cluster, desired, scene.fleet, scene.memory, scene.now)
    apps = overview(desired, scene.fleet, decision, scene.memory)
    return Picture(apps, decision, (*scene.faults, *lacking), scene.seen, desired is not UNKNOWN, scene.memory.moves)


def survey(cluster: Cluster) -> Scene:
    """Asks all nodes, and reads what the loop keeps."""
    project = cluster.project
    report = ReportFile(project.state / reports.FILE_NAME).read() or Report()
    seen = judged(cluster.observe(), report)
    views = {node: found if isinstance(found, tuple) else None for node, found in seen.items()}
    lost = {node for node, view in report.nodes.items() if view.status == LOST and views.get(node) is None}
    drains = Cordons(project.state / cordons.DRAINS_NAME).names()
    cordoned = Cordons(project.state / cordons.FILE_NAME).names() | drains
    now = time.monotonic()
    refusals = with_siblings(active(shifted(report.refusals, 0.0), now), cluster.known)
    fleet = Fleet(tuple(views), views, lost, cordoned, drains, refusals, cluster.known, cluster.inventory.sites)
    placements = PlacementBook(project.state / PLACEMENTS).placements
    history = RevisionBook.at(project.state / HISTORY).revisions
    document: Document | None = None
    try:
        document, behind = read_at_rest(project.state / FILE_NAME, lambda: placements)
        faults: tuple[str, ...] = (*[behind] * bool(behind), *map(str, document.faults))
    except BadInput as bad:
        faults = (str(bad),)
    rebalances = RebalanceBook(project.state)
    wish = Wish(rebalances.asked(), cluster.inventory.rebalance, rebalances.progress, preview=True)
    held, moves = read_held(project.state / data.FILE_NAME), MoveFile(project.state / data.MOVES_NAME).moves()
    memory = Memory(placements, report.tries, certain=bool(report.nodes), history=history, rebalance=wish, data=held, moves=moves)
    kept = SecretFile(project.state / secrets.FILE_NAME)
    return Scene(document, lambda desired: resolved(desired, kept), fleet, memory, now, faults, seen)


def judged(seen: Mapping[str, Result[tuple[Container, ...]]], report: Report) -> dict[str, Result[tuple[Container, ...]]]:
    """What was seen, with the verdicts of the loop: nobody else attempts the checks."""
    verdicts = {(view.node, view.container): view for view in report.apps if view.health}

    def over(container: Container) -> Container:
        view = verdicts.get((container.node, container.name))
        return replace(container, health=view.health, said=view.said) if view is not None and container.running else container

    return {node: tuple(map(over, found)) if isinstance(found, tuple) else found for node, found in seen.items()}
