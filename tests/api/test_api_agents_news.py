"""What agents report to the API: refusals, reasons and ends are told once, and shown for as long as they hold."""

from __future__ import annotations

from pathlib import Path

from flask import Flask

from duckconf.codec import spec_hash
from duckconf.model import App
from tests.api.agents_api import Client, agent, app, apps_found, beat, copy, decide, operator

__all__ = ["agent", "app", "operator"]


FULL = {"app": "large", "spec": "s", "kind": "space", "reason": "no space left on its disk", "wait": 60.0}


def test_an_app_that_its_node_refuses_says_why_and_for_how_long(operator: Client, agent: Client) -> None:
    operator("PUT", "/app/web", {"image": "nginx", "node": "node-1"})
    refusal = {
        "app": "web",
        "spec": spec_hash(App("nginx", "web")),
        "kind": "path",
        "reason": "path /data is missing",
        "wait": 60,
    }
    agent("PUT", "/node/node-1/heartbeat", {"instance": "one", "refusals": [refusal]})
    (row,) = operator("GET", "/apps").get_json()["apps"]
    assert (row["status"], row["refused"]) == ("starting", "path /data is missing")
    assert row["note"] == "node-1 refuses it: path /data is missing"
    (told,) = operator("GET", "/nodes").get_json()["nodes"][0]["refusals"]
    assert told.items() >= {**refusal, "wait": told["wait"]}.items()
    assert 59 < told["wait"] <= 60
    operator("PUT", "/node/node-1", {"cordoned": False})
    assert operator("GET", "/nodes").get_json()["nodes"][0]["refusals"] == []
    agent("PUT", "/node/node-1/heartbeat", {"instance": "one", "refusals": [refusal]})
    assert operator("GET", "/nodes").get_json()["nodes"][0]["refusals"] == []
    agent("PUT", "/node/node-1/heartbeat", {"instance": "one", "refusals": [{**refusal, "strikes": 2}]})
    assert operator("GET", "/app/web").get_json()["refused"] == "path /data is missing"
    operator("PUT", "/app/web", {"image": "nginx:2"})
    decide(operator)
    assert "refused" not in operator("GET", "/app/web").get_json()


def test_a_node_that_becomes_full_is_news(operator: Client, agent: Client) -> None:
    agent("PUT", "/node/node-1/heartbeat", {"instance": "one"})
    before = operator("GET", "/nodes").get_json()
    assert before["nodes"][0]["full"] is False
    agent("PUT", "/node/node-1/heartbeat", {"instance": "one", "refusals": [FULL]})
    after = operator("GET", f"/nodes?since={before['revision']}&wait=5").get_json()
    assert (after["revision"] > before["revision"], after["nodes"][0]["full"]) == (True, True)


def test_a_reason_is_an_event_once_until_the_app_has_run(agent: Client, operator: Client) -> None:
    operator("POST", "/app/start", {"name": "web", "image": "nginx"})
    told = {"kind": "pending", "message": "no node fits: node-1: port 80 is in use", "app": "web", "source": "scheduler"}

    def waits() -> int:
        operator("POST", "/events", {"events": [told]})
        assert (operator("GET", "/app/web").json or {})["note"].startswith(told["message"])
        events = (operator("GET", "/events").json or {})["events"]
        return sum(event["kind"] == "pending" for event in events)

    def is_placed_and_unscheduled(state: str) -> None:
        operator("PUT", "/app/web", {"node": "node-1"})
        seen = {"app": "web", "container": "duckconf-web", "state": state}
        agent("PUT", "/node/node-1/heartbeat", {"instance": "one", "containers": [seen]})
        operator("PUT", "/app/web", {"node": ""})

    assert waits() == 1
    is_placed_and_unscheduled("created")
    assert waits() == 1
    is_placed_and_unscheduled("running")
    assert (waits(), waits()) == (2, 2)
    is_placed_and_unscheduled("running")
    assert waits() == 3


