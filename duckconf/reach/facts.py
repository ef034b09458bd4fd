"""Asks nodes what they are and have left: one command on each, all at once. It looks and never acts."""

from __future__ import annotations

from collections.abc import Mapping

from duckconf import facts
from duckconf.command import Runner
from duckconf.facts import Facts
from duckconf.inventory import Host
from duckconf.reach.parallel import ask_all

UNKNOWN = Facts()


def facts_of(hosts: Mapping[str, tuple[Host, Runner]]) -> dict[str, Facts]:
    """Node name to its facts: all None for a node that does not answer, whose failure its listing tells."""

    def one(name: str) -> Facts:
        host, runner = hosts[name]
        return facts.read_facts(host.engine, runner.run(facts.ask(host.engine)).stdout)

    return {name: found if isinstance(found, Facts) else UNKNOWN for name, found in ask_all(hosts, one).items()}
