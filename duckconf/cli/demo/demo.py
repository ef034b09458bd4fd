"""`./inv demo`: one tour, and a clean end of it at any point."""

from __future__ import annotations

from duckconf.cli.cluster.modes import AGENTS, MODES, PUSH, RECONCILE, is_down, mode_of
from duckconf.cli.demo.demo_hosts import DemoHosts
from duckconf.cli.demo.stage import Left, Stage
from duckconf.cli.demo.tour import tour_agents, tour_push, tour_reconcile
from duckconf.cli.demo.tour_ha import tour_ha
from duckconf.cli.demo.tour_stack import tour_stack
from duckconf.cli.terminal.say import say
from duckconf.cli.terminal.screen import Ended, ended_by_signals
from duckconf.counts import counted
from duckconf.errors import BadInput, DuckconfError, Fault
from duckconf.reach.inventory.project import Project
from duckconf.suggest import meant

HA, STACK = "ha", "stack"
TOURS = {PUSH: tour_push, RECONCILE: tour_reconcile, AGENTS: tour_agents, HA: tour_ha, STACK: tour_stack}
INTERRUPTED = 130


def demo(project: Project, mode: str, *, pause: bool) -> int:
    """The exit code: 0 at the end or after q, 128 and the number of the signal that ended it."""
    if mode not in TOURS:
        raise BadInput(Fault("MODE", f"should be {', '.join(MODES)}, {HA} or {STACK}, got {mode!r}{meant(mode, TOURS)}"))
    stage = Stage(pause=pause)
    try:
        with ended_by_signals():
            TOURS[mode](project, stage)
    except Left:
        code, how = 0, "ended"
    except KeyboardInterrupt:
        code, how = INTERRUPTED, "interrupted"
    except Ended as ended:
        code, how = ended.code, "ended"
    else:
        return 0
    say(f"\nThe tour is {how}. {_left(project, mode)}")
    return code


def _left(project: Project, mode: str) -> str:
    """What is there now, and what to do about it."""
    if mode in (HA, STACK):
        return f"Its cluster is taken away. Once more: ./inv demo {mode}"
    again = f"To go on: ./inv demo {mode}."
    try:
        states = [str(row["State"]) for row in DemoHosts(project).containers()]
    except DuckconfError as error:
        return f"What is left of it is not known: {error}. To take it down: ./inv down"
    if not states or is_down(project):
        return f"Nothing of the cluster runs. {again}"
    frozen = f", {states.count('paused')} frozen" if "paused" in states else ""
    there = f"Cluster {project.cluster} is in mode {mode_of(project)} with {counted(len(states), 'demo host')}{frozen}"
    return f"{there}; ./inv status shows it. {again} To take it down: ./inv down"
