"""The sensor: what runs on the nodes, asked of all at once. It looks and never acts.

Who looks again and again is answered over an open line to the engine where the runner has one, in a few milliseconds;
else, and whenever that is not to be had, by the node's `docker ps`.
"""

from __future__ import annotations

from collections.abc import Mapping

from duckconf import engine
from duckconf.command import Runner
from duckconf.engine_output import Container, read_containers, read_listing
from duckconf.facts import ask_machine, read_facts
from duckconf.inventory import Host
from duckconf.node_name import misnamed
from duckconf.reach.nodes.parallel import Result, ask_all
from duckconf.reach.ssh.engine_line import HasEngineLine


def observe(cluster: str, host: Host, runner: Runner) -> tuple[Container, ...]:
    """Our containers on one node; raises NodeFailure, which is not the same as none."""
    if isinstance(runner, HasEngineLine):
        path = engine.listing_path(cluster, host.name, host.engine)
        containers = runner.engine_line.ask(path, lambda body: read_listing(host.name, body))
        if containers is not None:
            return containers
        if runner.engine_line.failed:
            _require_name(host, runner)
    return read_containers(host.name, runner.run(engine.list_ours(cluster, host.engine)))


def _require_name(host: Host, runner: Runner) -> None:
    """The line may have failed because the machine has another name now, under which `docker ps` would list nothing of ours.
    Raises OtherName."""
    facts = read_facts(host.engine, runner.run(ask_machine()).stdout)
    for other in misnamed({host.name: facts}).values():
        raise other


def observe_all(cluster: str, hosts: Mapping[str, tuple[Host, Runner]]) -> dict[str, Result[tuple[Container, ...]]]:
    """Node name to its containers, or to the failure that says why they are unknown."""
    return ask_all(hosts, lambda name: observe(cluster, *hosts[name]))
