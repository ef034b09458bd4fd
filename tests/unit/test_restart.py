"""When what ended is started again, what is over and stays so, and when a container is made anew."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.beat import entries
from controllers.reconciler import Reconciler
from duckconf import backoff
from duckconf.actions import Remove, Restart, Start
from duckconf.backoff import Tries
from duckconf.cli.cluster.adoption import adopted
from duckconf.cli.cluster.nodes import node_row
from duckconf.codec import spec_hash, to_label
from duckconf.command import Completed
from duckconf.decision import Decision, Memory, decide
from duckconf.desired import Desired, empty_document
from duckconf.engine_output import Container, read_containers
from duckconf.errors import BadInput, EngineRefused
from duckconf.instance import Instance, placed, slots_of, with_end
from duckconf.inventory import Host
from duckconf.model import App, parse_app
from duckconf.naming import run_labels
from duckconf.overview import AppView, overview
from duckconf.placement import Fleet, Placement
from duckconf.plan import Step
from duckconf.reach.state.placements import FILE_NAME, PlacementBook
from duckconf.report import Report, report_from_json
from duckconf.restart import End, Policy, policy_of, read_end, recorded

NODES = ("n1", "n2")
JOB = App("job", "web", restart="on-failure:2")
ONCE = App("job", "web", restart="no")
HERE = Placement("n1", "c", 1)
SPEC = spec_hash(JOB)


def ended_copy(code: int | None, app: App = JOB, node: str = "n1", name: str = "c", state: str = "exited") -> Container:
    return Container("i", name, node, app.name, spec_hash(app), app.image, state, 0.0, 1, exit_code=code)


def seen(*copies: Container, silent: str = "", lost: str = "", draining: str = "") -> Fleet:
    views = {node: None if node in (silent, lost) else tuple(copy for copy in copies if copy.node == node) for node in NODES}
    return Fleet(NODES, views, {lost} - {""}, draining={draining} - {""}, cordoned={draining} - {""})


def judged(
    fleet: Fleet, app: App = JOB, place: Placement | None = HERE, tries: Tries | None = None, ended: str = "", now: float = 0.0
) -> Decision:
    memory = Memory({"web": place} if place else {}, {"web": tries} if tries else {})
    return decide("demo", Desired({"web": Instance(app, ended=ended)}), fleet, memory, now)


def actions(decision: Decision) -> list[object]:
    return [step.action for step in decision.plan.steps]


def started(times: int, app: App = JOB) -> Tries:
    return Tries(spec_hash(app), times, times)


@pytest.mark.parametrize(
    ("body", "policy"),
    [
        ({}, Policy("always")),
        ({"restart": "always"}, Policy("always")),
        ({"restart": "unless-stopped"}, Policy("always")),
        ({"restart": False}, Policy("no")),
        ({"restart": "on-failure"}, Policy("on-failure")),
        ({"restart": "on-failure:5"}, Policy("on-failure", 5)),
        ({"deploy": {"restart_policy": {"condition": "none"}}}, Policy("no")),
        ({"deploy": {"restart_policy": {"max_attempts": 3, "window": "2m"}}}, Policy("always", 3, 0.0, 120.0)),
        (
            {"restart": "no", "deploy": {"restart_policy": {"condition": "on-failure", "delay": "5s"}}},
            Policy("on-failure", 0, 5.0),
        ),
    ],
)
def test_a_policy_is_read_from_either_form(body: dict[str, Any], policy: Policy) -> None:
    assert policy_of(parse_app({"image": "job", **body})) == policy


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"restart": "sometimes"}, "restart"),
        ({"restart": "on-failure:0"}, "restart"),
        ({"restart": True}, "restart"),
        ({"deploy": {"restart_policy": {"condition": "always"}}}, "deploy/restart_policy/condition"),
        ({"deploy": {"restart_policy": {"max_attempts": 0}}}, "deploy/restart_policy/max_attempts"),
        ({"deploy": {"restart_policy": {"tries": 1}}}, "deploy/restart_policy/tries"),
    ],
)
def test_a_policy_that_is_none_is_refused_at_its_path(body: dict[str, Any], path: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_app({"image": "job", **body})
    assert [fault.path for fault in caught.value.faults] == [path]


def test_a_changed_policy_replaces_no_container() -> None:
    assert spec_hash(JOB) == spec_hash(ONCE) == spec_hash(App("job", "web"))


@given(st.sampled_from(["no", "on-failure", "always"]), st.integers(0, 3), st.integers(0, 255), st.integers(0, 5))
def test_only_a_failure_or_a_policy_without_an_end_starts_again_and_never_more_often_than_allowed(
    condition: str, most: int, code: int, restarts: int
) -> None:
    leaves = Policy(condition, most).leaves(End(SPEC, code, restarts))
    assert leaves or (condition != "no" and (code != 0 or condition == "always"))
    assert leaves or most == 0 or restarts < most
    assert not (leaves and condition == "always" and most == 0)


@given(st.integers(0, 255), st.integers(0, 99))
def test_a_record_is_read_back_and_counts_only_for_its_own_spec(code: int, restarts: int) -> None:
    end = End(SPEC, code, restarts)
    assert read_end(str(end)) == end
    assert recorded(replace(ONCE, env={"A": "b"}), str(end)) is None
    assert recorded(ONCE, str(end)) == end
    assert recorded(App("job", "web"), str(end)) is None


ENDS = [
    ("done", ONCE, 0, None, "done"),
    ("done with on-failure", JOB, 0, started(2), "done"),
    ("failed", ONCE, 3, None, "failed (3)"),
    ("given up", JOB, 3, started(3), "failed (3)"),
]


@pytest.mark.parametrize(("app", "code", "tries", "state"), [case[1:] for case in ENDS], ids=[case[0] for case in ENDS])
def test_what_is_over_is_left_recorded_and_shown(app: App, code: int, tries: Tries | None, state: str) -> None:
    decision = judged(seen(ended_copy(code, app)), app, tries=tries)
    assert actions(decision) == []
    assert decision.placements["web"].end == f"{SPEC}:{code}:{max(0, (tries.starts if tries else 1) - 1)}"
    desired = Desired({"web": Instance(app)})
    (view,) = overview(desired, seen(ended_copy(code, app)), decision, Memory({"web": HERE}, {"web": tries} if tries else {}))
    assert (view.state, view.node, view.container, view.end) == (state, "n1", "c", decision.placements["web"].end)
    assert ("given up after 2 restarts" in view.note) == (tries is not None and code != 0)


@pytest.mark.parametrize(
    ("app", "code", "tries"),
    [(JOB, 3, None), (JOB, 3, started(2)), (App("job", "web"), 0, None), (ONCE, None, None), (JOB, None, started(9))],
    ids=["failed", "failed once more", "always", "nobody saw the end", "nobody saw this end"],
)
def test_what_is_not_over_is_started_again(app: App, code: int | None, tries: Tries | None) -> None:
    assert actions(judged(seen(ended_copy(code, app)), app, tries=tries)) == [Restart("n1", "c", "web")]


RECORD = replace(HERE, end=str(End(SPEC, 0, 0)))


@pytest.mark.parametrize(
    "fleet",
    [seen(silent="n1"), seen(lost="n1"), seen(), seen(ended_copy(0), draining="n1"), replace(seen(), nodes=("n2",))],
    ids=["silent node", "lost node", "removed container", "drained node", "removed node"],
)
def test_a_job_whose_end_is_recorded_is_never_run_elsewhere(fleet: Fleet) -> None:
    decision = judged(fleet, place=RECORD)
    assert (actions(decision), decision.placements["web"]) == ([], RECORD)


def test_an_unfinished_job_of_a_lost_node_runs_elsewhere() -> None:
    assert actions(judged(seen(lost="n1"))) == [Start("n2", "duckconf-demo-web.2".replace("-demo", ""), JOB, 2)]


@pytest.mark.parametrize("stale", ["running", "exited"])
def test_another_copy_of_a_job_that_is_over_goes(stale: str) -> None:
    other = ended_copy(None if stale == "running" else 1, node="n2", name="old", state=stale)
    assert actions(judged(seen(ended_copy(0), other))) == [Remove("n2", "old")]
    assert actions(judged(seen(other, silent="n1"), place=RECORD)) == [Remove("n2", "old")]


def test_what_was_done_once_stays_done_when_a_run_by_hand_is_interrupted() -> None:
    assert actions(judged(seen(ended_copy(None)), place=RECORD)) == []


def test_a_container_of_another_spec_in_place_of_one_that_is_over_goes_and_nothing_starts() -> None:
    late = ended_copy(None, replace(JOB, env={"A": "b"}), state="running")
    assert actions(judged(seen(late), place=RECORD)) == [Remove("n1", "c")]


def test_a_loop_that_remembers_nothing_finds_the_end_in_the_container() -> None:
    decision = judged(seen(ended_copy(0, node="n2", name="x")), place=None)
    assert (actions(decision), decision.placements["web"]) == ([], Placement("n2", "x", 1, f"{SPEC}:0:0"))
    running = ended_copy(None, node="n2", state="running")
    assert actions(judged(seen(ended_copy(0), running), place=None)) == [Remove("n1", "c")]


def test_a_changed_spec_or_policy_runs_a_job_again() -> None:
    changed = replace(JOB, env={"A": "b"})
    assert actions(judged(seen(ended_copy(0)), changed, RECORD)) == [Start("n1", "c", changed, 1)]
    always = replace(JOB, restart="")
    decision = judged(seen(ended_copy(0)), always, RECORD)
    assert (actions(decision), decision.placements["web"].end) == ([Restart("n1", "c", "web")], "")


def test_a_job_that_a_person_started_again_by_hand_is_not_over_while_it_runs() -> None:
    decision = judged(seen(ended_copy(None, state="running")), place=RECORD)
    assert (actions(decision), decision.over, decision.placements["web"]) == ([], {}, replace(HERE, spec=SPEC))


def test_an_agent_knows_from_its_share_what_is_over() -> None:
    assert actions(judged(seen(), place=None, ended=str(End(SPEC, 0, 1)))) == []
    assert actions(judged(seen(), place=None, ended=str(End("0" * 16, 0, 1)))) != []


def test_each_replica_of_a_job_is_one_completion() -> None:
    job = replace(JOB, replicas=3)
    instances = {instance.name: instance for instance in slots_of(job)}
    copies = [replace(ended_copy(0, job, name=f"c{slot}"), slot=slot) for slot in (1, 2)]
    decision = decide("demo", Desired(instances), seen(*copies), Memory({}, {}), 0.0)
    assert [str(action) for action in actions(decision)] == ["start web.3 (job) on n1"]
    assert decision.over.keys() == {"web", "web.2"}


def test_an_end_is_news_once_and_an_event_can_be_told_from_it(tmp_path: Path) -> None:
    book = PlacementBook(tmp_path / FILE_NAME)
    loop = Reconciler("demo", book, 20.0)
    wanted, heard = Desired({"web": Instance(ONCE)}), {"n1": (0.0, (ended_copy(0, ONCE),))}
    news = [loop.decide(wanted, ["n1"], heard, (), float(now)).decision.over["web"].is_news for now in (1, 2)]
    assert news == [True, False]
    again = Reconciler("demo", PlacementBook(tmp_path / FILE_NAME), 20.0)
    assert not again.decide(wanted, ["n1"], {}, (), 9.0).decision.over["web"].is_news
    assert list(json.loads((tmp_path / FILE_NAME).read_text())["web"]) == ["n1", "c", 1, f"{SPEC}:0:0", ""]


def test_a_container_that_did_not_live_three_times_is_made_anew_and_the_count_survives_a_restart() -> None:
    app, now = App("x", "web"), 0.0
    tries: Tries | None = None
    dead = ended_copy(1, app)
    kinds = []
    for _ in range(9):
        now += 400.0
        (action,) = actions(judged(seen(dead), app, tries=tries, now=now))
        kinds.append(type(action))
        tries = backoff.after_try(tries or Tries(spec_hash(app)), same_container=isinstance(action, Restart))
        tries = backoff.after_start(tries, now)
        report = report_from_json(json.loads(json.dumps(Report(tries={"web": tries}, clock=now).to_json())))
        tries = report.tries_at(now)["web"]
    assert kinds == [Restart, Restart, Restart, Start, Restart, Restart, Restart, Start, Restart]
    lived = backoff.after_look(replace(tries or Tries(""), again=3), now + backoff.HEALTHY_AFTER)
    assert not backoff.is_worn(lived)


def test_a_start_that_the_engine_refuses_counts_as_one_that_did_not_live() -> None:
    loop = Reconciler("demo", PlacementBook(Path("/nonexistent")), 20.0, meant={"web": Instance(JOB)})
    step = Step("web", Restart("n1", "c", "web"), "it is exited")
    for number in range(3):
        loop.settle(step, EngineRefused("n1: no", conflict=False), float(number), last=True)
    assert backoff.is_worn(loop.tries["web"])
    loop.settle(Step("web", Start("n1", "c", JOB), "anew"), None, 9.0, last=True)
    assert not backoff.is_worn(loop.tries["web"])


def test_a_start_on_another_node_is_a_move_and_no_restart() -> None:
    loop = Reconciler("demo", PlacementBook(Path("/nonexistent")), 20.0, meant={"web": Instance(JOB)})
    counts = []
    for number, node in enumerate(("n1", "n1", "n2", "n1", "n1")):
        loop.settle(Step("web", Start(node, "c", JOB), "it is exited"), None, float(number), last=True)
        counts.append(loop.tries["web"].restarts)
    assert counts == [0, 1, 1, 1, 2]


@pytest.mark.parametrize(
    ("policy", "code", "over"), [("no", 3, True), ("on-failure:3", 0, True), ("on-failure", 3, False), ("", 0, False)]
)
def test_what_its_policy_leaves_ended_is_no_app_of_its_node_any_more(policy: str, code: int, over: bool) -> None:
    copies = (replace(ended_copy(code, JOB), restart=policy), ended_copy(None, JOB, state="running"))
    assert node_row(Host("n1", "192.0.2.1"), copies)["apps"] == (1 if over else 2)


def test_a_delay_is_the_least_pause_and_a_window_forgets_restarts() -> None:
    patient = backoff.after_start(backoff.after_start(Tries(SPEC), 0.0, 30.0), 30.0, 30.0)
    assert patient.not_before == 60.0
    windowed = App("job", "web", restart_policy={"condition": "on-failure", "max_attempts": "2", "window": "1m"})
    tired = Tries(SPEC, 3, 9, since=0.0)
    assert actions(judged(seen(ended_copy(1)), windowed, tries=tired)) == []
    assert actions(judged(seen(ended_copy(1)), windowed, tries=backoff.after_look(tired, 61.0, 60.0))) != []


PODMAN = {"Id": "i", "Names": ["c"], "Labels": {}, "Image": "x", "State": "exited", "StartedAt": 50, "ExitedAt": 60}
DOCKER = {"ID": "i", "Names": "c", "Labels": {}, "Image": "x", "CreatedAt": "1970-01-01 00:01:00 +0000 UTC"}


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({**PODMAN, "ExitCode": 3}, 3),
        ({**PODMAN, "ExitCode": 0}, 0),
        ({**PODMAN, "ExitCode": 0, "ExitedAt": -62135596800}, None),
        ({**PODMAN, "ExitCode": 0, "ExitedAt": 40}, None),
        ({**PODMAN, "ExitCode": -1}, None),
        ({**PODMAN, "ExitCode": 0, "State": "running"}, None),
        ({**DOCKER, "State": "exited", "Status": "Exited (137) 2 hours ago"}, 137),
        ({**DOCKER, "State": "exited", "Status": "Exited (0) Less than a second ago"}, 0),
        ({**DOCKER, "State": "running", "Status": "Up 2 hours"}, None),
        ({**DOCKER, "State": "created", "Status": "Created"}, None),
    ],
)
def test_exit_codes_are_read_from_both_engines_and_an_end_that_nobody_saw_has_none(row: dict[str, Any], code: int | None) -> None:
    (found,) = read_containers("n", Completed(0, json.dumps([row]), ""))
    assert found.exit_code == code


def test_a_slot_that_moves_has_not_ended_and_the_others_keep_their_end() -> None:
    app = with_end(with_end(placed(replace(JOB, replicas=2), {1: "n1", 2: "n2"}, 5), 1, str(End(SPEC, 0))), 2, str(End(SPEC, 0)))
    moved = slots_of(placed(app, {2: "n1"}, 6))
    assert [(instance.node, instance.generation, instance.ended) for instance in moved] == [
        ("n1", 5, f"{SPEC}:0:0"),
        ("n1", 6, ""),
    ]


def test_a_heartbeat_tells_the_end_and_the_state_in_one_word() -> None:
    view = AppView("web", "n1", "c", "job", "yes", "failed (3)", 2, note="why", end=str(End(SPEC, 3, 2)))
    (told,) = entries([ended_copy(3)], [view])
    assert (told["state"], told["end"], told["restarts"]) == ("failed (3)", f"{SPEC}:3:2", 2)


def test_a_container_that_is_run_once_is_no_app_of_a_node() -> None:
    rows = [{**PODMAN, "Labels": run_labels("demo", "c")}, {**PODMAN, "Labels": {}}]
    assert len(read_containers("n", Completed(0, json.dumps(rows), ""))) == 1


def test_a_job_that_another_mode_ran_is_adopted_as_one() -> None:
    copy = replace(ended_copy(0, ONCE), manifest=to_label(ONCE), restart="no")
    assert adopted(empty_document(), [copy]).apps()["web"] == ONCE
