"""Two names in the inventory that lead to one machine: only one of them is used, and the other says which. Pure.

Used twice, its containers would be counted twice, and what runs under one name would be a stale copy under the other.
"""

from __future__ import annotations

from collections.abc import Mapping

from duckconf.errors import NodeFailure
from duckconf.facts import Facts


class SameMachine(NodeFailure):
    """The node's machine has another name in the inventory, under which it is used."""

    def __init__(self, node: str, other: str) -> None:
        remedy = "delete one of the two names in the inventory, or correct its address"
        super().__init__(node, f"is the same machine as {other}, and one machine is one node", remedy)


def twins(known: Mapping[str, Facts]) -> dict[str, SameMachine]:
    """By node, in the order of the inventory. The name that the machine itself knows is used, else the first one."""
    by_machine: dict[str, list[str]] = {}
    for name, facts in known.items():
        if facts.machine:
            by_machine.setdefault(facts.machine, []).append(name)
    found = {}
    for names in by_machine.values():
        used = next((name for name in names if known[name].node_name == name), names[0])
        found.update({name: SameMachine(name, used) for name in names if name != used})
    return found