def test_a_node_that_an_app_is_placed_on_again_and_again_is_an_event_once_until_it_runs(agent: Client, operator: Client) -> None:
    operator("POST", "/app/start", {"name": "web", "image": "nginx"})

    def places() -> list[str]:
        told = (operator("GET", "/events").json or {})["events"]
        return [event["message"] for event in told if event["kind"] in ("scheduled", "unscheduled")]

    def is_tried_on(node: str) -> None:
        operator("PUT", "/app/web", {"node": node})
        operator("PUT", "/app/web", {"node": ""})

    for node in ("node-1", "node-2", "node-1", "node-2"):
        is_tried_on(node)
    first = ["web placed on node-1", "web unscheduled; waiting for the scheduler", "web placed on node-2"]
    assert places() == first
    seen = {"app": "web", "container": "duckconf-web", "state": "running"}
    agent("PUT", "/node/node-1/heartbeat", {"instance": "one", "containers": [seen]})
    is_tried_on("node-1")
    assert places() == [*first, *first[:2]]
    operator("PUT", "/app/web", {"image": "nginx:2"})
    decide(operator)
    is_tried_on("node-1")
    assert places() == [*first, *first[:2], *first[:2]]


def test_the_end_of_a_job_is_recorded_told_and_kept_when_its_container_is_gone(
    operator: Client, agent: Client, app: Flask, tmp_path: Path
) -> None:
    job = App("nginx", "job", restart="no", ports=("80:80",))
    operator("PUT", "/app/job", {"image": "nginx", "restart": "no", "ports": ["80:80"], "node": "node-1"})
    end = f"{spec_hash(job)}:3:0"
    ended = copy("job", "failed (3)") | {"end": end}
    assert beat(Client(app, "token of node-2"), "node-2", ended).status_code == 200
    assert apps_found(tmp_path)["job"].ended == ()
    beat(agent, "node-1", ended)
    assert apps_found(tmp_path)["job"].ended == (end,)
    beat(agent)
    shown = (operator("GET", "/app/job").json or {})["instances"][0]
    assert (shown["status"], shown["node"], "restart policy is no" in shown["note"]) == ("failed (3)", "node-1", True)
    told = (agent("GET", "/apps?nodeName=node-1").json or {})["apps"][0]
    assert told["ended"] == end
    row = next(node for node in (operator("GET", "/nodes").json or {})["nodes"] if node["name"] == "node-1")
    assert (row["apps"], row["ports"]) == (0, [])
    operator("PUT", "/app/job", {"env": {"A": "b"}})
    assert "ended" not in (agent("GET", "/apps?nodeName=node-1").json or {})["apps"][0]


def test_a_stale_copy_of_a_job_that_is_over_may_go(operator: Client, app: Flask) -> None:
    operator("PUT", "/app/job", {"image": "nginx", "restart": "no", "node": "node-1"})
    other = Client(app, "token of node-2")
    beat(other, "node-2", copy("job"))
    assert (other("GET", "/apps?nodeName=node-2").json or {})["kept"] == ["job"]
    beat(Client(app, "token of node-1"), "node-1", copy("job", "done") | {"end": f"{spec_hash(App('nginx'))}:0:0"})
    assert (other("GET", "/apps?nodeName=node-2").json or {})["kept"] == []


def test_reasons_that_swap_are_events_once_each_and_each_instance_shows_its_own(agent: Client, operator: Client) -> None:
    operator("PUT", "/app/web", {"image": "nginx", "replicas": 2})
    one, two = "no node fits: 3 cordoned", "no node fits: 2 cordoned, 1 suspect"
    for first, second in ((one, two), (two, one), (one, two)):
        for instance, why in (("web", first), ("web.2", second)):
            entry = {"kind": "pending", "message": why, "app": "web", "instance": instance, "source": "scheduler"}
            operator("POST", "/events", {"events": [entry]})
    assert [entry["note"] for entry in (operator("GET", "/app/web").json or {})["instances"]] == [one, two]
    assert (operator("GET", "/apps?nodeName=").json or {})["notes"] == {"web": one, "web.2": two}
    events = [event for event in (operator("GET", "/events").json or {})["events"] if event["kind"] == "pending"]
    assert [(event["instance"], event["message"]) for event in events] == [("web", one), ("web.2", two)]
    operator("PUT", "/app/web", {"node": ["node-1", ""]})
    assert (operator("GET", "/apps?nodeName=").json or {})["notes"] == {"web.2": two}


def test_one_without_a_place_says_where_its_container_runs_on(agent: Client, operator: Client) -> None:
    operator("PUT", "/app/web", {"image": "nginx", "node": "node-1"})
    beat(agent, "node-1", copy("web"))
    operator("PUT", "/app/web", {"node": ""})
    shown = operator("GET", "/app/web").json or {}
    assert (shown["status"], shown["note"]) == (
        "pending",
        "waiting for the scheduler; its container on node-1 runs on until it has another place",
    )
