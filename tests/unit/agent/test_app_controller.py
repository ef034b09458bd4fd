"""The agent as a process, with an engine that is a file and an api-server on a real socket."""

from __future__ import annotations

import signal
import ssl
import time
from pathlib import Path

import psutil

from controllers.heart import MOST_BEATS
from duckconf.cli.cluster.certificates import ensure_certificate
from duckconf.codec import spec_hash
from duckconf.control_plane import Tls
from duckconf.model import App
from tests.agent_rig import NODE, AgentProcess, FakeApi
from tests.fake_docker import FakeEngine
from tests.unit.agent.installed import WEB, Install, labels, runs
from tests.waiting import until


def test_what_is_placed_here_runs_and_is_told(agent: AgentProcess, api: FakeApi, engine: FakeEngine) -> None:
    api.place(WEB)
    until("it runs", runs(engine, "duckconf-sim-web"))
    made = engine.labels("duckconf-sim-web")
    assert (made["node"], made["duckconf.generation"], made["duckconf.app"]) == (NODE, "7", "web")
    until("the server knows", lambda: api.reported() == {"web": "running"})
    told = api.beats[-1]["containers"][0]
    assert told.items() >= {"container": "duckconf-sim-web", "image": "web", "generation": 7, "restarts": 0}.items()
    assert told["spec"] == spec_hash(App("web", "web"))
    # A first look that is slow makes an event of its own.
    until(
        "an event says so",
        lambda: [event["kind"] for event in api.events if event["app"]] == ["started"],
        seen=lambda: str(api.events),
    )


def test_on_a_machine_of_another_name_nothing_is_done_until_it_has_its_own_again(
    install: Install, api: FakeApi, engine: FakeEngine, tmp_path: Path
) -> None:
    (tmp_path / "node").write_text("other\n")
    api.place(WEB)
    agent = install(api.url, interval=0.2)
    agent.start()
    until("the server knows", lambda: any(beat.get("unreadable", "").startswith("calls itself other") for beat in api.beats))
    assert f"./inv provision --limit {NODE}" in api.beats[-1]["unreadable"]
    assert engine.seen() == {}
    (tmp_path / "node").write_text(f"{NODE}\n")
    until("it runs", runs(engine, "duckconf-sim-web"))


def test_what_is_withdrawn_goes_and_nothing_else(agent: AgentProcess, api: FakeApi, engine: FakeEngine) -> None:
    engine.put("stranger", {"node": NODE, "duckconf.app": "web"})
    api.place(WEB, {"name": "db", "image": "db"})
    until("both run", runs(engine, "stranger", "duckconf-sim-web", "duckconf-sim-db"))
    api.place({"name": "db", "image": "db"})
    until("web is gone", runs(engine, "stranger", "duckconf-sim-db"))
    until("the server knows", lambda: api.reported() == {"db": "running"})


def test_a_changed_app_is_replaced_and_a_moved_one_is_not(agent: AgentProcess, api: FakeApi, engine: FakeEngine) -> None:
    api.place(WEB)
    until("it runs", runs(engine, "duckconf-sim-web"))
    first = engine.ids()
    api.place({**WEB, "generation": 9})
    api.place({**WEB, "generation": 10}, {"name": "db", "image": "db"})
    until("the new one runs too", runs(engine, "duckconf-sim-web", "duckconf-sim-db"))
    assert engine.ids().items() >= first.items()
    api.place({**WEB, "env": {"A": "b"}, "generation": 10}, {"name": "db", "image": "db"})
    until("the new one runs beside the old one", lambda: len(engine.seen()) == 3)
    assert "duckconf-sim-web" in engine.seen()
    until("the old one goes when the new one is ready", lambda: "duckconf-sim-web" not in engine.ids() and len(engine.ids()) == 2)


def test_a_copy_that_must_stay_for_now_stays(agent: AgentProcess, api: FakeApi, engine: FakeEngine) -> None:
    api.place(WEB)
    until("it is known to run", lambda: api.reported() == {"web": "running"})
    api.place({"name": "db", "image": "db"}, keep=["web"])
    until("the change is obeyed", lambda: len(engine.seen()) == 2)
    assert runs(engine, "duckconf-sim-web", "duckconf-sim-db")()
    until("it says why", lambda: any("placed on another node" in entry["note"] for entry in api.beats[-1]["containers"]))
    api.place({"name": "db", "image": "db"})
    until("it may go", runs(engine, "duckconf-sim-db"))


def test_a_server_that_has_just_begun_again_takes_nothing_away(agent: AgentProcess, api: FakeApi, engine: FakeEngine) -> None:
    api.place(WEB)
    until("it is known to run", lambda: api.reported() == {"web": "running"})
    api.stop()
    api.place({"name": "db", "image": "db"}, keep=["web"])
    api.start()
    until("the change is obeyed", runs(engine, "duckconf-sim-web", "duckconf-sim-db"))
    assert engine.calls("stop") == []


