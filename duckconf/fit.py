"""Whether a node is large enough for an app: cores and memory, as the app asks for them. Pure. What is unknown fits."""

from __future__ import annotations

from typing import NamedTuple

from duckconf.facts import Facts, size
from duckconf.model import App
from duckconf.refusal_words import CORES, MEMORY
from duckconf.sizes import size_in_bytes


class Misfit(NamedTuple):
    """The kind of a refusal, the words for "N nodes …", and those for one node."""

    kind: str
    counted: str
    alone: str


def misfit(app: App, facts: Facts) -> Misfit | None:
    """What the node lacks for the app; None when it has all of it, or nobody knows."""
    cores, asked = facts.cores, float(app.cpus or 0)
    if cores is not None and asked > cores:
        return Misfit(CORES, f"with fewer than {asked:g} cores", f"it has {cores} cores, and the app asks for {asked:g}")
    memory, wanted = facts.memory_total, size_in_bytes(app.memory)
    if memory is not None and wanted > memory:
        alone = f"it has {size(memory)} of memory, and the app asks for {size(wanted)}"
        return Misfit(MEMORY, f"with less than {size(wanted)} of memory", alone)
    return None
