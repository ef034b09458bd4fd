"""Where the nodes are, as the inventory has it: the zone of each, and which of them a pattern means. Pure.

Placement spreads an app over zones and keeps it on the nodes of its pattern (`on`). The operator's side makes it of the
inventory, the control plane of its configuration.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from duckconf.errors import BadInput, NotFound
from duckconf.model import App
from duckconf.patterns import choose


@dataclass(frozen=True)
class Sites:
    """`names` are the nodes, `groups` every group with its hosts. The nodes without a zone are one more zone."""

    names: Sequence[str] = ()
    zones: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def zone(self, node: str) -> str:
        return self.zones.get(node, "")

    def allows(self, app: App, node: str) -> bool:
        """Whether the app's pattern means the node."""
        return not app.on or node in self.meant(app.on)

    def meant(self, pattern: str) -> frozenset[str]:
        """The nodes that the pattern means now: none where it matches nothing."""
        if pattern not in self._known:
            try:
                self._known[pattern] = frozenset(choose(pattern, self.names, self.groups))
            except (NotFound, BadInput):
                self._known[pattern] = frozenset()
        return self._known[pattern]

    @functools.cached_property
    def _known(self) -> dict[str, frozenset[str]]:
        return {}


NOWHERE = Sites()
