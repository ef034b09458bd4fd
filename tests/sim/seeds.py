"""Which seeds a test of the simulator tries: the same ones each time, or `DUCKCONF_SIM_SEEDS` that nobody tried before."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from typing import Any

import pytest

FRESH = [random.randrange(10**6, 10**9) for _ in range(int(os.environ.get("DUCKCONF_SIM_SEEDS", "0")))]
# As many as the rest of a division that chooses the faults beside has values, so that all kinds are among the first.
KINDS = 4


def seeds(usual: range, quick: int = KINDS, always: Iterable[int] = ()) -> list[Any]:
    """The first `quick` of the usual ones and those that failed once are among the quick tests, all others among the slow."""
    return FRESH or [*usual[:quick], *(pytest.param(seed, marks=pytest.mark.slow) for seed in usual[quick:]), *always]
