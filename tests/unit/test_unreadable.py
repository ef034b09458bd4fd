"""A node that answers, but whose answer cannot be read, is not a silent node: it is never lost, and nothing is done there."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import pytest

from api.stores.kept_nodes import NodesFile
from api.stores.nodes import READY, SUSPECT, UNREADABLE, NodeBook, Report, Seen
from controllers.cycle import Cycle, Look
from controllers.node_controller import Watch, look
from controllers.reconciler import Reconciler
from duckconf.actions import Kill, Remove, Restart, Start
from duckconf.command import Command, Completed
from duckconf.desired import Desired
from duckconf.engine_output import read_containers
from duckconf.errors import EngineUnavailable, NodeFailure, NotSupported, Unreadable
from duckconf.instance import Instance
from duckconf.inventory import Host
from duckconf.model import App
from duckconf.placement import Placement
from duckconf.reach.nodes.actuator import execute
from duckconf.reach.state.placements import FoundPlacements

PLEASE = "Please login as the user admin\n"


class Another:
    """A host that runs another program than the one that it is sent."""

    def __init__(self, done: Completed) -> None:
        self._done = done

    def run(self, command: Command) -> Completed:
        return self._done


@pytest.mark.parametrize(
    "done", [Completed(0, PLEASE, "", False), Completed(1, PLEASE, "", False), Completed(0, PLEASE, ""), Completed(0, "[{}]", "")]
)
def test_what_is_no_list_of_containers_is_unreadable(done: Completed) -> None:
    with pytest.raises(Unreadable):
        read_containers("n1", done)


def test_an_engine_that_says_that_it_is_down_is_not_unreadable() -> None:
    with pytest.raises(EngineUnavailable) as down:
        read_containers("n1", Completed(125, "", "Cannot connect to Podman"))
    assert not isinstance(down.value, Unreadable)


@pytest.mark.parametrize(
    "action", [Start("n1", "c", App("nginx", "a"), 1), Restart("n1", "c", "a"), Remove("n1", "c"), Kill("n1", "c")]
)
def test_the_word_of_another_program_is_not_taken_for_success(action: Any) -> None:
    with pytest.raises(Unreadable, match="Please login as the user admin"):
        execute(action, "demo", Another(Completed(0, PLEASE, "", False)))


def test_its_apps_stay_placed_however_long_it_lasts() -> None:
    reconciler = Reconciler("demo", FoundPlacements(), 20.0)
    reconciler.book.keep({"a": Placement("n1", "duckconf-a", 1)})
    desired = Desired({"a": Instance(App("nginx", "a"))})
    for now in range(0, 300, 10):
        verdict = reconciler.decide(desired, ("n1", "n2"), {"n2": (now, ())}, (), now, unreadable={"n1": float(now)})
        assert verdict.decision.plan.steps == ()
        assert reconciler.health.lost == frozenset()
    assert verdict.apps[0].state == "unreadable"
    assert "its answer cannot be read; the app counts as running" in verdict.apps[0].note


def test_one_that_falls_silent_afterwards_is_lost_as_any_other() -> None:
    reconciler = Reconciler("demo", FoundPlacements(), 20.0)
    reconciler.decide(Desired({}), ("n1", "n2"), {"n2": (0.0, ())}, (), 0.0, unreadable={"n1": 0.0})
    for now in (10.0, 20.0):
        reconciler.decide(Desired({}), ("n1", "n2"), {"n2": (now, ())}, (), now)
    assert reconciler.health.lost == {"n1"}


def test_a_heartbeat_without_readable_containers_keeps_those_that_were_reported(tmp_path: Path) -> None:
    now = [1000.0]
    book = NodeBook(NodesFile(tmp_path / "nodes.json"), ("n1",), 20.0, lambda: now[0])
    before = (Seen("a", "duckconf-a", "running"),)
    book.heartbeat("n1", Report("one", before))
    revision = book.revision
    book.heartbeat("n1", Report("one", unreadable="another program speaks"))
    assert (book.status("n1"), book.nodes["n1"].containers) == (UNREADABLE, before)
    assert book.revision > revision
    now[0] += 10
    assert book.status("n1") == SUSPECT
    book.heartbeat("n1", Report("one"))
    assert (book.status("n1"), book.nodes["n1"].containers) == (READY, ())


def test_the_node_controller_says_it_once_and_unschedules_nothing() -> None:
    def rows(reason: str) -> list[dict[str, Any]]:
        return [{"name": name, "age": 1.0, "full": False, "unreadable": reason if name == "a" else ""} for name in ("a", "b")]

    watch, kinds = Watch(), []
    for now, reason in ((0, ""), (10, "noise"), (20, "noise"), (60, "noise"), (70, "")):
        judged = look(watch, rows(reason), 20, 10, now)
        watch = judged.watch
        kinds += [event.kind for event in judged.events]
        assert judged.lost == ()
    assert kinds == ["node-unreadable", "node-back"]


@pytest.mark.parametrize("failure", [Unreadable("n1", "noise"), NotSupported("n1", "ansible_connection is local")])
def test_the_loop_tells_it_apart_from_silence(failure: NodeFailure) -> None:
    class World:
        def now(self) -> float:
            return 0.0

        def look(self, host: Host) -> Look:
            look: Look = Future()
            look.set_exception(failure)
            return look

        def rest(self, looks: Any, seconds: float) -> None:
            """Nobody is waited for."""

        def facts(self) -> dict[str, Any]:
            return {}

        def tell(self, _: Any) -> None:
            """Nobody listens."""

        def say(self, *_: str) -> None:
            """Nobody listens."""

    cycle = Cycle(cast(Any, World()), Reconciler("demo", FoundPlacements(), 20.0))
    sensed = cycle._sense([Host("n1", "192.0.2.1")])
    assert (sensed.heard, sensed.silent) == ({}, {})
    assert failure.reason in sensed.unreadable["n1"][1]
    assert sensed.views({}, ())["n1"].status == "unreadable"
