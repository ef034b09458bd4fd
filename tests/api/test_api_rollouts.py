"""The API of agents mode and the scheduler over an update: what agents report goes in, what each should run comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from duckconf.by_revision import revision_to_json
from duckconf.codec import spec_hash
from duckconf.model import App
from duckconf.rollout import Revision
from tests.api.agents_api import NODES, Client, app, decide, found_by_the_next, operator

__all__ = ["app", "operator"]

OLD, NEW = spec_hash(App("nginx:1")), spec_hash(App("nginx:2"))


@pytest.fixture
def agents(app: Flask) -> dict[str, Client]:
    return {node: Client(app, f"token of {node}") for node in NODES}


def report(agents: dict[str, Client], slots: dict[int, str], **more: Any) -> None:
    """Each slot on the node of its number, with a container of this spec that is ready, and `more` of the slot `of`."""
    of = more.pop("of", 0)
    for slot, spec in slots.items():
        entry = {"app": "web", "container": f"web-{slot}-{spec}", "state": "running", "spec": spec, "slot": slot, "ready": True}
        entry |= more if slot == of else {}
        node = f"node-{slot}"
        assert agents[node]("PUT", f"/node/{node}/heartbeat", {"instance": node, "containers": [entry]}).status_code == 200


def told(agents: dict[str, Client]) -> dict[int, str]:
    """The image that each slot should run, as the agents are told."""
    shares = [agents[node]("GET", f"/apps?nodeName={node}").json or {} for node in NODES]
    return {entry.get("slot", 1): entry["image"] for share in shares for entry in share["apps"] if entry["name"] == "web"}


@pytest.fixture
def served(operator: Client, agents: dict[str, Client]) -> None:
    """Three instances that run their first revision."""
    operator("PUT", "/app/web", {"image": "nginx:1", "replicas": 3, "node": list(NODES)})
    assert decide(operator) == []
    report(agents, {1: OLD, 2: OLD, 3: OLD})
    assert [one["history"][-1]["outcome"] for one in decide(operator)] == ["done"]


def outcomes(operator: Client) -> list[tuple[int, str]]:
    return [(item["number"], item["outcome"]) for item in (operator("GET", "/app/web/history").json or {})["revisions"]]


def test_one_slot_after_the_other_gets_the_new_spec_when_the_one_before_is_ready(
    served: None, operator: Client, agents: dict[str, Client]
) -> None:
    assert operator("GET", "/rollouts").json == {
        "revision": (operator("GET", "/rollouts").json or {})["revision"],
        "rollouts": [],
    }
    operator("PUT", "/app/web", {"image": "nginx:2"})
    assert told(agents) == {1: "nginx:1", 2: "nginx:1", 3: "nginx:1"}
    decide(operator)
    assert told(agents) == {1: "nginx:2", 2: "nginx:1", 3: "nginx:1"}
    assert decide(operator) == []
    shown = operator("GET", "/app/web").json or {}
    assert (shown["rollout"], shown["updated"], shown["ready"]) == ("revision 2: 0 of 3 instances updated", 0, 3)
    report(agents, {1: NEW})
    decide(operator)
    assert told(agents) == {1: "nginx:2", 2: "nginx:2", 3: "nginx:1"}
    report(agents, {2: NEW})
    assert [one["note"] for one in decide(operator)] == ["revision 2: 2 of 3 instances updated"]
    report(agents, {3: NEW}, of=3, ready=False)
    assert decide(operator) == []
    report(agents, {3: NEW})
    decide(operator)
    assert outcomes(operator) == [(1, "done"), (2, "done")]
    shown = operator("GET", "/app/web").json or {}
    assert ("rollout" in shown, shown["updated"]) == (False, 3)
    kinds = [(event["kind"], event["message"]) for event in (operator("GET", "/events").json or {})["events"]]
    assert kinds.count(("update-done", "web: revision 2 runs")) == 1


def test_what_fails_goes_back_and_the_event_has_its_last_words(served: None, operator: Client, agents: dict[str, Client]) -> None:
    operator("PUT", "/app/web", {"image": "nginx:2"})
    decide(operator)
    report(agents, {1: OLD}, of=1, failed=NEW, failure="web ended 2 times", said="no database")
    decide(operator)
    assert told(agents) == {1: "nginx:1", 2: "nginx:1", 3: "nginx:1"}
    assert outcomes(operator) == [(1, "done"), (2, "failed")]
    (failed,) = [event for event in (operator("GET", "/events").json or {})["events"] if event["kind"] == "update-failed"]
    assert failed["message"].endswith("web ended 2 times; revision 1 serves; its last output: no database")
    assert decide(operator) == []
    back = operator("POST", "/app/web/rollback", {}).json or {}
    assert back["image"] == "nginx:1"
    decide(operator)
    assert outcomes(operator)[-1] == (3, "done")
    assert told(agents) == {1: "nginx:1", 2: "nginx:1", 3: "nginx:1"}


def test_a_revision_that_never_served_does_not_come_back_and_nothing_is_decided_on_what_has_changed(
    operator: Client, agents: dict[str, Client]
) -> None:
    operator("PUT", "/app/web", {"image": "nginx:1", "replicas": 3, "node": list(NODES)})
    report(agents, {1: OLD, 2: OLD, 3: OLD}, of=3, ready=False)
    operator("PUT", "/app/web", {"image": "nginx:2"})
    entry = (operator("GET", "/rollouts").json or {})["rollouts"][0]
    assert [(item["number"], item["outcome"]) for item in entry["history"]] == [(1, "")]
    operator("PUT", "/app/web", {"image": "nginx:2", "env": {"A": "1"}})
    late = {"app": "web", "revision": entry["revision"], "slots": {"1": NEW}, "history": entry["history"], "note": "", "said": ""}
    answer = operator("PUT", "/rollouts", {"rollouts": [late, {**late, "app": "nobody"}]}).json
    assert answer == {"decided": 0, "refused": {"web": "has changed", "nobody": "is not declared"}}
    assert told(agents) == {1: "nginx:1", 2: "nginx:1", 3: "nginx:1"}


def test_an_app_that_is_withdrawn_and_declared_again_has_no_past(
    served: None, operator: Client, agents: dict[str, Client], tmp_path: Path
) -> None:
    assert "web" in found_by_the_next(tmp_path).revisions.revisions
    operator("DELETE", "/app/web")
    assert found_by_the_next(tmp_path).revisions.revisions == {}
    operator("PUT", "/app/web", {"image": "nginx:2", "node": ["node-1"]})
    assert outcomes(operator) == []


def test_a_job_and_an_app_without_instances_are_not_rolled_out(operator: Client, agents: dict[str, Client]) -> None:
    operator("PUT", "/app/web", {"image": "nginx:1", "restart": "no", "node": ["node-1"]})
    operator("PUT", "/app/none", {"image": "nginx:1", "replicas": 0})
    operator("PUT", "/app/web", {"image": "nginx:2"})
    assert (operator("GET", "/rollouts").json or {})["rollouts"] == []
    assert told(agents) == {1: "nginx:2"}


def test_what_is_no_decision_is_refused_and_only_the_operator_decides(operator: Client, agents: dict[str, Client]) -> None:
    bodies: list[Any] = [
        {},
        {"rollouts": [{}]},
        {"rollouts": [{"app": "web", "revision": "", "slots": {}, "history": [], "note": ""}]},
    ]
    for body in bodies:
        assert operator("PUT", "/rollouts", body).status_code == 422
    for method, path in (("GET", "/rollouts"), ("PUT", "/rollouts"), ("GET", "/app/web/history")):
        assert agents["node-1"](method, path, {"rollouts": []}).status_code == 403


def test_a_decision_on_another_past_than_that_of_now_is_refused(
    served: None, operator: Client, agents: dict[str, Client]
) -> None:
    operator("PUT", "/app/web", {"image": "nginx:2"})
    entry = (operator("GET", "/rollouts").json or {})["rollouts"][0]
    alone = [revision_to_json(Revision(1, App("nginx:2")))]
    decision = {"app": "web", "revision": entry["revision"], "slots": {"1": NEW}, "history": alone, "note": "", "said": ""}
    answer = operator("PUT", "/rollouts", {"rollouts": [decision]}).json
    assert answer == {"decided": 0, "refused": {"web": "has another past"}}
    assert outcomes(operator) == [(1, "done")]


def test_an_instance_that_could_not_be_started_has_no_data_on_the_node_that_refused_it(
    operator: Client, agents: dict[str, Client]
) -> None:
    operator("PUT", "/app/db", {"image": "nginx:1", "volumes": ["/srv/nowhere:/data"], "node": ["node-1"]})
    waits = {"app": "db", "container": "duckconf-db", "state": "starting", "started": 0}
    for entry in (waits, {**waits, "state": "created", "started": 5.0}, {**waits, "state": "backoff", "started": 5.0}):
        agents["node-1"]("PUT", "/node/node-1/heartbeat", {"instance": "node-1", "containers": [entry]})
        assert (operator("GET", "/data").json or {})["data"] == {}
    agents["node-1"]("PUT", "/node/node-1/heartbeat", {"instance": "node-1", "containers": [{**waits, "state": "running"}]})
    assert set((operator("GET", "/data").json or {})["data"]) == {"db"}


def refuse(agents: dict[str, Client], node: str, strikes: int, spec: str = "", ready: str = "") -> None:
    """The node refuses the new revision for as often, while its slot runs as `spec`, or has nothing."""
    slot = int(node[-1])
    entry = {"app": "web", "container": f"web-{slot}-{spec}", "state": "running", "spec": spec, "slot": slot, "ready": True}
    refusal = {"app": "web", "spec": NEW, "kind": "path", "reason": "no /srv", "wait": 60.0, "strikes": strikes}
    body = {"instance": node, "containers": [entry] if spec else [], "refusals": [refusal] if strikes else []}
    assert agents[node]("PUT", f"/node/{node}/heartbeat", body).status_code == 200


def unplaced(operator: Client) -> dict[str, Any]:
    return dict(operator("GET", "/apps?nodeName=").json or {})


def test_a_node_that_refuses_the_new_revision_is_left_while_the_old_container_serves_there(
    served: None, operator: Client, agents: dict[str, Client]
) -> None:
    operator("PUT", "/app/web", {"image": "nginx:2"})
    decide(operator)
    assert unplaced(operator)["moves"] == []
    refuse(agents, "node-1", 2, OLD)
    assert decide(operator) == []
    (move,) = unplaced(operator)["moves"]
    assert (move["node"], move["image"], outcomes(operator)[-1]) == ("node-1", "nginx:2", (2, ""))
    operator("PUT", "/apps", {"apps": [{"name": "web", "slot": 1, "node": "node-2", "revision": move["revision"]}]})
    share = agents["node-1"]("GET", "/apps?nodeName=node-1").json or {}
    assert (share["apps"], share["kept"]) == ([], ["web"])
    assert unplaced(operator)["moves"] == []


def test_a_revision_fails_when_each_node_that_could_take_it_has_refused_it_twice(
    served: None, operator: Client, agents: dict[str, Client]
) -> None:
    operator("PUT", "/app/web", {"image": "nginx:2", "on": "web"})
    decide(operator)
    refuse(agents, "node-2", 2, OLD)
    refuse(agents, "node-3", 1, OLD)
    decide(operator)
    assert outcomes(operator)[-1] == (2, "")
    # The first node is not meant, so that nobody asks it.
    refuse(agents, "node-3", 2, OLD)
    (failed,) = decide(operator)
    assert failed["note"].startswith("revision 2 failed: node-2 refuses it: no /srv")


def test_an_instance_that_found_no_other_node_goes_back_to_where_it_still_serves(
    served: None, operator: Client, agents: dict[str, Client]
) -> None:
    revision = (operator("GET", "/app/web").json or {})["revision"]
    operator("PUT", "/apps", {"apps": [{"name": "web", "slot": 2, "node": "", "revision": revision}]})
    (entry,) = unplaced(operator)["apps"]
    assert entry["serves"] == "node-2"
    shown = operator("GET", "/app/web").json or {}
    waiting = shown["instances"][1]
    assert (waiting["status"], waiting["node"], waiting["serves"], shown["ready"]) == ("pending", "", "node-2", 3)


def test_a_person_may_ask_a_node_to_try_again_what_it_refused_and_its_agent_is_told(
    served: None, operator: Client, agents: dict[str, Client]
) -> None:
    def asked() -> int:
        return int((agents["node-1"]("GET", "/apps?nodeName=node-1").json or {})["asked"])

    refuse(agents, "node-1", 2, OLD)
    before = (asked(), (operator("GET", "/nodes").json or {})["nodes"][0]["refusals"] != [])
    assert operator("PUT", "/node/node-1", {"again": True}).status_code == 200
    after = (asked(), (operator("GET", "/nodes").json or {})["nodes"][0]["refusals"])
    assert (before, after) == ((0, True), (1, []))
    assert operator("PUT", "/node/node-1", {"again": False}).status_code == 422


def test_an_instance_is_shown_with_the_image_that_it_runs(served: None, operator: Client, agents: dict[str, Client]) -> None:
    report(agents, {1: OLD}, of=1, image_id="5" * 64)
    operator("PUT", "/app/web", {"image": "nginx:2"})
    decide(operator)
    # The old one serves until the new one is there.
    shown = (operator("GET", "/app/web").json or {})["instances"][0]
    assert (shown["image_id"], shown["image"]) == ("5" * 64, "nginx:1")
