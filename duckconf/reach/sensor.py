"""The sensor: what runs on the nodes, asked of all at once. It looks and never acts."""

from __future__ import annotations

from collections.abc import Mapping

from duckconf import engine
from duckconf.command import Runner
from duckconf.engine_output import Container, read_containers
from duckconf.inventory import Host
from duckconf.reach.parallel import Result, ask_all


def observe(cluster: str, host: Host, runner: Runner) -> tuple[Container, ...]:
    """Our containers on one node; raises NodeFailure, which is not the same as none."""
    return read_containers(host.name, runner.run(engine.list_ours(cluster, host.engine)))


def observe_all(cluster: str, hosts: Mapping[str, tuple[Host, Runner]]) -> dict[str, Result[tuple[Container, ...]]]:
    """Node name to its containers, or to the failure that says why they are unknown."""
    return ask_all(hosts, lambda name: observe(cluster, *hosts[name]))
