"""The picture of a cluster in numbers: every part of it counts once, and what is not there has no number."""

from __future__ import annotations

from duckconf.measures import actions_in, measures
from duckconf.picture import COMPARATOR, RUNS, STOPPED, AppSeen, InstanceSeen, NodeSeen, Picture, Process, Step

PICTURE = Picture(
    "demo",
    "reconcile",
    processes={"api": Process(RUNS), "reconciler": Process(STOPPED)},
    nodes={"n1": NodeSeen("ready", heard=100.0, instances=3, ready=1), "n2": NodeSeen("lost", cordoned=True)},
    apps={"web": AppSeen("web:2", 3, 2, 1, 1, rollout="1 of 3"), "db": AppSeen("db", 1)},
    instances={
        "web": InstanceSeen("web", 1, "n1", "running", ready=True, restarts=2),
        "web.2": InstanceSeen("web", 2, "n1", "running", restarts=1),
        "web.3": InstanceSeen("web", 3, "", "pending"),
        "db": InstanceSeen("db", 1, "", "backoff"),
        "n1/old": InstanceSeen("gone", 1, "n1", "running", surplus=True, restarts=9),
    },
    steps={COMPARATOR: Step("nothing to do", 99.5)},
    faults=("line 3: …",),
)


def numbers(picture: Picture) -> dict[str, dict[tuple[str, ...], float]]:
    return {measure.name.removeprefix("duckconf_"): dict(measure.values) for measure in measures(picture)}


def test_apps_nodes_and_the_control_plane_are_counted() -> None:
    assert numbers(PICTURE) == {
        "app_instances_desired": {("web",): 3, ("db",): 1},
        "app_instances_ready": {("web",): 1, ("db",): 0},
        "app_instances_updated": {("web",): 1, ("db",): 0},
        "app_updating": {("web",): 1, ("db",): 0},
        "app_instances": {("web", "running"): 2, ("web", "pending"): 1, ("db", "backoff"): 1},
        "app_restarts": {("web",): 3, ("db",): 0},
        "surplus_containers": {(): 1},
        "desired_state_faults": {(): 1},
        "node_ready": {("n1",): 1, ("n2",): 0},
        "node_cordoned": {("n1",): 0, ("n2",): 1},
        "node_instances": {("n1",): 3, ("n2",): 0},
        "node_heard_timestamp_seconds": {("n1",): 100.0, ("n2",): 0},
        "node_status": {("n1", "ready"): 1, ("n2", "lost"): 1},
        "process_up": {("api",): 1, ("reconciler",): 0},
        "step_timestamp_seconds": {("comparator",): 99.5},
    }


def test_an_empty_cluster_has_no_rows_and_every_name_is_there_once() -> None:
    names = [measure.name for measure in measures(Picture("demo", "push"))]
    assert len(names) == len(set(names)) == len(numbers(PICTURE))
    assert [measure.name for measure in measures(Picture("demo", "push")) if measure.values] == [
        "duckconf_surplus_containers",
        "duckconf_desired_state_faults",
    ]


def test_actions_are_counted_by_what_was_done_and_those_that_never_happened_too() -> None:
    assert actions_in({"started": 3, "failed": 1, "node-lost": 7}) == {
        ("start", "done"): 3,
        ("restart", "done"): 0,
        ("remove", "done"): 0,
        ("any", "failed"): 1,
    }
