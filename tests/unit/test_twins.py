"""Two names for one machine: one of them is used, and the other one says which."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from controllers.cycle import Cycle, Setpoint
from controllers.reconciler import Reconciler
from duckconf.engine_output import Container
from duckconf.errors import DuckconfError, Unreachable, Unreadable
from duckconf.facts import Facts
from duckconf.inventory import Host
from duckconf.model import App
from duckconf.node_name import misnamed
from duckconf.plan import Step
from duckconf.reach.nodes.facts import told_apart
from duckconf.reach.state.placements import PlacementBook
from duckconf.report import Report
from duckconf.twins import twins
from tests.sim.world import SimWorld

BOX = Container("id", "c", "a", "web", "spec", "nginx", "running", 1.0)


def reported(world: SimWorld) -> Report:
    assert world.report is not None
    return world.report


def test_the_name_that_the_machine_knows_is_used_else_the_first_of_the_inventory() -> None:
    named = {"a": Facts(machine="one", node_name="b"), "b": Facts(machine="one", node_name="b"), "c": Facts(machine="two")}
    assert {name: str(failure) for name, failure in twins(named).items()} == {
        "a": "a: is the same machine as b, and one machine is one node (delete one of the two names in the inventory, or "
        "correct its address)"
    }
    assert list(twins({"b": Facts(machine="one"), "a": Facts(machine="one")})) == ["a"]


def test_machines_that_say_nothing_of_themselves_are_not_taken_for_one() -> None:
    assert twins({"a": Facts(), "b": Facts(), "c": Facts(node_name="a")}) == {}


def test_no_container_is_counted_twice_and_a_node_that_is_away_keeps_its_own_reason() -> None:
    one = Facts(machine="one", node_name="b")
    away = Unreachable("c", "does not answer")
    seen = told_apart({"a": (BOX,), "b": (BOX,), "c": away}, {"a": one, "b": one, "c": one})
    assert str(seen["a"]).startswith("a: is the same machine as b")
    assert (seen["b"], seen["c"]) == ((BOX,), away)


class OneMachine(SimWorld):
    """Each look at any node shows the same container."""

    def facts(self) -> dict[str, Facts]:
        return {name: Facts(machine="one", node_name="n2") for name in self.nodes}

    def setpoint(self) -> Setpoint:
        return self.person.setpoint()

    def act(self, step: Step, done: Callable[[DuckconfError | None], None]) -> None:
        self.note("act", str(step.action))

    def look(self, host: Host) -> Future[tuple[Container, ...]]:
        answer: Future[tuple[Container, ...]] = Future()
        answer.set_result((BOX,))
        return answer


def test_the_loop_uses_the_machine_under_one_name_from_its_first_look_on(tmp_path: Path) -> None:
    world = OneMachine(3, tmp_path)
    assert len(world.nodes) > 1
    world.calm = True
    world.person.apps["web"] = App("nginx", "web")
    reconciler = Reconciler("sim", PlacementBook(tmp_path / "placements.json"), 20.0)
    Cycle(world, reconciler).once()
    views = reported(world).nodes
    assert {name: view.status for name, view in views.items()} == {
        "n2": "ready",
        **dict.fromkeys(set(views) - {"n2"}, "unreachable"),
    }
    assert views["n1"].reason == "is the same machine as n2, and one machine is one node"
    assert not any("remove" in line for line in world.trace)


def test_a_machine_that_calls_itself_otherwise_is_unreadable_with_what_to_do() -> None:
    known = {"new": Facts(machine="one", node_name="old"), "b": Facts(machine="two", node_name="b"), "bare": Facts(machine="3")}
    assert {name: str(failure) for name, failure in misnamed(known).items()} == {
        "new": "new: calls itself old in /etc/duckconf/node, so its containers are those of old "
        "(to name it new: ./inv provision --limit new; or write old in the inventory)"
    }
    seen = told_apart({"new": (BOX,), "b": (BOX,)}, known)
    assert isinstance(seen["new"], Unreadable)
    assert seen["b"] == (BOX,)


class Renamed(OneMachine):
    """The inventory calls the first node otherwise than its machine does."""

    def facts(self) -> dict[str, Facts]:
        return {"n1": Facts(machine="one", node_name="old"), "n2": Facts(machine="two", node_name="n2")}


def test_nothing_is_done_on_a_machine_under_a_name_that_it_does_not_have(tmp_path: Path) -> None:
    world = Renamed(3, tmp_path)
    world.calm = True
    world.person.apps["web"] = App("nginx", "web")
    cycle = Cycle(world, Reconciler("sim", PlacementBook(tmp_path / "placements.json"), 20.0))
    cycle.once()
    report = reported(world)
    assert report.nodes["n1"].status == "unreadable"
    assert "./inv provision --limit n1" in report.nodes["n1"].reason
    assert not any(" on n1" in line or "from n1" in line for line in world.trace if "act" in line)
