"""What a drain has come to, and what it says in advance of the instances that stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from duckconf.cli.terminal.say import say


class Drained(NamedTuple):
    """How many instances have moved, and which ones stay because the node has their data."""

    moved: int
    stays: tuple[str, ...] = ()


def say_what_stays(node: str, data: Mapping[str, str]) -> None:
    """`data` is that of each instance, in words."""
    for name, words in sorted(data.items()):
        loss = f"to start it elsewhere without the data: ./inv move {name} --accept-data-loss"
        say(f"  {name} stays on {node}, which has its data ({words}); {loss}")
