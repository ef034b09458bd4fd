"""Whether a node is large enough for an app: cores and memory, as the app asks for them. Pure. What is unknown fits."""

from __future__ import annotations

from typing import NamedTuple

from duckconf.facts import Facts, size
from duckconf.model import App
from duckconf.refusal_words import CORES, MEMORY
from duckconf.sizes import size_in_bytes

# Tenths of a core add up to a little more than they are.
TOLERANCE = 1e-6


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


def shortage(app: App, facts: Facts, cpus: float, memory: int) -> Misfit | None:
    """What the node has not left of what the app reserves, when `cpus` cores and `memory` bytes are reserved already."""
    if app.reserve_cpus and facts.cores is not None and cpus + app.reserve_cpus > facts.cores + TOLERANCE:
        alone = f"{cpus:g} of its {facts.cores} cores are reserved, and the app reserves {app.reserve_cpus:g}"
        return Misfit(CORES, f"with fewer than {app.reserve_cpus:g} cores left", alone)
    asked = size_in_bytes(app.reserve_memory)
    if asked and facts.memory_total is not None and memory + asked > facts.memory_total:
        alone = f"{size(memory)} of its {size(facts.memory_total)} of memory are reserved, and the app reserves {size(asked)}"
        return Misfit(MEMORY, f"with less than {size(asked)} of memory left", alone)
    return None