def test_with_the_server_away_a_crashed_app_is_started_again(agent: AgentProcess, api: FakeApi, engine: FakeEngine) -> None:
    api.place(WEB)
    until("it runs", runs(engine, "duckconf-sim-web"))
    api.stop()
    engine.end("duckconf-sim-web")
    until("it runs again", runs(engine, "duckconf-sim-web"), 5)
    engine.end("duckconf-sim-web")
    until("it runs again after a pause", runs(engine, "duckconf-sim-web"))


def test_after_a_reboot_with_the_server_away_the_apps_come_back(agent: AgentProcess, api: FakeApi, engine: FakeEngine) -> None:
    api.place(WEB)
    until("it runs", runs(engine, "duckconf-sim-web"))
    agent.kill()
    api.stop()
    engine.end("duckconf-sim-web")
    agent.start()
    until("it runs again", runs(engine, "duckconf-sim-web"))
    api.start()
    until("it is told", lambda: api.reported() == {"web": "running"})
    assert len(engine.calls("run")) == 1


def test_an_agent_that_was_never_told_anything_touches_nothing(install: Install, api: FakeApi, engine: FakeEngine) -> None:
    engine.put("duckconf-sim-old", labels(App("web", "old")))
    api.stop()
    agent = install(api.url)
    agent.start()
    until("it has tried", lambda: "using the last desired state" in agent.log.read_text())
    until("it has looked again", lambda: len(engine.calls("ps")) > 1)
    api.start()
    until("it is told", lambda: engine.seen() == {})


def test_containers_found_running_are_adopted_under_their_names(install: Install, api: FakeApi, engine: FakeEngine) -> None:
    app = App("web", "web", env={"A": "b"})
    engine.put("duckconf-app-3", labels(app, 2))
    before = engine.ids()
    api.place({**WEB, "env": {"A": "b"}}, {"name": "db", "image": "db"})
    install(api.url).start()
    until("the other one runs", runs(engine, "duckconf-app-3", "duckconf-sim-db"))
    assert engine.ids().items() >= before.items()


def test_an_older_answer_is_not_obeyed(agent: AgentProcess, api: FakeApi, engine: FakeEngine) -> None:
    api.place(WEB, revision=9)
    until("it runs", runs(engine, "duckconf-sim-web"))
    api.place({"name": "old", "image": "old"}, revision=5)
    until("it is refused", lambda: "older than 9" in agent.log.read_text())
    assert runs(engine, "duckconf-sim-web")()
    api.place(WEB, {"name": "db", "image": "db"}, revision=10)
    until("a newer one is", runs(engine, "duckconf-sim-web", "duckconf-sim-db"))


def test_another_server_counts_for_itself(agent: AgentProcess, api: FakeApi, engine: FakeEngine) -> None:
    api.origin = "control-1"
    api.place(WEB, revision=9)
    until("it runs", runs(engine, "duckconf-sim-web"))
    api.origin = "control-2"
    api.place(WEB, {"name": "db", "image": "db"}, revision=5)
    until("what it says is obeyed", runs(engine, "duckconf-sim-web", "duckconf-sim-db"))
    api.place(WEB, revision=4)
    until("what it said before is not", lambda: "older than 5" in agent.log.read_text())


def test_beside_another_agent_of_the_same_name_nothing_is_touched(install: Install, api: FakeApi, engine: FakeEngine) -> None:
    api.rival = True
    api.place(WEB)
    agent = install(api.url, interval=0.5)
    agent.start()
    until("it is refused", lambda: len(api.beats) > 2)
    assert engine.seen() == {}
    api.rival = False
    until("it is the only one", runs(engine, "duckconf-sim-web"))
    api.rival = True
    until("it knows", lambda: agent.log.read_text().count("this agent changes nothing") >= 2)
    engine.end("duckconf-sim-web")
    looks = len(engine.calls("ps"))
    until("it has seen that", lambda: len(engine.calls("ps")) > looks + 1)
    assert engine.seen() == {"duckconf-sim-web": "exited"}


def test_a_name_that_another_nodes_copy_holds_is_given_up(agent: AgentProcess, api: FakeApi, engine: FakeEngine) -> None:
    engine.put("duckconf-sim-web", {**labels(App("web", "web"), 3), "node": "node-2"})
    until("the agent has begun", lambda: bool(api.beats))
    api.place(WEB)
    until("it runs beside it", lambda: list(engine.seen().values()) == ["running", "running"], 3)
    (name,) = engine.seen().keys() - {"duckconf-sim-web"}
    assert name.startswith("duckconf-sim-web.")
    assert engine.labels(name)["duckconf.generation"] == "7"


def test_a_start_that_a_killed_agent_had_begun_is_waited_for(agent: AgentProcess, api: FakeApi, engine: FakeEngine) -> None:
    engine.slow.write_text("1.5")
    api.place(WEB)
    until("it begins", lambda: len(engine.calls("run")) == 1)
    agent.kill()
    agent.start()
    until("it runs and is told", lambda: api.reported() == {"web": "running"})
    assert len(engine.calls("run")) == 1


