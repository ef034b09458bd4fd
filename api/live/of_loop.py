"""The picture of reconcile mode: the desired state of the API, and beside it what the loop reported and says of its passes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from api.declared import shown_apps
from api.stores.desired import DesiredStore
from duckconf.measures import Passes
from duckconf.overview import AppView
from duckconf.passing import Passing
from duckconf.picture import (
    ACTUATOR,
    COMPARATOR,
    RUNS,
    SENSOR,
    SETPOINT,
    SILENT,
    STEPS,
    STOPPED,
    InstanceSeen,
    NodeSeen,
    Picture,
    Process,
    Step,
    apps_in,
    counted,
    instances_in,
)  # fmt: skip
from duckconf.reach.state.cordons import DRAINS_NAME, FILE_NAME, Cordons
from duckconf.reach.state.passings import PassingFile, lives
from duckconf.reach.state.reports import ReportFile
from duckconf.report import Report

# A loop that made no pass for this many of its intervals is not well.
PASSES_MISSED = 3.0


@dataclass(frozen=True)
class OfLoop:
    """`clock` is in seconds since the epoch; `timeout` is node_timeout, `interval` the loop's."""

    cluster: str
    store: DesiredStore
    reports: ReportFile
    passings: PassingFile
    timeout: float
    interval: float
    clock: Callable[[], float]

    def look(self) -> Picture:
        listing, report, passing = self.store.listing(), self.reports.read() or Report(), self.passings.read()
        entries = shown_apps(listing.apps.values(), report)
        instances = {**instances_in(entries), **surplus(report.apps)}
        faults = dict.fromkeys((*listing.faults, *report.faults))
        return Picture(
            self.cluster,
            "reconcile",
            self.timeout,
            {"api": Process(RUNS, does=(SETPOINT,)), "reconciler": self._loop(passing)},
            counted(self._nodes(report, passing), instances.values()),
            apps_in(entries),
            instances,
            {step: passing.steps.get(step, Step()) for step in STEPS},
            passing.calls if lives(passing.process) else {},
            tuple(faults),
        )

    def due(self) -> float:
        """Nobody tells when the loop's process ends."""
        return 1.0

    def watch(self) -> None:
        """The loop looks all the time."""

    def passes(self) -> Passes:
        passing = self.passings.read()
        return Passes(passing.passes, passing.seconds)

    def _loop(self, passing: Passing) -> Process:
        does = (SENSOR, SETPOINT, COMPARATOR, ACTUATOR)
        if not lives(passing.process):
            return Process(STOPPED, "nothing is repaired until it runs again: ./inv up reconcile", does)
        last = max((step.at for step in passing.steps.values()), default=0.0)
        if self.clock() - last > self.interval * PASSES_MISSED:
            return Process(SILENT, "it has made no pass for a while: see ./inv logs reconciler", does)
        return Process(RUNS, does=does)

    def _nodes(self, report: Report, passing: Passing) -> dict[str, NodeSeen]:
        folder = self.store.path.parent
        cordoned, draining = Cordons(folder / FILE_NAME).names(), Cordons(folder / DRAINS_NAME).names()
        return {
            name: NodeSeen(
                view.status,
                view.reason,
                passing.heard.get(name, 0.0),
                name in cordoned or name in draining,
                name in draining,
                demo=view.demo,
            )
            for name, view in report.nodes.items()
        }


def surplus(views: Iterable[AppView]) -> dict[str, InstanceSeen]:
    """The containers that are not the placed one of a desired instance. One whose row cannot be read stays."""
    found = [view for view in views if view.desired != "yes" and view.container]
    return {f"{view.node}/{view.container}": replace(_seen(view), surplus=view.desired == "no") for view in found}


def _seen(view: AppView) -> InstanceSeen:
    return InstanceSeen(
        view.app,
        view.slot,
        view.node,
        view.state,
        view.container,
        view.ready,
        view.health,
        view.image,
        ports=tuple(view.ports),
        started=view.started,
        restarts=view.restarts,
        note=view.note,
    )
