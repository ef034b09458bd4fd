"""A rebalance in a loop's passes: one move at a time, each ready before the next, wherever the loop is killed; when it waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from duckconf.actions import Remove, Start
from duckconf.backoff import Tries
from duckconf.balance_seen import Wish
from duckconf.codec import spec_hash
from duckconf.decision import Decision, Memory, decide
from duckconf.desired import Desired
from duckconf.engine_output import Container
from duckconf.healthcheck import UNHEALTHY
from duckconf.instance import instances_of
from duckconf.model import App
from duckconf.placement import Fleet, Placement
from duckconf.reach.state.rebalances import RebalanceBook
from duckconf.rebalancing import AUTO, MANUAL, Progress, Way, bound, progress_from_json, uneven
from duckconf.rollout import DONE, Revision, spec_only

NODES = ("n1", "n2", "n3")


@dataclass
class World:
    """Nodes that do what the passes ask for, and a loop that remembers what is on disk."""

    apps: list[App]
    running: set[Container] = field(default_factory=set)
    places: dict[str, Placement] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)
    tries: dict[str, Tries] = field(default_factory=dict)
    asked: int = 1
    mode: str = MANUAL
    silent: Collection[str] = ()
    lost: Collection[str] = ()
    cordoned: Collection[str] = ()
    draining: Collection[str] = ()
    broken: Collection[str] = ()
    """Nodes where a container ends at once."""
    told: list[str] = field(default_factory=list)
    floor: int = 99

    def place(self, *nodes: str) -> World:
        """The instances, in order of names, run on these nodes."""
        for number, (name, node) in enumerate(zip(sorted(instances_of(self.apps)), nodes), 1):
            instance = instances_of(self.apps)[name]
            place = Placement(node, f"duckconf-{name.replace('.', '_')}", number, spec=instance.spec)
            self.places[name] = place
            self._run(name, place)
        return self

    def _run(self, name: str, place: Placement, state: str = "running") -> None:
        instance = instances_of(self.apps)[name]
        where = (f"{place.node}/{place.container}", place.container, place.node, instance.app.name)
        copy = Container(*where, instance.spec, instance.app.image, state, 0.0, place.generation, slot=instance.slot)
        self.running.add(copy)

    def look(self, **more: Any) -> Decision:
        views = {node: tuple(one for one in self.running if one.node == node) for node in NODES}
        seen = {node: None if node in (*self.silent, *self.lost) else view for node, view in views.items()}
        shut = {*self.cordoned, *self.draining}
        fleet = Fleet(NODES, seen, self.lost, shut, self.draining)
        history = {app.name: (Revision(1, spec_only(app), DONE),) for app in self.apps}
        memory = Memory(self.places, self.tries, history=history, rebalance=Wish(self.asked, self.mode, self.progress))
        return decide("demo", Desired(instances_of(self.apps)), fleet, replace(memory, **more), 1000.0)

    def turn(self) -> Decision:
        decision = self.look()
        self.places = dict(decision.placements)
        if decision.turn is not None:
            self.progress = decision.turn.progress
            self.told += [f"{event.kind}: {event.message}" for event in decision.turn.events]
        return decision

    def act(self, decision: Decision) -> None:
        for step in decision.plan.steps:
            action = step.action
            self.running = {one for one in self.running if (one.node, one.name) != (action.node, action.container)}
            if isinstance(action, Start):
                state = "exited" if action.node in self.broken else "running"
                self._run(step.instance, Placement(action.node, action.container, action.generation), state)
                past = self.tries.get(step.instance, Tries(instances_of(self.apps)[step.instance].spec))
                self.tries[step.instance] = replace(past, strikes=past.strikes + 1)
            self.floor = min(self.floor, len({one.instance for one in self.running if one.running}))

    def go(self, passes: int = 30) -> World:
        for _ in range(passes):
            self.act(self.turn())
        return self

    def counts(self) -> list[int]:
        found = Counter(one.node for one in self.running if one.running)
        return [found[node] for node in NODES]


def single(name: str, **fields: Any) -> App:
    return App("web:1", name, **fields)


def crowded(count: int = 6, **fields: Any) -> World:
    return World([single(f"a{number}", **fields) for number in range(count)]).place(*["n1", "n2"] * count)


def test_one_instance_after_the_other_moves_and_each_runs_before_its_old_copy_ends() -> None:
    world = crowded()
    seen = []
    for _ in range(12):
        decision = world.turn()
        seen += [(type(step.action).__name__, step.instance, step.action.node) for step in decision.plan.steps]
        assert len(decision.plan.steps) <= 1
        world.act(decision)
    assert world.counts() == [2, 2, 2]
    assert world.floor == 6
    assert seen == [("Start", "a1", "n3"), ("Remove", "a1", "n2"), ("Start", "a0", "n3"), ("Remove", "a0", "n1")]
    assert world.told == [
        "rebalancing: a1 n2 → n3: n2 runs 3, n3 runs 0",
        "rebalanced: a1 n2 → n3: it is ready",
        "rebalancing: a0 n1 → n3: n1 runs 3, n3 runs 1",
        "rebalanced: a0 n1 → n3: it is ready",
        "balanced: 2 instances moved: the nodes are level (n1 runs 2, n2 runs 2, n3 runs 2)",
    ]
    assert world.progress == Progress(done=1, result=world.told[-1].removeprefix("balanced: "))


def test_an_app_that_stops_first_ends_where_it_is_before_it_starts_elsewhere() -> None:
    world = World([single(name, ports=("80:80",) if name == "b" else ()) for name in ("a", "b")]).place("n1", "n1")
    world.cordoned = ("n3",)
    world.apps[0] = replace(world.apps[0], volumes=("data:/d",))
    for one in list(world.running):
        if one.app == "a":
            world.running.discard(one)
            world.running.add(replace(one, spec=spec_hash(world.apps[0])))
    world.places["a"] = replace(world.places["a"], spec=spec_hash(world.apps[0]))
    first = world.turn()
    assert [step.action for step in first.plan.steps] == [Remove("n1", "duckconf-b")]
    assert "its old container ends first" in first.plan.steps[0].reason
    world.act(first)
    second = world.turn()
    assert [(type(step.action), step.action.node) for step in second.plan.steps] == [(Start, "n2")]
    world.act(second)
    assert world.go().counts() == [1, 1, 0]
    assert world.told[-1] == "balanced: 1 instance moved: the nodes are level (n1 runs 1, n2 runs 1)"


def test_as_many_of_one_app_move_at_once_as_its_updates_replace() -> None:
    world = World([single("web", replicas=9, update_config={"parallelism": "2"})]).place(*["n1"] * 9)
    assert [step.instance for step in world.turn().plan.steps] == ["web", "web.2"]
    assert crowded(9).turn().plan.steps[1:] == ()


@pytest.mark.parametrize("killed_after", ["decision", "start"])
def test_a_loop_that_is_killed_goes_on_with_what_is_under_way(killed_after: str, tmp_path: Path) -> None:
    world = crowded()
    decision = world.turn()
    if killed_after == "start":
        world.act(decision)
    book = RebalanceBook(tmp_path)
    book.keep(world.progress)
    world.progress = RebalanceBook(tmp_path).progress
    assert world.progress.moving == {"a1": Way("n2", "n3")}
    assert (world.go().counts(), world.floor) == ([2, 2, 2], 6)
    assert world.progress == Progress(done=1, result=world.told[-1].removeprefix("balanced: "))
    assert [line for line in world.told if line.startswith("rebalanced: a1")] == ["rebalanced: a1 n2 → n3: it is ready"]


def test_an_instance_that_does_not_come_up_elsewhere_stays_where_it_runs_and_the_others_still_move() -> None:
    world = crowded()
    world.broken = ("n3",)
    world.go(8)
    assert world.counts() == [3, 3, 0]
    failed = [line for line in world.told if line.startswith("rebalance-failed")]
    assert failed[0] == "rebalance-failed: a1 did not come up on n3 and returns to n2"
    world.broken = ()
    world.go()
    assert world.counts() == [2, 2, 2] or world.told[-1].startswith("balanced")
    assert world.progress.left == ()
    assert world.floor == 6


def test_one_that_is_ill_elsewhere_returns_to_the_copy_that_serves() -> None:
    world = crowded()
    world.act(world.turn())
    ill = next(one for one in world.running if one.node == "n3")
    world.running.remove(ill)
    world.running.add(replace(ill, health=UNHEALTHY))
    world.act(world.turn())
    assert world.places["a1"].node == "n2"
    world.act(world.turn())
    assert {one.node for one in world.running if one.app == "a1"} == {"n2"}


def test_one_that_stopped_first_and_does_not_come_up_elsewhere_starts_again_where_it_was() -> None:
    world = World([single(name, ports=(f"{port}:80",)) for name, port in (("a", 80), ("b", 81))]).place("n1", "n1")
    world.cordoned, world.broken = ("n3",), ("n2",)
    world.go(12)
    assert (world.counts(), {place.node for place in world.places.values()}) == ([2, 0, 0], {"n1"})
    assert "rebalance-failed: a did not come up on n2 and returns to n1" in world.told
    assert world.told[-1].startswith("balanced: nothing moved")


def test_one_that_is_not_ready_in_time_returns_too() -> None:
    world = crowded()
    world.act(world.turn())
    slow = next(one for one in world.running if one.node == "n3")
    world.running.remove(slow)
    world.running.add(replace(slow, health="starting"))
    assert world.turn().plan.steps == ()
    world.tries["a1"] = replace(world.tries["a1"], waits=0.0, awaited=world.tries["a1"].spec)
    world.act(world.turn())
    assert (world.places["a1"].node, world.told[-1]) == (
        "n2",
        "rebalance-failed: a1 did not come up on n3 and returns to n2",
    )


def waiting(world: World, **more: Any) -> str:
    decision = world.look(**more)
    assert decision.turn is not None
    assert decision.turn.moves == ()
    return decision.turn.progress.waits


def test_it_waits_for_what_is_going_on_and_says_for_what() -> None:
    world = crowded()
    assert waiting(world, certain=False) == "not all nodes have answered yet"
    assert waiting(world, busy={"a3"}) == "an action on a3 is under way"
    twice = replace(min(world.running, key=lambda one: one.name), node="n3", name="old")
    assert waiting(replace(world, running={*world.running, twice})) == "a0 has another container on n3"
    new = replace(world.apps[0], image="web:2")
    updating = {"a0": (Revision(1, spec_only(world.apps[0]), DONE), Revision(2, spec_only(new)))}
    changed = replace(world, apps=[new, *world.apps[1:]])
    assert waiting(changed, history=updating) == "a0 is being updated"
    paused = replace(world, apps=[replace(new, paused=True), *world.apps[1:]])
    assert paused.look(history=updating).turn is not None
    starting = {name: replace(copy, health="starting") for name, copy in {one.app: one for one in world.running}.items()}
    assert waiting(replace(world, running=set(starting.values()))) == "a0 is not ready yet"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"silent": ("n2",)}, "n2 does not answer"),
        ({"lost": ("n2",)}, "n2 does not answer"),
        ({"draining": ("n2",)}, "n2 is being drained"),
    ],
)
def test_by_itself_it_does_nothing_while_a_node_is_away_or_drained(more: Mapping[str, Any], why: str) -> None:
    world = crowded()
    world.asked, world.mode, world.progress = 0, AUTO, Progress(owed="n3 can take instances", known=NODES)
    assert why in waiting(replace(world, **more))


def test_by_itself_it_begins_when_a_node_returns_and_moves_one_at_a_time() -> None:
    app = single("web", replicas=9, update_config={"parallelism": "3"})
    world = World([app], asked=0, mode=AUTO).place(*["n1"] * 5, *["n2"] * 4)
    world.lost = ("n3",)
    assert world.go(3).counts() == [5, 4, 0]
    world.lost = ()
    assert [step.instance for step in world.turn().plan.steps] == ["web"]
    assert world.go(40).counts() == [3, 3, 3]
    assert world.told[-1].startswith("balanced: 3 instances moved")
    assert world.floor == 9


def test_a_node_that_is_silent_for_a_moment_has_not_returned() -> None:
    world = World([single(f"a{number}") for number in range(4)], asked=0, mode=AUTO).place("n1", "n1", "n1", "n2")
    world.go(2)
    for silent in (("n3",), ()):
        world.silent = silent
        world.go(2)
    assert (world.counts(), world.told) == ([3, 1, 0], [])


def test_without_a_request_nothing_is_looked_at_and_a_preview_moves_nothing() -> None:
    world = crowded()
    world.asked = 0
    assert world.look().sight is None
    seen = world.look(rebalance=Wish(preview=True))
    assert seen.plan.steps == ()
    assert seen.sight is not None
    planned = list(seen.sight.moves())
    assert [(move.name, move.target) for move in planned] == [("a1", "n3"), ("a0", "n3")]
    assert uneven(seen.sight) == [{"node": "n3", "instances": 0, "of": 6}]


def test_what_cannot_move_is_told_with_its_reason() -> None:
    world = crowded(volumes=("data:/d",))
    world.go(2)
    assert world.told == [
        "balanced: nothing moved: the nodes differ by 3, and nothing else can move (n1 runs 3, n2 runs 3, n3 runs 0)"
    ]
    seen = world.look(rebalance=Wish(preview=True)).sight
    assert seen is not None
    assert bound(seen) == dict.fromkeys((f"a{number}" for number in range(6)), "its data is on the node")


def test_both_files_are_read_again_and_what_cannot_be_read_begins_anew(tmp_path: Path) -> None:
    book = RebalanceBook(tmp_path)
    assert (book.asked(), book.ask(), book.ask(), book.asked()) == (0, 1, 2, 2)
    moving, waits = {"web.2": Way("n1", "n3", 1)}, "web is being updated"
    progress = Progress(2, "n3 can take instances", moving, ("api",), NODES, waits, 3, "nothing moved")
    book.keep(progress)
    assert RebalanceBook(tmp_path).progress == progress == progress_from_json(progress.to_json())
    assert progress_from_json({key: value for key, value in progress.to_json().items() if key != "result"}).result == ""
    (tmp_path / "rebalance.json").unlink()
    assert RebalanceBook(tmp_path).ask() == 3
    (tmp_path / "rebalanced.json").write_text("[")
    assert RebalanceBook(tmp_path).progress == Progress()
