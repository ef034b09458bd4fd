"""Asks nodes what they are and have left, and if wanted what runs there: one command on each, all at once. It looks and
never acts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from duckconf import engine, facts
from duckconf.command import Runner
from duckconf.engine_output import Container, read_containers
from duckconf.errors import EngineUnavailable, Unreachable
from duckconf.facts import UNKNOWN, Facts
from duckconf.inventory import Host
from duckconf.node_name import misnamed
from duckconf.reach.nodes.parallel import Result, ask_all
from duckconf.twins import twins


def facts_of(hosts: Mapping[str, tuple[Host, Runner]], before: Mapping[str, Facts] = MappingProxyType({})) -> dict[str, Facts]:
    """Node name to its facts: all None for a node that does not answer, whose failure its listing tells. `before` are those
    that were asked for last, which make it cheaper."""

    def one(name: str) -> Facts:
        host, runner = hosts[name]
        return facts.read_facts(host.engine, runner.run(facts.ask(host.engine, before.get(name, UNKNOWN))).stdout)

    return {name: found if isinstance(found, Facts) else UNKNOWN for name, found in ask_all(hosts, one).items()}


def told_apart(
    seen: Mapping[str, Result[tuple[Container, ...]]], known: Mapping[str, Facts]
) -> dict[str, Result[tuple[Container, ...]]]:
    """The same, with each machine under one name only, its own: under another one it is a failure that names both."""
    asked = {name: known[name] for name in seen if name in known}
    same = {**misnamed(asked), **twins(asked)}
    return {name: same.get(name, found) if isinstance(found, tuple) else found for name, found in seen.items()}


def observe_with_facts(
    cluster: str, hosts: Mapping[str, tuple[Host, Runner]], *, machine_only: bool = False
) -> tuple[dict[str, Result[tuple[Container, ...]]], dict[str, Facts]]:
    """What `sensor.observe_all` and `facts_of` tell, in one command on each node instead of two. With `machine_only`, the
    facts are those that cost next to nothing."""

    def one(name: str) -> tuple[Result[tuple[Container, ...]], Facts]:
        host, runner = hosts[name]
        question = engine.list_ours(cluster, host.engine)
        try:
            listing, known = facts.split(
                host.engine, runner.run(facts.ask_beside(question, host.engine, machine_only=machine_only))
            )
        except Unreachable as failure:
            # Facts that hang, as where an engine is stuck, are no reason to know nothing of the containers.
            if not failure.may_have_run:
                raise
            listing, known = runner.run(question), UNKNOWN
        try:
            return read_containers(name, listing), known
        except EngineUnavailable as failure:
            return failure, known

    answers = {name: found if isinstance(found, tuple) else (found, UNKNOWN) for name, found in ask_all(hosts, one).items()}
    return {name: seen for name, (seen, _) in answers.items()}, {name: known for name, (_, known) in answers.items()}
