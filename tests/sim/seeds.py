"""Which seeds a test of the simulator tries: the same ones each time, or `DUCKCONF_SIM_SEEDS` that nobody tried before."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Sequence

FRESH = [random.randrange(10**6, 10**9) for _ in range(int(os.environ.get("DUCKCONF_SIM_SEEDS", "0")))]


def seeds(usual: range, always: Iterable[int] = ()) -> Sequence[int]:
    """The usual ones, enough that each kind of fault chosen by the seed is among them, and those that failed once."""
    return FRESH or [*usual, *always]
