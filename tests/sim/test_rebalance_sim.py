"""Rebalances among faults: at random moments, asked for or by the loop itself, they break nothing, and end with level nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from duckconf.rebalancing import AUTO, MANUAL
from tests.sim.kinds import DRAINS, GARBLED, REBALANCES, REFUSALS, SCALES
from tests.sim.seeds import seeds
from tests.sim.sickness import SICKNESS
from tests.sim.sim import QUIET, Run
from tests.sim.test_sim import STEPS


@pytest.mark.parametrize("seed", seeds(range(9000, 9004)))
def test_a_rebalance_at_any_moment_breaks_nothing_and_ends_with_level_nodes(seed: int, tmp_path: Path) -> None:
    run = Run(seed, tmp_path, {**REBALANCES, **SCALES, **(DRAINS, REFUSALS, SICKNESS, GARBLED)[seed % 4]})
    run.world.rebalance = AUTO if seed % 3 == 0 else MANUAL
    run.go(STEPS)
    asked = run.rebalances.ask()
    run.world.wake()
    run.pass_time(QUIET)
    assert run.rebalances.progress.done == asked, run.rebalances.progress
    assert run.uneven() == []
