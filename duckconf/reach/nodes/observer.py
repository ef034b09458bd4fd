"""Looks at nodes over connections that are open already, for whoever asks the process that holds them: the loop, or the API of
push mode. It looks and never acts.

Containers are asked for each time, over the open line to the engine. What a machine has left costs a program on the node: it
is asked for now and then in the background, a few nodes at a time, and told with its age.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from duckconf import facts
from duckconf.engine_output import Container
from duckconf.errors import DuckconfError, NodeFailure, Unreachable
from duckconf.facts import UNKNOWN, Facts
from duckconf.inventory import Host
from duckconf.node_name import misnamed
from duckconf.observation import Observation, fingerprint
from duckconf.reach.nodes.parallel import ask_all
from duckconf.reach.ssh.runner import SshRunner

# Seconds. The first round waits until the process has done what it was started for.
FACTS_EVERY = 30.0
FIRST_AFTER = 2.0
AT_ONCE = 4

Pairs = Mapping[str, tuple[Host, SshRunner]]


class _Known(NamedTuple):
    facts: Facts
    asked: float
    connection: int


class Observer:
    """For many threads. `pairs` gives the nodes as they are now, `observe` the containers of one."""

    def __init__(self, pairs: Callable[[], Pairs], observe: Callable[[Host, SshRunner], tuple[Container, ...]]) -> None:
        self._pairs = pairs
        self._observe = observe
        self._known: dict[str, _Known] = {}

    def look(self, wanted: Mapping[str, str]) -> Observation:
        """Those of these nodes that there are, and are for this process what their fingerprints say."""
        pairs = {name: pair for name, pair in self._pairs().items() if wanted.get(name) == fingerprint(pair[0])}

        def one(name: str) -> tuple[Container, ...]:
            host, runner = pairs[name]
            known = self._facts_of(name, runner)
            # A machine that has another name is asked each time: a person may have mended that.
            if known is None or misnamed({name: known.facts}):
                self._ask(name, host, runner)
            return self._observe(host, runner)

        found = ask_all(pairs, one)
        seen = {name: NodeFailure(name, str(item)) if _is_other(item) else item for name, item in found.items()}
        # What a machine had left says nothing of one that does not answer; its connection may not know yet that it is dead.
        there = {name: pair for name, pair in pairs.items() if not isinstance(found[name], Unreachable)}
        known = {name: item for name, pair in there.items() if (item := self._facts_of(name, pair[1])) is not None}
        now = time.monotonic()
        facts, ages = {name: item.facts for name, item in known.items()}, {name: now - item.asked for name, item in known.items()}
        return Observation(seen, facts, ages)  # type: ignore[arg-type]

    def keep_facts(self, ended: threading.Event) -> None:
        """Ask all nodes again and again, until the process ends."""
        wait = FIRST_AFTER
        with ThreadPoolExecutor(AT_ONCE, "facts") as pool:
            while not ended.wait(wait):
                list(pool.map(self._refresh, self._pairs().items()))
                wait = FACTS_EVERY

    def _refresh(self, pair: tuple[str, tuple[Host, SshRunner]]) -> None:
        try:
            self._ask(pair[0], *pair[1])
        except NodeFailure:
            self._known.pop(pair[0], None)

    def _ask(self, name: str, host: Host, runner: SshRunner) -> None:
        """Raises NodeFailure, except for facts that hang: those are no reason to know nothing of the containers."""
        asked = time.monotonic()
        before = self._facts_of(name, runner)
        try:
            question = facts.ask(host.engine, before.facts if before is not None else UNKNOWN)
            known = facts.read_facts(host.engine, runner.run(question).stdout)
        except Unreachable as failure:
            if not failure.may_have_run:
                raise
            known = UNKNOWN
        self._known[name] = _Known(known, asked, runner.opened)

    def _facts_of(self, name: str, runner: SshRunner) -> _Known | None:
        """None where they were never asked for, or over an earlier connection: another machine may stand there now."""
        known = self._known.get(name)
        return known if known is not None and known.connection == runner.opened else None


def _is_other(found: object) -> bool:
    return isinstance(found, DuckconfError) and not isinstance(found, NodeFailure)
