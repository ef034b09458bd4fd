"""What the loop learns from a node without space on its disk: new apps go elsewhere for a while, at once."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from controllers.placements import PlacementBook
from controllers.reconciler import FULL_FOR, Reconciler, Verdict
from duckconf.actions import Start
from duckconf.command import Completed
from duckconf.desired import Desired
from duckconf.engine_output import run_failure
from duckconf.errors import NodeFull
from duckconf.model import App

NODES = ("n1", "n2")
WORDS = "Error: writing blob: write /var/lib/containers/storage/overlay: no space left on device"


def look(loop: Reconciler, names: tuple[str, ...], now: float) -> Verdict:
    desired = Desired({name: App("nginx", name) for name in names})
    return loop.decide(desired, NODES, dict.fromkeys(NODES, (now, ())), (), now)


def nodes_of(verdict: Verdict) -> dict[str, str]:
    return {step.app: step.action.node for step in verdict.decision.plan.steps if isinstance(step.action, Start)}


def test_the_engines_words_tell_a_full_disk_from_a_bad_request() -> None:
    assert isinstance(run_failure("n1", Completed(125, "", WORDS)), NodeFull)


def test_an_app_goes_to_another_node_at_once_and_back_to_the_full_one_only_later(tmp_path: Path) -> None:
    loop = Reconciler("demo", PlacementBook(tmp_path / "placements.json"), 20.0)
    first = look(loop, ("a",), 1.0)
    full = nodes_of(first)["a"]
    other = next(node for node in NODES if node != full)
    loop.settle(first.decision.plan.steps[0], NodeFull(full, WORDS), 2.0, last=True)
    assert nodes_of(look(loop, ("a",), 3.0)) == {"a": other}
    assert set(nodes_of(look(loop, ("a", "b", "c"), 4.0)).values()) == {other}
    later = nodes_of(look(loop, ("a", "b", "c", "d", "e", "f"), 3.0 + FULL_FOR))
    assert full in later.values()


def test_a_start_that_works_ends_the_avoidance(tmp_path: Path) -> None:
    loop = Reconciler("demo", PlacementBook(tmp_path / "placements.json"), 20.0)
    step = look(loop, ("a",), 1.0).decision.plan.steps[0]
    loop.settle(step, NodeFull(step.action.node, WORDS), 2.0, last=True)
    loop.settle(dataclasses.replace(step), None, 3.0, last=True)
    assert loop.full_until == {}