def test_an_app_that_cannot_be_understood_is_left_alone(agent: AgentProcess, api: FakeApi, engine: FakeEngine) -> None:
    api.place(WEB)
    until("it runs", runs(engine, "duckconf-sim-web"))
    api.place({**WEB, "of_a_newer_version": 3}, {"name": "db", "image": "db"})
    until("the other one runs", runs(engine, "duckconf-sim-web", "duckconf-sim-db"))
    until("it is said", lambda: any(event["kind"] == "bad-state" for event in api.events))


def test_an_image_that_is_refused_is_told_with_the_engines_words(agent: AgentProcess, api: FakeApi) -> None:
    api.place({"name": "web", "image": "refused"})
    until("it is told", lambda: api.reported() == {"web": "backoff"})
    assert "image not known" in api.beats[-1]["containers"][0]["note"]


def test_a_node_without_space_says_so_and_what_the_engine_said(agent: AgentProcess, api: FakeApi) -> None:
    api.place({"name": "web", "image": "large"})
    until("it is told", lambda: bool(api.beats) and bool(api.beats[-1]["refusals"]))
    (refusal,) = api.beats[-1]["refusals"]
    assert (refusal["app"], refusal["kind"], refusal["reason"]) == ("web", "space", "no space left on its disk")
    assert "no space left on device" in refusal["words"]
    assert 50 < refusal["wait"] <= 60


def test_what_the_node_is_and_has_left_is_told_and_not_only_with_the_second_heartbeat(agent: AgentProcess, api: FakeApi) -> None:
    until("it is told", lambda: bool(api.beats) and bool(api.beats[-1]["facts"].get("memory_total")), 8)


def test_a_node_whose_engine_does_not_answer_falls_silent(install: Install, api: FakeApi, engine: FakeEngine) -> None:
    agent = install(api.url, interval=0.3)
    agent.start()
    until("it is heard", lambda: len(api.beats) > 1)
    engine.broken.touch()
    until("it is silent", lambda: "no heartbeat: the engine does not answer" in agent.log.read_text())
    engine.broken.unlink()
    heard = len(api.beats)
    until("it is heard again", lambda: len(api.beats) > heard)


def test_it_ends_at_once_and_leaves_all_running(agent: AgentProcess, api: FakeApi, engine: FakeEngine) -> None:
    api.place(WEB)
    until("it runs", runs(engine, "duckconf-sim-web"))
    assert agent.end(signal.SIGTERM) == 0
    assert runs(engine, "duckconf-sim-web")()


def test_what_follows_the_engine_ends_with_a_killed_agent(agent: AgentProcess, engine: FakeEngine) -> None:
    until("it follows", lambda: len(engine.calls("events")) == 1)
    assert agent.process is not None
    children = psutil.Process(agent.process.pid).children(recursive=True)
    assert children
    agent.kill()
    until("they are gone", lambda: not any(child.is_running() and child.status() != "zombie" for child in children))


def test_heartbeats_are_few_however_much_changes(agent: AgentProcess, api: FakeApi, engine: FakeEngine) -> None:
    api.place(*({"name": f"a{number}", "image": "web"} for number in range(10)))
    until("all are known to run", lambda: list(api.reported().values()) == ["running"] * 10)
    for number in range(10):
        engine.end(f"duckconf-sim-a{number}")
    until("all run again", lambda: sum(entry["restarts"] for entry in api.beats[-1]["containers"]) == 10)
    times = [beat["at"] for beat in api.beats]
    # One that is asked for before something is taken away comes on top.
    assert min((later - earlier for earlier, later in zip(times, times[MOST_BEATS + 1 :])), default=1.0) > 0.9


def test_a_server_is_believed_only_with_a_certificate_of_the_ca(install: Install, tmp_path: Path, engine: FakeEngine) -> None:
    files = [ensure_certificate(tmp_path, tmp_path / name, Tls(), "sim", (), time.time()) for name in ("ours", "theirs")]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[0].certificate, files[0].key)
    api = FakeApi(context)
    api.place(WEB)
    stranger = install(api.url, ca_file=str(files[1].ca))
    stranger.start()
    until("it is not believed", lambda: "is not trusted" in stranger.log.read_text())
    stranger.kill()
    assert (api.beats, engine.seen()) == ([], {})
    install(api.url, ca_file=str(files[0].ca)).start()
    until("it is believed", runs(engine, "duckconf-sim-web"))
    api.stop()


def test_one_agent_at_a_time_has_the_state_folder(agent: AgentProcess, api: FakeApi) -> None:
    until("it is heard", lambda: bool(api.beats))
    first = agent.process
    second = agent.start()
    assert second.wait(20) == 1
    assert "in use by the agent of node-1" in agent.log.read_text()
    agent.process = first
