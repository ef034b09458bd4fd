"""The kinds of faults by name: those of every run, and those that some runs have beside them."""

from __future__ import annotations

from tests.sim import container_faults, edits, node_faults
from tests.sim.faults import Kinds

KINDS: Kinds = {
    "freeze": node_faults.freeze,
    "unplug": node_faults.unplug,
    "unplug all": node_faults.unplug_all,
    "power off": node_faults.power_off,
    "slow": node_faults.slow_down,
    "crash": container_faults.crash,
    "delete": container_faults.delete,
    "pause": container_faults.pause,
    "stop": container_faults.stop,
    "start": container_faults.start,
    "jam": container_faults.jam,
    "stranger": container_faults.stranger,
    "declare": edits.declare,
    "change": edits.change,
    "withdraw": edits.withdraw,
    "mistype": edits.mistype,
    "file": edits.lose_file,
    "cordon": edits.cordon,
    "inventory": edits.edit_inventory,
    "kill": node_faults.kill,
    "forget": node_faults.forget,
    "disk": node_faults.lose_disk,
}

# Apart from the others, so that their seeds keep their meaning.
DRAINS: Kinds = {"drain": edits.drain}
CUTS: Kinds = {"cut": edits.cut_file}
GARBLED: Kinds = {"garble": node_faults.garble}
REFUSALS: Kinds = {"refuse": container_faults.refuse}
JOBS: Kinds = {"job": edits.job, "prune": edits.prune, "strand": edits.strand}
REBALANCES: Kinds = {f"rebalance {number}": edits.rebalance for number in range(3)}
SCALES: Kinds = {"scale": edits.scale}
