"""What a drain has come to, and what it says in advance of the instances that stay."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from duckconf.cli.terminal.say import say
from duckconf.counts import counted
from duckconf.errors import DuckconfError
from duckconf.naming import app_of


class Drained(NamedTuple):
    """How many instances have moved, which ones stay because the node has their data, and which ones no other node takes, each
    with the reason."""

    moved: int
    stays: tuple[str, ...] = ()
    stuck: Mapping[str, str] = {}


def say_what_stays(node: str, data: Mapping[str, str]) -> None:
    """`data` is that of each instance, in words."""
    for name, words in sorted(data.items()):
        loss = f"to start it elsewhere without the data: ./inv move {name} --accept-data-loss"
        say(f"  {name} stays on {node}, which has its data ({words}); {loss}")


def not_empty(nodes: Sequence[str], names: Collection[str], moved: int) -> DuckconfError:
    """The end of a drain after which these instances, of which each was told with its reason, still run on the nodes."""
    where, first = ", ".join(nodes), min(names)
    them, run = ("it", "runs") if len(names) == 1 else ("them", "run")
    remedy = (
        f"make room and drain again, or withdraw {them}: ./inv stop-app {app_of(first)}; to cancel the drain: "
        f"./inv uncordon {','.join(nodes)}"
    )
    done = f"{counted(moved, 'app')} moved, {', '.join(sorted(names))} cannot move and {run} on there"
    return DuckconfError(f"{where} {'is' if len(nodes) == 1 else 'are'} not empty: {done}", remedy)
