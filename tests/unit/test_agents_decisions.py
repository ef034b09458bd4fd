"""What scheduler and node-controller decide, and what an agent is told: pure, with the clock as an argument."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.stores.kept_nodes import NodesFile
from api.stores.nodes import READY, SUSPECT, UNREACHABLE, NodeBook, Report, Seen
from api.stores.placed import PlacedIndex
from controllers.node_controller import Watch, look, turned_away
from controllers.scheduler import schedule
from duckconf.codec import spec_hash
from duckconf.desired import PLACED_COLUMNS, Document, changed, empty_document, read_document, readable
from duckconf.errors import Conflict, SetupError
from duckconf.instance import Instance, instances_of
from duckconf.model import App
from duckconf.placement import Load, spread
from duckconf.spreading import Room, spread_many
from tests.unit.test_plan import fleet


def node(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "status": "ready", "age": 0.0, "apps": 0, "cordoned": False, "full": False, "ports": [], **more}


def test_apps_are_spread_over_ready_nodes_and_each_misfit_is_counted() -> None:
    nodes = [node("n1", apps=1), node("n2"), node("n3", cordoned=True), node("n4", status="suspect")]
    plan = schedule([Instance(App("x", f"a{number}")) for number in range(3)], nodes, 0)
    assert sorted(binding["node"] for binding in plan.bindings) == ["n1", "n2", "n2"]
    full = node("n5", full=True)
    none = schedule([Instance(App("x", "a", ports=("80:80",)))], [node("n2", ports=["80/tcp"]), *nodes[2:], full], 0)
    why = "1 cordoned, 1 suspect, 1 with no space left on its disk, 1 with port 80/tcp taken"
    assert none.reasons == {"a": f"no node fits: {why}"}


def test_a_node_that_refuses_an_app_is_passed_over_for_it_and_only_while_its_spec_is_the_same() -> None:
    web = App("x", "web")
    refusal = {"app": "web", "spec": spec_hash(web), "kind": "port", "reason": "port 80 is in use", "wait": 3.0}
    nodes = [node("n1", refusals=[refusal]), node("n2", cordoned=True)]
    assert schedule([Instance(web)], nodes, 0).reasons == {"web": "no node fits: 1 cordoned; n1: port 80 is in use"}
    assert [
        binding["node"] for binding in schedule([Instance(App("x", "other")), Instance(App("y", "web"))], nodes, 0).bindings
    ] == ["n1", "n1"]


def test_the_scheduler_knows_how_large_a_node_is_and_of_which_architecture() -> None:
    web = App("x", "web", cpus=8)
    nodes = [node("n1", cores=4), node("n2")]
    assert [binding["node"] for binding in schedule([Instance(web)], nodes, 0).bindings] == ["n2"]
    assert schedule([Instance(web)], nodes[:1], 0).reasons == {"web": "no node fits: 1 with fewer than 8 cores"}
    refusal = {"app": "web", "spec": spec_hash(web), "kind": "architecture", "reason": "other", "wait": 3.0}
    arms = [node("n1", architecture="arm64", refusals=[refusal]), node("n2", architecture="arm64"), node("n3")]
    assert [binding["node"] for binding in schedule([Instance(web)], arms, 0).bindings] == ["n3"]


def test_a_full_node_keeps_what_was_started_there_and_the_rest_is_rescheduled() -> None:
    apps = [
        app("a", {"node": "n1", "started": 5.0}),
        app("b", {"node": "n2"}, {"node": "n1"}),
        app("c", {"node": "n2"}),
        app("d", {"node": ""}),
    ]
    assert [(entry["name"], entry["slot"]) for entry in turned_away(apps, {"n1", "n3"})] == [("b", 2)]
    assert turned_away(apps, set()) == []
    refused = app("e", {"node": "n1", "refused": "port 80 is in use"})
    assert [entry["name"] for entry in turned_away([*apps, refused], set())] == ["e"]


def app(name: str, *instances: dict[str, Any]) -> dict[str, Any]:
    slots = [{"slot": slot, **entry} for slot, entry in enumerate(instances, 1)]
    return {"name": name, "revision": "r", "instances": slots}


@given(
    st.lists(
        st.sampled_from([(), ("80:80",), ("81:80",), ("127.0.0.1:80:80",), ("10.0.0.1:80:80",), ("80:80/udp",)]), max_size=12
    ),
    st.integers(0, 7),
    st.integers(1, 7),
)
def test_many_at_once_go_where_one_after_the_other_would(ports: list[tuple[str, ...]], turn: int, replicas: int) -> None:
    apps = [App("x", f"a{number:02}", ports=wanted, replicas=replicas) for number, wanted in enumerate(ports)]
    instances = instances_of(apps)
    placed, reasons = spread_many(list(instances.values()), [Room(name, 0) for name in ("n1", "n2", "n3")], {}, turn)
    load = Load()
    for name, instance in instances.items():
        where, why = spread(instance, fleet(), load, turn)
        assert (placed.get(name, ""), reasons.get(name, "")) == (where, why)
        if where:
            load.add(where, instance.app)


def ages(**by_name: float) -> list[dict[str, Any]]:
    return [node(name, age=age) for name, age in by_name.items()]


def test_a_node_is_suspect_at_half_and_lost_at_the_whole_timeout() -> None:
    first = look(Watch(), ages(a=0, b=0, c=0), 20, 10, 100)
    assert (first.lost, first.events) == ((), ())
    suspect = look(first.watch, ages(a=10, b=1, c=1), 20, 10, 110)
    assert [event.kind for event in suspect.events] == ["node-suspect"]
    assert 9 < suspect.due < 10.1
    lost = look(suspect.watch, ages(a=20, b=1, c=1), 20, 10, 120)
    assert (lost.lost, [event.kind for event in lost.events]) == (("a",), ["node-lost"])
    back = look(lost.watch, ages(a=0, b=1, c=1), 20, 10, 121)
    assert (back.lost, [event.kind for event in back.events]) == ((), ["node-back"])


def test_a_common_silence_unschedules_nothing_and_each_gets_its_full_time_after() -> None:
    watch = look(Watch(), ages(a=0, b=0, c=0), 20, 10, 100).watch
    together = look(watch, ages(a=60, b=60, c=60), 20, 10, 160)
    assert (together.lost, together.events[-1].kind) == ((), "brake")
    one_back = look(together.watch, ages(a=0, b=61, c=61), 20, 10, 161)
    assert one_back.lost == ()
    assert look(one_back.watch, ages(a=1, b=71, c=71), 20, 10, 171).lost == ()
    assert look(one_back.watch, ages(a=1, b=82, c=82), 20, 10, 182).lost == ("b", "c")


def test_a_controller_that_just_started_gives_everyone_a_full_timeout() -> None:
    started = look(Watch(), ages(a=300, b=0, c=0), 20, 10, 1000)
    assert started.lost == ()
    assert look(started.watch, ages(a=320, b=0, c=0), 20, 10, 1020).lost == ("a",)


def test_a_node_without_space_is_told_of_once() -> None:
    rows = [node("a", full=True), node("b"), node("c", full=True, age=15.0)]
    first = look(Watch(), rows, 20, 10, 100)
    assert (set(first.watch.full), [event.kind for event in first.events if event.node == "a"]) == ({"a"}, ["node-full"])
    assert look(first.watch, rows, 20, 10, 101).events == ()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(tmp_path: Path, clock: Clock) -> NodeBook:
    return NodeBook(NodesFile(tmp_path / "nodes.json"), ("n1", "n2"), 20.0, clock)


def seen(app: str, state: str = "running", generation: int = 1) -> Seen:
    return Seen(app, f"duckconf-{app}", state, generation=generation)


def test_a_node_is_ready_when_it_was_heard_and_not_before(book: NodeBook, clock: Clock) -> None:
    assert book.status("n1") == SUSPECT
    book.heartbeat("n1", Report("one"))
    assert book.status("n1") == READY
    clock.now += 10
    assert book.status("n1") == SUSPECT
    clock.now += 10
    assert (book.status("n1"), book.status("n2")) == (UNREACHABLE, UNREACHABLE)


def test_a_second_agent_of_the_same_name_is_refused_while_the_first_lives(book: NodeBook, clock: Clock) -> None:
    book.heartbeat("n1", Report("one"))
    with pytest.raises(Conflict, match="another agent with the name n1 is running"):
        book.heartbeat("n1", Report("two"))
    clock.now += 20
    book.heartbeat("n1", Report("two"))


def test_a_restart_gives_a_full_timeout_keeps_cordons_and_never_repeats_a_revision(
    book: NodeBook, clock: Clock, tmp_path: Path
) -> None:
    assert book.cordon("n1", cordoned=True)
    assert not book.cordon("n1", cordoned=True)
    clock.now += 500
    again = NodeBook(NodesFile(tmp_path / "nodes.json"), ("n1", "n2"), 20.0, clock)
    assert (again.age("n1"), again.nodes["n1"].cordoned, again.nodes["n2"].cordoned) == (0, True, False)
    assert again.revision > book.revision
    (tmp_path / "nodes.json").write_text("{")
    with pytest.raises(SetupError, match="cannot be read"):
        NodeBook(NodesFile(tmp_path / "nodes.json"), ("n1",), 20.0, clock)


@pytest.fixture
def index(book: NodeBook) -> PlacedIndex:
    return PlacedIndex(book)


def state(**apps: str) -> Document:
    return changed(
        empty_document(PLACED_COLUMNS), {name: App("x", name, node=(where,), generation=(1,)) for name, where in apps.items()}
    )


def see(index: PlacedIndex, document: Document, **before: str) -> None:
    gone: dict[str, App | None] = dict.fromkeys(before)
    index.see(gone | document.apps(), readable(document))


def report(index: PlacedIndex, book: NodeBook, name: str, *containers: Seen) -> None:
    _, before = book.heartbeat(name, Report(name, containers))
    index.report(name, before, containers)


def test_each_node_is_told_its_own_and_only_it_is_woken(index: PlacedIndex) -> None:
    see(index, state(a="n1", b="n2", c=""))
    first = {name: index.share(name) for name in ("n1", "n2", "")}
    assert {name: [item.name for item in share.instances] for name, share in first.items()} == {
        "n1": ["a"],
        "n2": ["b"],
        "": ["c"],
    }
    see(index, state(c="n1"))
    assert index.share("n1").revision > first["n1"].revision
    assert index.share("").revision > first[""].revision
    assert index.share("n2").revision == first["n2"].revision


def test_a_stale_copy_stays_until_the_new_one_is_seen_running(index: PlacedIndex, book: NodeBook) -> None:
    see(index, state(a="n2"))
    report(index, book, "n1", seen("a"))
    before = index.share("n1")
    assert before.kept == ("a",)
    report(index, book, "n2", seen("a", "created", 2))
    assert index.share("n1").kept == ("a",)
    report(index, book, "n2", replace(seen("a", "running", 2), health="starting"))
    assert index.share("n1").kept == ("a",)
    report(index, book, "n2", replace(seen("a", "running", 2), health="healthy"))
    after = index.share("n1")
    assert (after.kept, after.revision > before.revision) == ((), True)


def test_a_copy_of_an_app_that_is_withdrawn_goes_and_of_one_not_placed_stays(index: PlacedIndex, book: NodeBook) -> None:
    see(index, state(a=""))
    report(index, book, "n1", seen("a"), seen("gone"))
    assert index.share("n1").kept == ("a",)


def test_nothing_goes_because_a_row_cannot_be_read(index: PlacedIndex, book: NodeBook) -> None:
    see(index, state(a="n1"))
    report(index, book, "n1", seen("a"), seen("b"))
    bad = read_document("name,image,node,generation\na,NOT AN IMAGE,n1,1\n", layout=PLACED_COLUMNS)
    index.see({"a": None}, readable(bad))
    assert index.share("n1").kept == ("a",)
    worse = read_document("name,image,node,generation\n???,x,n1,1\n", layout=PLACED_COLUMNS)
    index.see({}, readable(worse))
    assert index.share("n1").kept == ("a", "b")
