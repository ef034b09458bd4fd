"""The picture of a cluster: made of the answers of GET /apps, and changed by merge patches."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from duckconf.events import Event
from duckconf.merge_patch import merge_patch, patched
from duckconf.passing import Passing, passing_from_json
from duckconf.picture import ACTUATOR, COMPARATOR, SETPOINT, Call, NodeSeen, Picture, Step, apps_in, counted, instances_in
from duckconf.stepped import steps_in

LEAVES = st.one_of(st.booleans(), st.integers(), st.text(max_size=3), st.lists(st.integers(), max_size=2))
OBJECTS: st.SearchStrategy[Any] = st.recursive(
    st.dictionaries(st.sampled_from("abcd"), LEAVES, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), st.one_of(LEAVES, inner), max_size=3),
    max_leaves=12,
)
WEB = {
    "name": "web",
    "image": "nginx:2",
    "replicas": 3,
    "revision": "r2",
    "running": 2,
    "ready": 1,
    "updated": 1,
    "rollout": "1 of 3",
    "instances": [
        {
            "slot": 1,
            "node": "n1",
            "status": "running",
            "ready": True,
            "updated": True,
            "image": "nginx:2",
            "published": ["1:1"],
        },
        {"slot": 2, "node": "n1", "status": "running", "updated": False, "image": "nginx:1", "container": "duckconf-web.2"},
        {"slot": 3, "node": "", "serves": "n2", "status": "pending", "note": "no place"},
    ],
}


@given(OBJECTS, OBJECTS)
def test_a_patch_makes_the_later_object_of_the_earlier_one(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert patched(before, merge_patch(before, after)) == after
    assert bool(merge_patch(before, after)) == (before != after)


def test_a_patch_names_what_differs_and_nothing_else() -> None:
    before = {"nodes": {"n1": {"status": "ready", "instances": 2}, "n2": {"status": "ready"}}, "mode": "push"}
    after = {"nodes": {"n1": {"status": "lost", "instances": 2}}, "mode": "push"}
    assert merge_patch(before, after) == {"nodes": {"n1": {"status": "lost"}, "n2": None}}


def test_an_app_shows_what_is_desired_and_how_much_of_it_there_is() -> None:
    web = apps_in([WEB])["web"]
    assert (web.wanted, web.running, web.ready, web.rollout, web.revision) == (3, 2, 1, "1 of 3", "r2")
    everywhere = {**WEB, "mode": "global"}
    assert apps_in([{**everywhere, "replicas": 1}])["web"].wanted == 3


def test_an_instance_without_a_place_is_shown_where_its_container_serves_on() -> None:
    found = instances_in([WEB])
    assert {name: (one.node, one.status, one.ready, one.outdated) for name, one in found.items()} == {
        "web": ("n1", "running", True, False),
        "web.2": ("n1", "running", False, True),
        "web.3": ("n2", "pending", False, False),
    }
    nodes = counted({"n1": NodeSeen("ready"), "n2": NodeSeen("ready"), "n3": NodeSeen("lost")}, found.values())
    assert {name: (node.instances, node.ready) for name, node in nodes.items()} == {"n1": (2, 1), "n2": (1, 0), "n3": (0, 0)}


def test_a_job_that_is_done_is_not_missing_anywhere() -> None:
    ended = {"slot": 1, "node": "n1", "status": "done", "updated": True}
    job = {"name": "job", "image": "x", "revision": "r", "running": 0, "ready": 0, "instances": [ended]}
    app, found = apps_in([job])["job"], instances_in([job])
    assert (app.ready, app.wanted, found["job"].ready) == (1, 1, True)
    assert counted({"n1": NodeSeen("ready")}, found.values())["n1"].ready == 1
    failed = {**job, "instances": [{**ended, "status": "failed (7)"}]}
    assert (apps_in([failed])["job"].ready, instances_in([failed])["job"].ready) == (0, False)


def test_what_is_empty_is_left_out_of_the_json() -> None:
    told = Picture("demo", "reconcile", 20.0, nodes={"n1": NodeSeen("ready")}, instances=instances_in([WEB])).to_json()
    assert told["nodes"] == {"n1": {"status": "ready"}}
    assert told["instances"]["web"] == {
        "app": "web", "slot": 1, "node": "n1", "status": "running", "ready": True, "image": "nginx:2", "ports": ["1:1"],
    }  # fmt: skip


def test_events_tell_what_each_step_did_last() -> None:
    first = steps_in(
        [Event("declared", "web declared", "web", time=1.0), Event("scheduled", "web placed", node="n1", time=2.0)], {}
    )
    later = steps_in([Event("started", "started", node="n1", time=3.0), Event("something", "else", time=4.0)], first)
    assert later == {
        SETPOINT: Step("web declared", 1.0),
        COMPARATOR: Step("web placed", 2.0, "n1"),
        ACTUATOR: Step("started", 3.0, "n1"),
    }


def test_what_a_loop_says_of_its_passes_is_read_by_one_of_another_version() -> None:
    passing = Passing(7, {ACTUATOR: Step("done", 2.0, "n1")}, {"n1": 1.5}, {"n1/web": Call("n1", "run", 1.0)})
    told = passing.to_json()
    told["steps"][ACTUATOR] = {**told["steps"][ACTUATOR], "new": 1}
    assert passing_from_json(told) == passing
