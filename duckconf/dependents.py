"""What is left of a stack on a node goes in the reverse order of `depends_on`: what an old container there needs stays until that
has gone. Pure.

It holds up only what has another copy that is ready: nothing waits for such a removal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from duckconf.actions import Action, Remove
from duckconf.engine_output import Container
from duckconf.fleet_seen import Placement
from duckconf.instance import Instance

Done = list[tuple[Action, str]]
"""Actions on one instance, each with its reason."""


class Leftovers:
    """The old containers of what is placed elsewhere by now."""

    def __init__(
        self, instances: Iterable[Instance], copies: Mapping[str, Collection[Container]], placements: Mapping[str, Placement]
    ) -> None:
        self._users: dict[tuple[str, str], list[str]] = {}
        for one in instances:
            place = placements.get(one.name) if one.app.depends_on else None
            for node in {copy.node for copy in copies.get(one.name, ()) if copy.running} - {place.node} if place else ():
                for needed in one.app.depends_on:
                    self._users.setdefault((needed, node), []).append(one.name)

    def without_needed(self, app: str, done: Done, note: str) -> tuple[Done, str]:
        """The actions without removals from nodes where somebody still needs the app, and a note that says who does."""
        needed = {action.node: users for action, _ in done if isinstance(action, Remove) and (users := self._at(app, action))}
        if not needed:
            return done, note
        why = "; ".join(f"stays on {node} until {', '.join(users)} has left it" for node, users in sorted(needed.items()))
        return [entry for entry in done if entry[0].node not in needed], why

    def _at(self, app: str, action: Action) -> list[str]:
        return self._users.get((app, action.node), [])
