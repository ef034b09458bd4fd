"""A machine that calls itself otherwise than the inventory does: nothing is done there until the two agree. Pure.

The docker-wrapper labels and lists containers by the machine's own name. Under another one, what runs there is not seen, and
would be started a second time.
"""

from __future__ import annotations

from collections.abc import Mapping

from duckconf.errors import Unreadable
from duckconf.facts import Facts

NODE_FILE = "/etc/duckconf/node"


class OtherName(Unreadable):
    """The node's machine has another name than the node, in the inventory or in its agent's configuration."""

    def __init__(self, node: str, own: str) -> None:
        remedy = f"to name it {node}: ./inv provision --limit {node}; or write {own} in the inventory"
        super().__init__(node, f"calls itself {own} in {NODE_FILE}, so its containers are those of {own}", remedy)


def misnamed(known: Mapping[str, Facts]) -> dict[str, OtherName]:
    """By node. A machine that has no name yet is no other one's."""
    return {node: OtherName(node, facts.node_name) for node, facts in known.items() if facts.node_name not in (None, "", node)}
