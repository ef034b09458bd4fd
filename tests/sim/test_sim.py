"""The loop among faults: seeded runs of the real plan, placement, back-off and cycle on a fake clock.

`DUCKCONF_SIM_SEEDS=500 ./inv test --only tests/sim` tries 500 seeds that nobody tried before.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from duckconf.healthcheck import HEALTHY, UNHEALTHY
from duckconf.model import App
from tests.sim.everywhere import EVERYWHERE, MOVES, WITH_DATA
from tests.sim.kinds import CUTS, DRAINS, GARBLED, JOBS, REFUSALS, SCALES
from tests.sim.seeds import seeds
from tests.sim.services import SERVICES
from tests.sim.sickness import SICKNESS, recover, turn
from tests.sim.sim import Run

STEPS = 300

# Seeds that failed once, and what was wrong. They keep their meaning as long as the dice is rolled in the same order.
REGRESSIONS = {
    44: "a start that cannot even be sent was tried again without a pause",
    48: "a loop killed before all nodes were heard left placements on disk that looked complete: an app ran twice",
    53: "a node that was only ever slow was given up without a reason in the event",
    81: "a node came back with a late answer and was given up again at once, because the question was old",
    83: "placements counted as complete although the disk did not take them: an app ran twice",
    85: "a late answer took back the time that a common silence was forgiven for: a node was given up too early",
    108: "an app waited for ever for a port on its node while another node had it free",
    157: "an app seen while its row could not be read was started elsewhere when its node fell silent",
    313: "as 85, and by 13 s",
    375: "as 157",
    411: "a removal that the engine refused was tried again without a pause",
    200708: "an app waited for ever for the port that its own older copy held on the same node",
}

# As these, of services.
SERVICE_REGRESSIONS = {
    173: "an app with one instance on each node at most was never updated",
    10136: "what stayed starting was not taken back where the old instance ends first",
}


# As these, of apps with data.
DATA_REGRESSIONS = {
    984541731: "data that was seen while the row of its app could not be read was forgotten when its container had gone",
}
# As these, of apps on all nodes.
EVERYWHERE_REGRESSIONS = {
    826749808: "a copy that served was removed for a slot of its node that had none, when the copy's own slot had lost its node",
}
# As these, of the front.
FRONT_REGRESSIONS = {
    185044190: "a start of the old revision took back what the node had refused of the new one: it was tried without a pause",
    508940771: "a container that a person had paused was stopped while the front had it",
}


@pytest.mark.parametrize("seed", seeds(range(4), REGRESSIONS))
def test_a_cluster_among_faults_stays_safe_and_comes_to_rest(seed: int, tmp_path: Path) -> None:
    Run(seed, tmp_path).go(STEPS)


@pytest.mark.parametrize("seed", seeds(range(1000, 1004)))
def test_nodes_that_are_emptied_among_faults_stay_safe_too(seed: int, tmp_path: Path) -> None:
    Run(seed, tmp_path, DRAINS).go(STEPS)


@pytest.mark.parametrize("seed", seeds(range(2000, 2004)))
def test_nodes_that_refuse_apps_among_faults_stay_safe_too(seed: int, tmp_path: Path) -> None:
    Run(seed, tmp_path, {**(DRAINS if seed % 2 == 0 else {}), **REFUSALS}).go(STEPS)


@pytest.mark.parametrize("seed", seeds(range(9000, 9004), FRONT_REGRESSIONS))
def test_an_instance_leaves_the_front_before_it_is_stopped_and_what_is_ready_is_in_it(seed: int, tmp_path: Path) -> None:
    Run(seed, tmp_path, {**SERVICES, **(DRAINS if seed % 2 == 0 else SCALES)}, front=True).go(STEPS)


@pytest.mark.parametrize("seed", seeds(range(3000, 3004)))
def test_a_desired_state_that_is_cut_anywhere_withdraws_nothing(seed: int, tmp_path: Path) -> None:
    Run(seed, tmp_path, CUTS).go(STEPS)


@pytest.mark.parametrize("seed", seeds(range(4000, 4004)))
def test_a_node_whose_answer_cannot_be_read_is_never_lost_and_nothing_is_done_there(seed: int, tmp_path: Path) -> None:
    Run(seed, tmp_path, GARBLED).go(STEPS)


@pytest.mark.parametrize("seed", seeds(range(5000, 5004)))
def test_apps_that_are_scaled_among_faults_have_each_slot_once(seed: int, tmp_path: Path) -> None:
    Run(seed, tmp_path, {**SCALES, **(DRAINS if seed % 2 == 0 else REFUSALS)}).go(STEPS)


@pytest.mark.parametrize("seed", seeds(range(6000, 6004)))
def test_a_job_that_is_done_never_starts_again_and_an_unfinished_one_ends(seed: int, tmp_path: Path) -> None:
    # Often, among all that else happens.
    often = {f"{name} {number}": kind for name, kind in JOBS.items() for number in range(4)}
    Run(seed, tmp_path, {**often, **(DRAINS, REFUSALS, GARBLED, CUTS)[seed % 4]}).go(STEPS)


@pytest.mark.parametrize("seed", seeds(range(7000, 7004)))
def test_apps_that_fall_ill_among_faults_are_restarted_with_pauses_and_none_that_is_well(seed: int, tmp_path: Path) -> None:
    Run(seed, tmp_path, {**SICKNESS, **(DRAINS if seed % 2 == 0 else SCALES)}).go(STEPS)


@pytest.mark.parametrize("seed", seeds(range(8000, 8004), EVERYWHERE_REGRESSIONS))
def test_a_global_app_runs_once_on_each_node_and_is_never_taken_from_one_that_should_have_it(seed: int, tmp_path: Path) -> None:
    Run(seed, tmp_path, {**EVERYWHERE, **(DRAINS, REFUSALS, SCALES, {})[seed % 4]}).go(STEPS)


@pytest.mark.parametrize("seed", seeds(range(9000, 9004), DATA_REGRESSIONS))
def test_an_app_with_data_is_never_started_anywhere_but_where_its_data_is(seed: int, tmp_path: Path) -> None:
    Run(seed, tmp_path, {**WITH_DATA, **(DRAINS, REFUSALS, SCALES, {})[seed % 4]}).go(STEPS)


@pytest.mark.parametrize("seed", seeds(range(9500, 9504)))
def test_an_app_leaves_its_data_only_where_a_person_accepted_the_loss(seed: int, tmp_path: Path) -> None:
    Run(seed, tmp_path, {**WITH_DATA, **MOVES, **(DRAINS, REFUSALS, SCALES, {})[seed % 4]}).go(STEPS)


@pytest.mark.parametrize("seed", seeds(range(8000, 8006), SERVICE_REGRESSIONS))
def test_services_among_faults_keep_what_their_updates_promise_and_come_to_rest(seed: int, tmp_path: Path) -> None:
    often = {f"{name} {number}": kind for name, kind in SERVICES.items() if name not in SICKNESS for number in range(2)}
    beside = (DRAINS, REFUSALS, GARBLED, CUTS, JOBS, {})[seed % 6]
    Run(seed, tmp_path, {**SERVICES, **often, **SCALES, **beside}).go(STEPS)


def test_an_app_that_stays_ill_is_restarted_with_pauses_that_grow_and_not_any_more_when_it_is_well(tmp_path: Path) -> None:
    run = Run(1, tmp_path, SICKNESS)
    run.world.calm = True
    run.world.person.apps["web"] = App("web:1", "web")
    run.pass_time(20)
    (box,) = (box for node in run.world.nodes.values() for box in {id(box): box for box in node.engine.boxes.values()}.values())
    assert box.health == HEALTHY
    box.sick = True
    turn(run.world, box, UNHEALTHY)
    run.pass_time(600)
    restarts = [line for line in run.world.trace if "effect" in line and "restart web on" in line]
    assert 6 <= len(restarts) <= 10, restarts
    recover(run.world, box)
    run.pass_time(1200)
    assert box.health == HEALTHY
    assert len([line for line in run.world.trace if "effect" in line and "restart web on" in line]) <= len(restarts) + 1


def test_the_same_seed_gives_the_same_trace_in_any_process(tmp_path: Path) -> None:
    run = Run(7, tmp_path)
    run.go(STEPS)
    code = "import sys; from pathlib import Path; from tests.sim.sim import Run; run = Run(7, Path(sys.argv[1])); "
    code += "run.go(int(sys.argv[2])); print('\\n'.join(run.world.trace))"
    for hash_seed in ("1", "2"):
        folder = tmp_path / hash_seed
        folder.mkdir()
        argv = [sys.executable, "-c", code, str(folder), str(STEPS)]
        again = subprocess.run(argv, env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True)
        assert again.stdout.splitlines() == run.world.trace
