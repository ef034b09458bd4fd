"""What should run and what does, asked of the nodes now: for `ps`, `diff` and `status` in reconcile mode."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from duckconf.cli.cluster.nodes import Cluster
from duckconf.decision import Decision, Memory, decide
from duckconf.desired import UNKNOWN, desired_of
from duckconf.engine_output import Container
from duckconf.errors import BadInput
from duckconf.overview import AppView, overview
from duckconf.placement import Fleet
from duckconf.plan import Step
from duckconf.reach.nodes.parallel import Result
from duckconf.reach.state import cordons, reports, secrets
from duckconf.reach.state.cordons import Cordons
from duckconf.reach.state.desired_file import FILE_NAME, read_at_rest
from duckconf.reach.state.placements import FILE_NAME as PLACEMENTS
from duckconf.reach.state.placements import PlacementBook
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


def take_picture(cluster: Cluster) -> Picture:
    """Asks all nodes. What the loop would do with this, it may be doing already."""
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
    history = RevisionBook(project.state / HISTORY).revisions
    try:
        document, behind = read_at_rest(project.state / FILE_NAME, lambda: placements)
        desired, lacking = resolved(desired_of(document), SecretFile(project.state / secrets.FILE_NAME))
        faults = (*[behind] * bool(behind), *map(str, document.faults), *lacking)
    except BadInput as bad:
        desired, faults = UNKNOWN, (str(bad),)
    memory = Memory(placements, report.tries, certain=bool(report.nodes), history=history)
    decision = decide(project.cluster, desired, fleet, memory, now)
    return Picture(overview(desired, fleet, decision, memory), decision, faults, seen, desired is not UNKNOWN)


def judged(seen: Mapping[str, Result[tuple[Container, ...]]], report: Report) -> dict[str, Result[tuple[Container, ...]]]:
    """What was seen, with the verdicts of the loop: nobody else attempts the checks."""
    verdicts = {(view.node, view.container): view for view in report.apps if view.health}

    def over(container: Container) -> Container:
        view = verdicts.get((container.node, container.name))
        return replace(container, health=view.health, said=view.note) if view is not None and container.running else container

    return {node: tuple(map(over, found)) if isinstance(found, tuple) else found for node, found in seen.items()}


def step_row(step: Step) -> dict[str, Any]:
    return {
        "action": str(step.action),
        "app": step.app,
        "instance": step.instance,
        "node": step.action.node,
        "reason": step.reason,
    }
