"""What placement and comparator look at: the nodes, what runs there, and where each instance belongs. Pure values."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Union

from duckconf.codec import spec_hash
from duckconf.engine_output import Container
from duckconf.facts import UNKNOWN, Facts
from duckconf.instance import Instance
from duckconf.refusal import Refusal, Refusals
from duckconf.sites import NOWHERE, Sites

# Containers that run or will do so by themselves.
ALIVE = frozenset({"running", "paused", "stopping", "removing", "restarting"})
NEVER_RAN = frozenset({"created", "configured", "initialized"})

Views = Mapping[str, Union[tuple[Container, ...], None]]
"""Node name to its containers; None when it did not answer, which is not the same as having none."""


@dataclass(frozen=True)
class Placement:
    """An instance belongs on `node` in `container`. The higher generation is the newer decision. `end` is the record of its end,
    "" for one that is not over. `spec` is the hash of what it should run there, "" where that was never noted."""

    node: str
    container: str
    generation: int
    end: str = ""
    spec: str = ""


def copy_at(place: Placement | None, copies: Iterable[Container]) -> Container | None:
    """Of these containers of an instance the one at its place."""
    if place is None:
        return None
    return next((copy for copy in copies if (copy.node, copy.name) == (place.node, place.container)), None)


@dataclass(frozen=True)
class Fleet:
    """The nodes as placement sees them, in inventory order."""

    nodes: Sequence[str]
    views: Views
    lost: Collection[str] = ()
    cordoned: Collection[str] = ()
    draining: Collection[str] = ()
    """Nodes that are emptied: their apps move away one after the other."""
    refusals: Refusals = field(default_factory=dict)
    """Those that hold now."""
    facts: Mapping[str, Facts] = field(default_factory=dict)
    """What is known of the nodes; what is not known excludes nothing."""
    sites: Sites = NOWHERE
    unreadable: Collection[str] = ()
    """Nodes whose answer cannot be read, or that are not asked as the inventory has it: without a view, and never lost."""

    @functools.cached_property
    def full(self) -> Collection[str]:
        """Nodes that had no space for an app a short while ago."""
        return {refusal.node for refusal in self.refusals.values() if refusal.of_node}

    def fact(self, node: str) -> Facts:
        return self.facts.get(node, UNKNOWN)

    def refusal(self, node: str, instance: Instance) -> Refusal | None:
        """Why the node's engine refuses this app as it is specified now."""
        found = self.refusals.get((node, instance.app.name))
        holds = found is not None and found.spec == spec_hash(instance.app) and instance.generation <= found.generation
        return found if holds else None

    def repels(self, node: str, instance: Instance) -> bool:
        """Whether the instance should leave the node: it is emptied, or the app's pattern does not mean it. Its data keeps it."""
        if node == instance.leaves:
            return True
        if instance.data and node == instance.bound:
            return False
        return node in self.draining or not self.sites.allows(instance.app, node)

    @functools.cached_property
    def copies(self) -> Mapping[str, Sequence[Container]]:
        """The containers seen of each instance, in an order that does not depend on the engine's."""
        found: dict[str, list[Container]] = {}
        for node in self.nodes:
            for container in sorted(self.views.get(node) or (), key=lambda item: item.name):
                if container.app:
                    found.setdefault(container.instance, []).append(container)
        return found
