"""Before a container ends whose network others share, those go, and they are made anew on the next one: podman removes no
container that another one needs, and what is left of such a network on docker leads nowhere. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from duckconf.actions import Remove, Start
from duckconf.engine_output import Container
from duckconf.shared_network import owner_of

if TYPE_CHECKING:
    from duckconf.plan import Step

# A container in one of these still has its network.
ALIVE = frozenset({"running", "paused", "stopping"})


@dataclass(frozen=True)
class _Seen:
    """The containers of all nodes: by node and id, and those that share the network of one."""

    by_name: Mapping[tuple[str, str], Container]
    alive: Collection[tuple[str, str]]
    sharers: Mapping[tuple[str, str], Sequence[Container]]

    def of(self, node: str, name: str) -> Sequence[Container]:
        """Those that share the network of this container."""
        owner = self.by_name.get((node, name))
        return self.sharers.get((node, owner.id), ()) if owner is not None else ()


def sharers_first(
    steps: Sequence[Step], copies: Mapping[str, Sequence[Container]], make: type[Step], kept: Collection[str]
) -> tuple[list[Step], dict[str, str]]:
    """The steps, and notes by instance on those that wait. `kept` instances are left as they are; `make` makes a step."""
    seen = _seen(copies)
    if not seen.sharers and not any(isinstance(step.action, Start) and owner_of(step.action.app) for step in steps):
        return list(steps), {}
    done: dict[tuple[str, str], Step] = {}
    notes: dict[str, str] = {}
    for step in steps:
        users = _without(kept, seen.of(step.action.node, step.action.container))
        why = f"it shares the network of {step.action.container}, which ends"
        done.update({(one.node, one.name): make(one.instance, Remove(one.node, one.name), why) for one in users})
        if users:
            notes[step.instance] = f"waits until {', '.join(one.name for one in users)} is removed, which shares its network"
        elif isinstance(step.action, Start) and (others := _several(owner_of(step.action.app), step.action.node, copies)):
            notes[step.instance] = f"waits until one of {', '.join(others)} is left, whose network it shares"
        else:
            done.setdefault((step.action.node, step.action.container), step)
    for place, some in seen.sharers.items():
        left = _without(kept, some) if place not in seen.alive else ()
        why = "the network that it shares has ended"
        done.update({(one.node, one.name): make(one.instance, Remove(one.node, one.name), why) for one in left})
    return sorted(done.values(), key=lambda step: step.instance), notes


def _without(kept: Collection[str], users: Iterable[Container]) -> list[Container]:
    return [one for one in users if one.instance not in kept]


def _seen(copies: Mapping[str, Sequence[Container]]) -> _Seen:
    every = [copy for some in copies.values() for copy in some]
    sharers: dict[tuple[str, str], list[Container]] = {}
    for copy in every:
        if copy.shares:
            sharers.setdefault((copy.node, copy.shares), []).append(copy)
    alive = {(copy.node, copy.id) for copy in every if copy.state in ALIVE}
    return _Seen({(copy.node, copy.name): copy for copy in every}, alive, sharers)


def _several(owner: str, node: str, copies: Mapping[str, Iterable[Container]]) -> list[str]:
    """The containers of the owner on the node, where it is not clear which one stays."""
    found = sorted(copy.name for some in copies.values() for copy in some if copy.app == owner and copy.node == node)
    return found if owner and len(found) > 1 else []
