"""An app with data is bound to the node that has it: nothing but a person's word starts it empty elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckconf.actions import Remove, Start
from duckconf.decision import Decision, Memory, decide
from duckconf.desired import UNKNOWN, Desired
from duckconf.errors import BadInput, Conflict, SetupError
from duckconf.instance import instances_of
from duckconf.local_data import Held, Move, check_move, is_moving, sources_of, with_data
from duckconf.model import App
from duckconf.placement import Fleet, Placement
from duckconf.reach.state.data import DataBook, MoveFile, read_held
from duckconf.sites import Sites
from tests.unit.test_plan import applied

NODES = ("n1", "n2", "n3")
DB = App("postgres", "db", volumes=("db:/var/lib/data",))
COMMAND = "to start it elsewhere without the data: ./inv move db --accept-data-loss"


class World:
    """Nodes that do at once what is decided, and what is remembered of it."""

    def __init__(self, *apps: App) -> None:
        self.apps = apps
        self.fleet = Fleet(NODES, dict.fromkeys(NODES, ()), sites=Sites(NODES, groups={"web": NODES[1:]}))
        self.places: Any = {}
        self.data: Any = {}
        self.moves: dict[str, Move] = {}

    def look(self) -> Decision:
        memory = Memory(self.places, {}, data=self.data, moves=self.moves)
        decision = decide("demo", Desired(instances_of(self.apps)), self.fleet, memory, 0.0)
        self.places, self.data = decision.placements, decision.data
        return decision

    def settle(self) -> Decision:
        for _ in range(9):
            decision = self.look()
            if not decision.plan.steps:
                return decision
            self.fleet = applied(decision.plan, self.fleet)
        raise AssertionError("it does not come to rest")

    def silence(self, node: str, *, lost: bool = True) -> None:
        self.fleet = replace(self.fleet, views={**self.fleet.views, node: None}, lost=(node,) if lost else ())

    def running(self, app: str = "db") -> list[str]:
        return [node for node, view in self.fleet.views.items() for copy in view or () if copy.app == app and copy.running]


@pytest.fixture
def world() -> World:
    """An app whose data is on n1, as the first node in turn has it."""
    found = World(DB)
    found.settle()
    found.fleet = replace(found.fleet)
    assert len(found.running()) == 1
    return found


def home(world: World) -> str:
    return str(world.data["db"].node)


@pytest.mark.parametrize(
    ("volumes", "sources"),
    [
        (("db:/data",), ("db",)),
        (("db:/data:ro",), ("db",)),
        (("/srv/db:/data",), ("/srv/db",)),
        (("/srv/db:/data:z",), ("/srv/db",)),
        (("/etc/ssl:/etc/ssl:ro",), ()),
        (("/etc/ssl:/etc/ssl:ro,z", "db:/data"), ("db",)),
        ((), ()),
    ],
)
def test_a_named_volume_and_a_path_that_may_be_written_are_data(volumes: tuple[str, ...], sources: tuple[str, ...]) -> None:
    assert sources_of(App("x", "db", volumes=volumes, tmpfs=("/run",))) == sources


def test_what_ran_is_remembered_and_what_only_was_placed_is_not(world: World) -> None:
    assert world.data == {"db": Held(world.running()[0], ("db",))}
    fresh = World(DB)
    assert fresh.look().data == {}


@pytest.mark.parametrize("lost", [True, False])
def test_on_a_node_that_is_lost_or_silent_it_waits_and_nothing_is_started_elsewhere(world: World, lost: bool) -> None:
    node = home(world)
    world.silence(node, lost=lost)
    decision = world.look()
    assert decision.plan.steps == ()
    words = f"waits for {node}, which has its data (volume db): lost; {COMMAND}"
    assert decision.plan.notes == {"db": words if lost else f"{node} is unreachable; counts as running for now"}


def test_a_node_that_was_never_seen_with_it_and_is_silent_counts_as_having_its_data() -> None:
    world = World(DB)
    world.places = {"db": Placement("n2", "duckconf-db", 1)}
    world.silence("n2")
    assert world.look().plan.steps == ()
    assert home(world) == "n2"


def test_what_was_only_believed_of_a_silent_node_ends_when_it_answers_and_nothing_ran_there() -> None:
    world = World(DB)
    world.places = {"db": Placement("n2", "duckconf-db", 1)}
    world.silence("n2")
    world.look()
    assert world.data == {"db": Held("n2", ("db",), seen=False)}
    world.apps = ()
    world.look()
    assert world.data == {"db": Held("n2", ("db",), seen=False)}
    world.apps = (DB,)
    world.fleet = replace(world.fleet, views=dict.fromkeys(NODES, ()), lost=(), cordoned=("n2",))
    (step,) = world.look().plan.steps
    assert (step.action.node != "n2", world.data) == (True, {})


@pytest.mark.parametrize("desired", [Desired({}), Desired({}, frozenset({"db"}), complete=False)])
def test_what_was_only_believed_is_seen_also_while_its_app_is_stopped_or_its_row_cannot_be_read(desired: Desired) -> None:
    world = World(DB)
    world.settle()
    (node,) = world.running()
    believed = {"db": Held(node, ("db",), seen=False)}
    assert with_data(desired, world.fleet, {}, believed, {})[1] == {"db": Held(node, ("db",), seen=True)}
    elsewhere = {"db": Held(next(other for other in NODES if other != node), ("db",), seen=False)}
    assert with_data(desired, world.fleet, {}, elsewhere, {})[1] == elsewhere


def test_data_that_was_seen_counts_more_than_what_was_only_believed_of_another_node(world: World) -> None:
    node = home(world)
    believed = next(name for name in NODES if name != node)
    world.places, world.data = {"db": Placement(believed, "duckconf-db", 9)}, {"db": Held(believed, ("db",), seen=False)}
    assert world.settle().plan.steps == ()
    assert (world.running(), world.data) == ([node], {"db": Held(node, ("db",))})


def test_when_its_node_has_left_the_inventory_it_waits_and_says_so(world: World) -> None:
    node = home(world)
    rest = tuple(name for name in NODES if name != node)
    world.fleet = Fleet(rest, dict.fromkeys(rest, ()))
    words = f"waits for {node}, which has its data (volume db): not in the inventory; {COMMAND}"
    assert world.look().plan.notes == {"db": words}
    assert world.running() == []


def test_on_a_node_that_is_emptied_or_not_meant_any_more_it_goes_on(world: World) -> None:
    node = home(world)
    world.fleet = replace(world.fleet, cordoned=(node,), draining=(node,))
    assert world.settle().plan.steps == ()
    assert world.running() == [node]
    world.apps = (replace(DB, on="nobody"),)
    assert world.settle().plan.steps == ()


def test_started_again_it_goes_back_to_its_data_and_waits_while_its_node_is_cordoned(world: World) -> None:
    node, world.apps = home(world), ()
    world.settle()
    assert (world.running(), home(world)) == ([], node)
    world.apps = (DB,)
    world.fleet = replace(world.fleet, cordoned=(node,))
    decision = world.settle()
    assert decision.plan.notes == {"db": f"waits for {node}, which has its data (volume db): cordoned; {COMMAND}"}
    world.fleet = replace(world.fleet, cordoned=())
    world.settle()
    assert world.running() == [node]


def test_where_its_pattern_does_not_mean_its_node_any_more_it_stays_and_says_so(world: World) -> None:
    node = world.settle().placements["db"].node
    world.apps = (replace(DB, on=f"nodes:!{node}"),)
    decision = world.settle()
    assert (decision.placements["db"].node, decision.plan.steps) == (node, ())
    assert decision.plan.notes["db"] == (
        f"{node} is not in nodes:!{node}, and has its data (volume db), so that it stays there; {COMMAND}"
    )


def test_data_of_another_volume_under_the_same_name_binds_nothing(world: World) -> None:
    node, world.apps = home(world), ()
    world.settle()
    world.apps = (replace(DB, volumes=("other:/data",)),)
    world.fleet = replace(world.fleet, cordoned=(node,))
    world.settle()
    assert world.running() != [node]


def test_what_is_remembered_of_a_withdrawn_app_ends_with_its_node_and_an_unreadable_state_forgets_nothing(world: World) -> None:
    node, world.apps = home(world), ()
    world.settle()
    rest = tuple(name for name in NODES if name != node)
    gone = Fleet(rest, dict.fromkeys(rest, ()))
    assert with_data(UNKNOWN, gone, {}, world.data, {})[1] == world.data
    assert with_data(Desired(), world.fleet, {}, world.data, {})[1] == world.data
    assert with_data(Desired(), gone, {}, world.data, {})[1] == {}


@pytest.mark.parametrize("target", ["", "n3", "n2"])
@pytest.mark.parametrize("lost", [True, False])
def test_a_person_who_accepts_the_loss_moves_it_once(world: World, target: str, lost: bool) -> None:
    node = home(world)
    target = "" if target == node else target
    world.moves = {"db": Move(node, target)}
    assert is_moving(world.data["db"], world.moves["db"])
    if lost:
        world.silence(node)
    decision = world.settle()
    (now,) = world.running()
    assert now != node
    assert target in ("", now)
    assert world.data["db"].node == now
    assert not is_moving(world.data["db"], world.moves["db"])
    # The request is carried out: its data is there now, and it stays with it.
    world.fleet = replace(world.fleet, cordoned=(now,), draining=(now,))
    assert world.settle().plan.steps == decision.plan.steps == ()


def test_the_old_container_goes_only_when_the_new_one_is_ready_and_a_target_that_is_cordoned_moves_nothing(world: World) -> None:
    node = home(world)
    other = next(name for name in NODES if name != node)
    world.moves, world.fleet = {"db": Move(node, other)}, replace(world.fleet, cordoned=(other,))
    assert world.look().plan.notes == {"db": f"cannot leave {node}: {other} does not fit: cordoned"}
    world.fleet = replace(world.fleet, cordoned=())
    assert [type(step.action) for step in world.look().plan.steps] == [Start]
    world.fleet = applied(world.look().plan, world.fleet)
    assert [(type(step.action), step.action.node) for step in world.look().plan.steps] == [(Remove, node)]


def test_a_move_that_is_taken_back_leaves_the_instance_with_its_data(world: World) -> None:
    node = home(world)
    other = next(name for name in NODES if name != node)
    world.moves = {"db": Move(node, other)}
    world.fleet = applied(world.look().plan, world.fleet)
    assert set(world.running()) == {node, other}
    # The new one runs, and nobody has seen it yet.
    world.moves = {}
    world.settle()
    assert (world.running(), home(world)) == ([node], node)


def test_a_copy_that_an_earlier_move_left_does_not_carry_out_the_next_one(world: World) -> None:
    first = home(world)
    second, third = (name for name in NODES if name != first)
    world.moves = {"db": Move(first, second)}
    world.fleet = applied(world.look().plan, world.fleet)
    world.look()
    assert home(world) == second
    # The copy on the first node is still there.
    world.moves = {"db": Move(second, third, 2)}
    world.look()
    assert home(world) == second
    world.settle()
    assert (world.running(), home(world)) == ([third], third)


def test_what_may_leave_its_data_for_one_node_is_not_started_on_a_third(world: World) -> None:
    first = home(world)
    second, third = (name for name in NODES if name != first)
    # Placed there while what it has could not be read.
    world.places = {"db": Placement(third, "duckconf-demo-db", 5)}
    world.moves = {"db": Move(first, second)}
    world.silence(first, lost=False)
    assert [step.action.node for step in world.look().plan.steps] == [second]


def test_an_instance_of_mode_global_has_the_data_of_its_own_node() -> None:
    everywhere = replace(DB, mode="global")
    decision = decide("demo", Desired(everywhere={"db": everywhere}), World().fleet, Memory({}, {}, data={}), 0.0)
    assert len(decision.plan.steps) == len(NODES)
    assert decision.data == {}


@given(
    st.lists(st.sampled_from(NODES), max_size=3),
    st.dictionaries(st.sampled_from(["db", "db.2", "db.3"]), st.sampled_from(NODES)),
    st.randoms(),
)
def test_the_order_of_what_is_known_does_not_matter_and_no_instance_starts_beside_its_data(
    cordoned: list[str], where: dict[str, str], dice: Any
) -> None:
    held = {name: Held(node, ("db",)) for name, node in where.items()}
    desired = Desired(instances_of([replace(DB, replicas=3)]))
    fleet = Fleet(NODES, dict.fromkeys(NODES, ()), (), cordoned)
    decision = decide("demo", desired, fleet, Memory({}, {}, data=held), 0.0)
    items = list(held.items())
    dice.shuffle(items)
    assert decide("demo", desired, fleet, Memory({}, {}, data=dict(items)), 0.0) == decision
    for step in decision.plan.steps:
        assert where.get(step.instance, step.action.node) == step.action.node
    assert {name for name, node in where.items() if node in cordoned} <= decision.plan.notes.keys()


def test_what_is_remembered_survives_on_disk_and_a_damaged_file_stops_the_loop(tmp_path: Path) -> None:
    path, file = tmp_path / "data.json", MoveFile(tmp_path / "moves.json")
    book = DataBook.at(path, file.moves)
    held = {"db": Held("n2", ("db",), seen=False), "db.2": Held("n1", ("db", "/srv"), 3)}
    book.keep(held)
    assert DataBook.at(path, file.moves).held == read_held(path) == held
    file.ask("db.2", "n1", "", 3)
    file.ask("db.2", "n1", "n2", 3)
    assert book.moves() == {"db.2": Move("n1", "n2", 5)}
    file.ask("db", "n2", "", 0)
    file.take_back("db.2")
    assert book.moves() == {"db": Move("n2", "", 1)}
    path.write_text("{")
    with pytest.raises(SetupError, match="cannot be read"):
        DataBook.at(path, file.moves)
    assert read_held(path) == {}


def test_the_command_names_the_loss_and_moves_nothing_until_it_is_accepted() -> None:
    held = Held("n1", ("db", "/srv/db"))
    with pytest.raises(Conflict, match=r"db has its data \(volume db, path /srv/db\) on n1") as told:
        check_move("db", held, "n2", NODES, accepted=False)
    assert "./inv move db --to n2 --accept-data-loss" in told.value.remedy
    with pytest.raises(BadInput, match="to: should be a node: n1, n2, n3; got n9"):
        check_move("db", held, "n9", NODES, accepted=True)
    with pytest.raises(Conflict, match="db has its data on n1 already"):
        check_move("db", held, "n1", NODES, accepted=True)
    with pytest.raises(Conflict, match="db cannot leave n1: it is the only node"):
        check_move("db", held, "", ("n1",), accepted=True)
    check_move("db", held, "", NODES, accepted=True)


def test_an_app_that_is_declared_with_no_instance_keeps_its_data_when_its_node_has_left(world: World) -> None:
    rest = tuple(name for name in NODES if name != home(world))
    none = Desired(empty=frozenset({"db"}))
    assert with_data(none, Fleet(rest, dict.fromkeys(rest, ())), {}, world.data, {})[1] == world.data
