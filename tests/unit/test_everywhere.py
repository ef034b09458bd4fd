"""Mode global in agents mode: what the scheduler decides, by what the api-server tells."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controllers.everywhere import schedule_bound, schedule_everywhere
from duckconf.cli.cluster.agents_up import homes, newest
from duckconf.codec import spec_hash
from duckconf.desired import changed, empty_document
from duckconf.instance import Instance, meant_to_run, placed, slots_of
from duckconf.model import App
from duckconf.sites import Sites
from tests.unit.test_agents_decisions import node
from tests.unit.test_plan import container

NODES = ("n1", "n2", "n3")
SITES = Sites(NODES, groups={"web": ("n1", "n2")})


def told(name: str = "exporter", slots: dict[int, str] | None = None, **fields: Any) -> dict[str, Any]:
    places = {str(slot): where for slot, where in (slots or {}).items()}
    return {"name": name, "image": "nginx", "mode": "global", "revision": "r", "slots": places, **fields}


def decided(entry: dict[str, Any], *nodes: dict[str, Any]) -> tuple[dict[int, str], dict[str, str]]:
    plan = schedule_everywhere([entry], nodes or [node(name) for name in NODES], SITES)
    assert all((binding["name"], binding["revision"]) == ("exporter", "r") for binding in plan.bindings)
    return {binding["slot"]: binding["node"] for binding in plan.bindings}, dict(plan.reasons)


def test_each_node_that_may_have_it_gets_a_slot_and_one_that_joins_the_lowest_number_that_is_free() -> None:
    assert decided(told()) == ({1: "n1", 2: "n2", 3: "n3"}, {})
    assert decided(told(slots={2: "n1", 3: "n2"})) == ({1: "n3"}, {})
    assert decided(told(slots={1: "n1", 2: "n2"}, on="web")) == ({}, {})


def test_a_node_that_is_not_meant_any_more_or_has_left_loses_its_slot() -> None:
    assert decided(told(slots={1: "n1", 2: "n2", 3: "n3"}, on="web")) == ({3: ""}, {})
    assert decided(told(slots={1: "n1", 2: "gone", 3: "n3"})) == ({2: "", 4: "n2"}, {})


def test_a_lost_or_cordoned_node_keeps_its_slot_and_gets_none() -> None:
    rows = [node("n1", status="unreachable"), node("n2", cordoned=True), node("n3")]
    assert decided(told(slots={1: "n1", 2: "n2"}), *rows) == ({3: "n3"}, {})
    assert decided(told(), *rows) == ({2: "n3"}, {"exporter": "n1 does not fit: unreachable"})


def test_a_node_without_room_or_that_refuses_it_gets_its_instance_later_and_the_reason_is_told() -> None:
    refusal = {"app": "exporter", "spec": spec_hash(App("nginx")), "kind": "path", "reason": "path /x is missing", "wait": 9}
    rows = [node("n1", refusals=[refusal]), node("n2", full=True), node("n3")]
    why = "n1 does not fit: it refuses it: path /x is missing; n2 does not fit: with no space left on its disk"
    assert decided(told(), *rows) == ({3: "n3"}, {"exporter": why})
    taken = [node("n1", ports=["80/tcp"]), node("n2")]
    assert decided(told(ports=["80:80"]), *taken) == ({2: "n2"}, {"exporter": "n1 does not fit: with port 80/tcp taken"})


def test_an_app_that_no_node_may_have_says_why() -> None:
    assert decided(told(on="nobody")) == ({}, {"exporter": "no node fits: 3 not in nobody"})


def test_two_apps_of_one_pass_do_not_get_the_same_port() -> None:
    plan = schedule_everywhere([told("b", ports=["80:80"]), told("a", ports=["80:80"])], [node("n1")], SITES)
    assert [binding["name"] for binding in plan.bindings] == ["a"]
    assert plan.reasons == {"b": "n1 does not fit: with port 80/tcp taken"}


@given(st.lists(st.sampled_from(NODES), unique=True), st.dictionaries(st.integers(1, 6), st.sampled_from((*NODES, "gone"))))
def test_what_is_decided_twice_changes_nothing(cordoned: list[str], before: dict[int, str]) -> None:
    rows = [node(name, cordoned=name in cordoned) for name in NODES]
    changes, _ = decided(told(slots=before), *rows)
    after = {slot: where for slot, where in {**before, **changes}.items() if where}
    assert decided(told(slots=after), *rows)[0] == {}
    assert len(set(after.values())) == len(after)
    assert set(after.values()) >= set(NODES) - set(cordoned)


def test_what_an_instance_is_meant_to_run_is_noted_by_slot_also_beside_a_gap() -> None:
    app = placed(App("x", "exporter", mode="global"), {1: "n1", 3: "n3"}, 7, "0123456789abcdef")
    after = meant_to_run(app, {3: "fedcba9876543210"})
    assert [(one.slot, one.meant) for one in slots_of(after)] == [(1, "0123456789abcdef"), (3, "fedcba9876543210")]
    assert slots_of(placed(after, {1: ""}, 8))[0] == Instance(
        App("x", "exporter", mode="global"), 3, "n3", 7, "", "fedcba9876543210"
    )


def test_a_change_of_the_mode_of_the_cluster_hands_over_each_node_with_its_slot() -> None:
    document = changed(empty_document(), {"exporter": App("nginx", "exporter", mode="global")})
    app = document.apps()["exporter"]
    views = {"n1": (replace(container(app, "n1"), slot=3),), "n2": (container(app, "n2"),)}
    assert homes(document, newest(views)) == {"exporter": ["n2", "", "n1"]}


def test_an_instance_with_data_goes_to_its_node_or_waits_for_it_and_names_the_command() -> None:
    db = Instance(App("x", "db", volumes=("db:/data",)), bound="n2", data="volume db")
    assert schedule_bound([db], [node("n1"), node("n2")], {"db": "r"}).bindings == (
        {"name": "db", "slot": 1, "node": "n2", "revision": "r"},
    )
    loss = "to start it elsewhere without the data: ./inv move db --accept-data-loss"
    for rows, why in (
        ([node("n1"), node("n2", cordoned=True)], "cordoned"),
        ([node("n1"), node("n2", status="unreachable")], "unreachable"),
        ([node("n1")], "not in the inventory"),
    ):
        words = f"waits for n2, which has its data (volume db): {why}; {loss}"
        assert schedule_bound([db], rows, {}) == ((), {"db": words})
