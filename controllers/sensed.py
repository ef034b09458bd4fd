"""What one pass of the loop was told by the nodes, and what that makes of each node in its report. It asks nobody."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from controllers.reconciler import Heard
from duckconf.report import LOST, READY, UNREACHABLE, UNREADABLE, NodeView

NOT_YET = "has not answered yet"
NO_MORE = "does not answer any more"


class Sensed(NamedTuple):
    """Who was heard, who was not, and of whom nothing can be read although it may be well; each with the reason."""

    heard: dict[str, Heard]
    silent: dict[str, str]
    unreadable: dict[str, tuple[float, str]]

    @property
    def asked(self) -> dict[str, float]:
        """When those were asked whose answer cannot be read."""
        return {node: asked for node, (asked, _) in self.unreadable.items()}

    def views(self, before: Mapping[str, NodeView], lost: Collection[str]) -> dict[str, NodeView]:
        views = {node: NodeView(READY) for node in self.heard}
        views |= {node: NodeView(UNREADABLE, reason) for node, (_, reason) in self.unreadable.items()}
        for node, reason in self.silent.items():
            known = before.get(node, NodeView(UNREACHABLE, NOT_YET))
            if node in lost:
                views[node] = NodeView(LOST, (known.reason or NO_MORE) if reason == NOT_YET else reason)
            else:
                # A node that is only slow in this pass is not worth an event.
                views[node] = known if reason == NOT_YET else NodeView(UNREACHABLE, reason)
        return views
