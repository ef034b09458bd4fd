"""`explain`: what is known of an app or node, in sentences, with the command that changes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from duckconf.backoff import Tries
from duckconf.desired import Desired
from duckconf.elsewhere import Place, places
from duckconf.explain import Known, Part, explain_app, explain_instance, lasting
from duckconf.explain_node import explain_node
from duckconf.facts import Facts
from duckconf.fleet_seen import Fleet, Placement
from duckconf.instance import instances_of
from duckconf.local_data import Held
from duckconf.model import App
from duckconf.picture import InstanceSeen, NodeSeen
from duckconf.refusal import Refusal
from duckconf.sites import Sites

NODES = ("n1", "n2", "n3")
NOW = 1_000_000.0
RUNS: Mapping[str, Any] = {"slot": 1, "node": "n1", "status": "running", "started": NOW - 125, "ready": True, "updated": True}


def entry(*instances: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    running = sum(one["status"] == "running" for one in instances)
    return {"name": "web", "image": "nginx", "running": running, "instances": list(instances), **fields}


def told(one: Mapping[str, Any], **known: Any) -> Part:
    return explain_instance(entry(one), one, Known(NOW, **known))


def test_one_that_is_well_is_told_with_what_would_happen() -> None:
    part = told(RUNS, places={"web": Place("n1", ("Because.",), {"n2": "", "n3": "cordoned"})})
    assert part.state == ["web runs on n1 for 2 min 5 s and is ready (it has no check)."]
    assert part.why == ["Because.", "n2 could take it too.", "Not possible: n3 (cordoned)."]
    assert part.next == ["Nothing: it is as desired. Should it end, the loop starts it again at once."]
    assert part.change == ["./inv drain n1 moves it away, with all that runs there."]


def test_one_without_a_place_names_what_opens_one() -> None:
    one = {"slot": 1, "node": "", "status": "pending", "note": "no node fits: 2 cordoned"}
    part = told(one, places={"web": Place("", (), {"n1": "cordoned", "n2": "cordoned"})})
    assert part.state == ["web has no place, because: no node fits: 2 cordoned."]
    assert part.why == ["n1 (cordoned).", "n2 (cordoned)."]
    assert part.change[0] == "./inv uncordon n1 lets it take instances again."


def test_one_that_is_held_back_tells_how_often_it_was_tried_and_when_it_is_again() -> None:
    tries = {"web": Tries("spec", strikes=4, not_before=107.5, words="no such image")}
    part = told({**RUNS, "status": "backoff", "restarts": 3}, clock=100.0, tries=tries, failures={"web": ["at ten it failed"]})
    assert part.tried == [
        "It was started again 3 times on its node.",
        "It was started 4 times in a row, and has not run for ten minutes since.",
        "The engine said last: no such image.",
        "at ten it failed.",
    ]
    assert part.next == ["It is started again in 8 s, or at once when its spec changes."]
    assert part.change[0].startswith("./inv logs web ")


def test_a_silent_node_says_when_it_is_lost_and_what_becomes_of_the_instance() -> None:
    nodes = {"n1": NodeSeen("unreachable", heard=NOW - 12)}
    one = {**RUNS, "status": "unreachable"}
    (free,) = told(one, timeout=20.0, nodes=nodes).next
    assert free.startswith("If n1 stays silent, it is lost in 8 s, and web is started on another node.")
    (over,) = told(one, timeout=10.0, nodes=nodes).next
    assert over.startswith("n1 is silent for longer than 10 s (node_timeout), so that web is started on another node")
    (bound,) = told(one, timeout=20.0, nodes=nodes, places={"web": Place("n1", bound=True)}).next
    assert "web waits for it, because its data is there" in bound


@pytest.mark.parametrize("status", ["starting", "unreadable", "lost", "exited", "paused", "done", "failed (3)", "stopping"])
def test_every_state_has_a_sentence_a_next_step_and_a_command(status: str) -> None:
    part = told({**RUNS, "status": status})
    assert all(part.state)
    assert all(part.next)
    assert all(sentence.endswith(".") for sentence in (*part.state, *part.next, *part.change))
    assert part.change[0].startswith("./inv ")


def test_what_the_plan_does_now_comes_first() -> None:
    part = told({**RUNS, "status": "exited"}, steps={"web": ["start web again on n1, because: it is exited"]})
    assert part.next == ["Now: start web again on n1, because: it is exited."]


def test_an_update_that_failed_says_why_and_what_to_do() -> None:
    failed = entry(RUNS, rollout="revision 2 failed")
    past = [{"number": 1, "outcome": "done"}, {"number": 2, "outcome": "failed", "why": "its check failed"}]
    part = explain_app(failed, Known(NOW, history=past))[0]
    assert part.why == ["Revision 2 failed and is not tried again: its check failed."]
    assert part.change[0].startswith("./inv update web ")
    paused = explain_app(entry(RUNS, rollout="paused: 1 of 2"), Known(NOW, later=["1. web: …"]))[0]
    assert paused.change[0].startswith("./inv resume web ")
    assert paused.next == ["1. web: …."]


def test_trouble_of_several_instances_is_told_once() -> None:
    app, first, second = explain_app(entry(RUNS, {**RUNS, "slot": 2}), Known(NOW, failures={"web": ["bad"], "web.2": ["worse"]}))
    assert (app.tried, first.tried, second.tried) == (["bad."], [], ["worse."])


def seen(app: App, placed: Mapping[str, str], data: Mapping[str, Held], **fleet: Any) -> dict[str, Place]:
    views: dict[str, Any] = dict.fromkeys(NODES, ())
    desired = Desired(instances_of([app]))
    where = {name: Placement(node, name, 1) for name, node in placed.items()}
    return places(desired, Fleet(NODES, views, **fleet), where, data, app.name)


def test_where_else_an_instance_could_be_is_judged_as_placement_does() -> None:
    found = seen(App("nginx", name="web", replicas=2), {"web": "n1", "web.2": "n2"}, {}, cordoned={"n3"})
    assert found["web"].others == {"n2": "", "n3": "cordoned"}
    assert found["web"].reasons[0].startswith("Placement took the node with the fewest instances of web")
    refusal = Refusal("n2", "web", "", "port", "port 80 is in use", "", 9.0)
    one = App("nginx", name="web", on="eu", ports=("80:80",))
    spec = next(iter(instances_of([one]).values())).spec
    refusals = {("n2", "web"): Refusal(**{**vars(refusal), "spec": spec})}
    sites = Sites(NODES, {}, {"eu": ("n1", "n2")})
    (place,) = seen(one, {"web": "n1"}, {}, refusals=refusals, sites=sites).values()
    assert place.others == {"n2": "it refuses it: port 80 is in use", "n3": "not in eu"}
    assert place.reasons[0] == "web runs on eu only: n1, n2."


def test_data_binds_and_is_said_first() -> None:
    app = App("postgres", name="db", volumes=("data:/data",))
    (place,) = seen(app, {"db": "n2"}, {"db": Held("n2", ("data",))}).values()
    assert place.bound
    assert place.others == {"n1": "its data is on n2", "n3": "its data is on n2"}
    assert place.reasons == ("Its data (volume data) is on n2, and it starts nowhere else without it.",)


def node(seen: NodeSeen, **more: Any) -> Part:
    instances = {"web": InstanceSeen("web", node="n1", ready=True), "db": InstanceSeen("db", node="n1"), "x": InstanceSeen("x")}
    given: dict[str, Any] = {"facts": Facts(), "now": NOW, "clock": 5.0, "timeout": 20.0, **more}
    return explain_node("n1", seen, instances, **given)[0]


def test_a_node_tells_what_is_on_it_what_it_refuses_and_what_comes_next() -> None:
    refusal = Refusal("n1", "big", "", "memory", "too little memory", "", until=35.2)
    part = node(NodeSeen("ready", heard=NOW - 3), facts=Facts(cores=2, load=0.5), refusals=[refusal], data=["db"])
    assert part.state == [
        "n1 is ready; it was heard 3 s ago.",
        "Its load is 0.5 on 2 cores.",
        "2 instances are on it, 1 ready: db, web.",
    ]
    assert part.why == ["It refuses big: too little memory.", "The data of db is on it, so that they run nowhere else."]
    assert part.next[-1] == "big is tried there again in 31 s."
    assert part.change == ["./inv uncordon n1 lets it be tried again at once."]


def test_a_node_that_is_silent_lost_or_drained_says_what_becomes_of_its_instances() -> None:
    (silent,) = node(NodeSeen("suspect", heard=NOW - 15), data=["db"]).next
    assert silent == "If it stays silent, it is lost in 5 s; web is started on other nodes then; db would wait for it."
    (over,) = node(NodeSeen("unreachable", heard=NOW - 25)).next
    assert over.startswith(
        "It is silent for longer than 20 s (node_timeout), and lost unless most nodes are silent together; web, db are"
    )
    assert node(NodeSeen("lost")).next[0].startswith("When it answers again")
    drained = node(NodeSeen("ready", draining=True), data=["db"])
    assert drained.next == ["web moves next, when the one before runs elsewhere; 1 instance in all."]
    assert drained.change == ["./inv uncordon n1 lets it take instances again."]


def test_a_node_of_push_mode_is_promised_nothing_that_push_mode_does_not_do() -> None:
    ready = node(NodeSeen("ready"), observes=False)
    assert ready.next == ["Nothing: it takes the next request when it is its turn."]
    assert ready.change == ["./inv cordon n1 keeps new instances away."]
    away = node(NodeSeen("unreachable"), observes=False)
    assert away.next[0].startswith("Nothing: push mode has no loop. What is on it is not started elsewhere")
    assert node(NodeSeen("ready", cordoned=True), observes=False).next == []


@pytest.mark.parametrize(
    ("seconds", "words"), [(-1, "0 s"), (59, "59 s"), (125, "2 min 5 s"), (3600, "1 h"), (200000, "2 d 7 h")]
)
def test_a_length_of_time_has_two_units_at_most(seconds: float, words: str) -> None:
    assert lasting(seconds) == words


@pytest.mark.parametrize(
    ("one", "fields", "coming"),
    [
        ({}, {}, "It is ready once it has run for 5 s (monitor)."),
        ({}, {"update_config": {"monitor": "2s"}}, "It is ready once it has run for 2 s (monitor)."),
        ({"health": "starting"}, {}, "It is ready once its check passes."),
    ],
)
def test_one_that_is_not_ready_yet_says_when_it_is(one: dict[str, Any], fields: dict[str, Any], coming: str) -> None:
    young = {**RUNS, "ready": False, **one}
    assert explain_app(entry(young, **fields), Known(NOW))[1].next == [coming]


def test_an_update_that_failed_is_not_said_to_be_under_way_and_a_first_one_is_tried_again() -> None:
    app = entry(RUNS, rollout="revision 2 failed: its check failed; revision 1 serves")
    past = [{"number": 1, "outcome": "done"}, {"number": 2, "outcome": "failed", "why": "its check failed"}]
    failed = explain_app(app, Known(NOW, history=past))[0]
    assert failed.state[1] == "Its update has failed: revision 2 failed: its check failed; revision 1 serves."
    assert "./inv rollback web declares what serves." in failed.change
    assert not any("pause" in line for line in failed.change)
    first = entry(RUNS, rollout="revision 1 failed: it ended; none has served before, so that it is tried again")
    tried = explain_app(first, Known(NOW, history=[{"number": 1, "outcome": "failed", "why": "it ended"}]))[0]
    assert not any("is not tried again" in line for line in tried.why)


def test_a_first_revision_is_no_update_and_there_is_nothing_to_go_back_to() -> None:
    app = entry(RUNS, rollout="revision 1: 0 of 1 instance ready")
    first = explain_app(app, Known(NOW, history=[{"number": 1, "outcome": ""}]))[0]
    assert first.state[1] == "It is rolled out for the first time: revision 1: 0 of 1 instance ready."
    assert first.change[0] == "./inv pause web lets it rest."
    second = explain_app(app, Known(NOW, history=[{"number": 1, "outcome": "done"}, {"number": 2, "outcome": ""}]))[0]
    assert second.state[1].startswith("An update is under way: ")
    assert second.change[0] == "./inv pause web lets it rest, ./inv rollback web goes back."
