"""`./inv provision`: what each mode needs on its hosts, with one row per host at the end, also when some failed."""

from __future__ import annotations

from collections.abc import Mapping

from duckconf.cli.cluster.modes import AGENTS, mode_of
from duckconf.cli.roles.playbook import Outcome
from duckconf.cli.roles.provision import BARE_NODE, ProvisionFailed, provision
from duckconf.cli.terminal.say import say
from duckconf.cli.terminal.tables import print_json, print_table
from duckconf.errors import NotFound
from duckconf.reach.inventory.project import Project


def run(project: Project, limit: str, *, full: bool, as_json: bool) -> None:
    """Raises ProvisionFailed after the rows are shown."""
    try:
        outcomes = provision_for_mode(project, limit, full=full)
    except ProvisionFailed as failure:
        _show(failure.outcomes, as_json=as_json)
        raise
    _show(outcomes, as_json=as_json)


def provision_for_mode(project: Project, limit: str, *, full: bool = False) -> dict[str, Outcome]:
    """Control plane and agents in agents mode; elsewhere the nodes alone, and of the demo hosts only those named."""
    if mode_of(project) == AGENTS:
        return provision(project, limit, full=full)
    names = limit or _real_nodes(project)
    if not names:
        say("all nodes are demo hosts, which `./inv up` makes ready; to provision one, name it: --limit NODE")
        return {}
    return provision(project, names, BARE_NODE, full=full)


def _real_nodes(project: Project) -> str:
    nodes = project.inventory().node_hosts()
    names = [host.name for host in nodes if not host.demo]
    if not nodes:
        raise NotFound("there is no node yet", "add the first: ./inv add-node NAME --host ADDRESS")
    return ",".join(names)


def _show(outcomes: Mapping[str, Outcome], *, as_json: bool) -> None:
    rows = [_row(name, outcome) for name, outcome in outcomes.items()]
    print_json(rows) if as_json else print_table(rows, ("host", "result", "changes", "reason"), "no hosts")


def _row(name: str, outcome: Outcome) -> dict[str, object]:
    failure = outcome.failure
    result = "failed" if failure is not None else "changed" if outcome.changed else "unchanged"
    return {"host": name, "result": result, "changes": outcome.changed, "reason": getattr(failure, "reason", str(failure or ""))}
