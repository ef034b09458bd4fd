"""What a person asks of a node through the api-server: the agent does it once, and answers."""

from __future__ import annotations

from functools import partial

from tests.agent_rig import NODE, AgentProcess, FakeApi
from tests.fake_docker import FakeEngine
from tests.unit.agent.installed import WEB, runs
from tests.waiting import until

CONTAINER = "duckconf-sim-web"


def looked(api: FakeApi, before: int) -> bool:
    return api.asked > before


def test_a_container_is_killed_once_however_often_it_is_told(agent: AgentProcess, api: FakeApi, engine: FakeEngine) -> None:
    api.place(WEB)
    until("it runs", runs(engine, CONTAINER))
    for _ in range(3):
        api.ask({"id": "one", "kill": [NODE, CONTAINER]})
        until("it looks again", partial(looked, api, api.asked))
    until("it is answered", lambda: api.answers == {"one": {"text": ""}}, seen=lambda: str(api.answers))
    assert len(engine.calls("kill")) == 1
    until("the agent has healed it", runs(engine, CONTAINER))


def test_what_is_not_ours_and_what_is_no_question_is_answered_with_why(
    agent: AgentProcess, api: FakeApi, engine: FakeEngine
) -> None:
    engine.put("stranger", {"node": NODE, "duckconf.app": "web"})
    api.ask({"id": "one", "kill": [NODE, "stranger"]}, {"id": "two", "dance": True}, {"no": "id"})
    until("both are answered", lambda: api.answers.keys() == {"one", "two"}, seen=lambda: str(api.answers))
    assert api.answers["one"]["failure"]["kind"] == "NotFound"
    assert "does not know the question" in api.answers["two"]["failure"]["message"]
    assert engine.calls("kill") == []


def test_a_question_is_not_kept_with_what_the_node_should_run(agent: AgentProcess, api: FakeApi, engine: FakeEngine) -> None:
    api.place(WEB)
    until("it runs", runs(engine, CONTAINER))
    api.ask({"id": "one", "log": [NODE, CONTAINER], "lines": 5})
    until("it is answered", lambda: "one" in api.answers)
    assert api.answers["one"] == {"text": f"2026-01-01T00:00:00Z {CONTAINER} says hello\n"}
    assert "questions" not in (agent.state / "desired.json").read_text()


def test_a_rival_does_nothing(agent: AgentProcess, api: FakeApi, engine: FakeEngine) -> None:
    api.place(WEB)
    until("it runs", runs(engine, CONTAINER))
    api.rival = True
    until("it knows", lambda: "this agent changes nothing" in agent.log.read_text())
    asked = api.asked
    api.ask({"id": "one", "kill": [NODE, CONTAINER]})
    until("it was told", lambda: api.asked > asked)
    api.rival = False
    until("it is heard again", lambda: "heartbeats reach" in agent.log.read_text().rpartition("this agent changes nothing")[2])
    api.ask({"id": "two", "log": [NODE, CONTAINER], "lines": 1})
    until("it answers", lambda: "two" in api.answers, seen=lambda: agent.log.read_text()[-400:])
    assert ([*api.answers], engine.calls("kill")) == (["two"], [])
