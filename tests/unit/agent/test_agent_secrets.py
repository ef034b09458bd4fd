"""The agent and the secrets of its apps."""

from __future__ import annotations

from duckconf.reach.state.secrets import SecretFile, to_json
from duckconf.secrets import KeptSecret
from tests.agent_rig import AgentProcess, FakeApi
from tests.fake_docker import FakeEngine
from tests.unit.agent.installed import WEB, runs
from tests.waiting import until


def test_the_values_of_its_apps_secrets_are_on_disk_before_they_are_needed_and_go_when_they_are_not(
    agent: AgentProcess, api: FakeApi, engine: FakeEngine
) -> None:
    kept = KeptSecret(b"hunter2", b"salt")
    api.secrets = {"db": to_json(kept)}
    api.place({**WEB, "secrets": ["db", "db:env=DB"], "secret_revisions": {"db": kept.revision}})
    until("it runs", runs(engine, "duckconf-sim-web"))
    assert (engine.folder / "duckconf-sim-web.env").read_text() == "DB=hunter2\n"
    assert b"hunter2" in (engine.folder / "duckconf-sim-web.tar").read_bytes()
    file = agent.state / "secrets.json"
    assert (file.stat().st_mode & 0o777, SecretFile(file).current()["db"].value) == (0o600, b"hunter2")
    api.stop()
    with engine.change() as boxes:
        del boxes["duckconf-sim-web"]
    engine.tell("duckconf-sim-web")
    until("it runs again without the server", runs(engine, "duckconf-sim-web"))
    api.start()
    api.place(WEB)
    until("the value is gone", lambda: SecretFile(file).current() == {})
    told = [*engine.calls(), agent.log.read_text(), *map(str, api.beats), *map(str, api.events)]
    told += [path.read_text() for path in agent.state.iterdir() if path.is_file() and path != file]
    assert not [text for text in told if "hunter2" in text]


def test_a_new_value_replaces_the_container_and_an_old_share_is_not_started_with_it(
    agent: AgentProcess, api: FakeApi, engine: FakeEngine
) -> None:
    old, new = KeptSecret(b"old", b"salt"), KeptSecret(b"new", b"salt")
    app = {**WEB, "secrets": ["db:env=DB"]}
    api.secrets = {"db": to_json(new)}
    api.place({**app, "secret_revisions": {"db": old.revision}})
    until("it was tried in vain", lambda: any("the secret db has just changed" in event["message"] for event in api.events))
    assert engine.seen() == {}
    api.place({**app, "secret_revisions": {"db": new.revision}})
    until("it runs", runs(engine, "duckconf-sim-web"))
    assert (engine.folder / "duckconf-sim-web.env").read_text() == "DB=new\n"
    first = engine.ids()
    api.secrets = {"db": to_json(old)}
    api.place({**app, "secret_revisions": {"db": old.revision}})
    until(
        "it is another container", lambda: engine.ids().keys().isdisjoint(first) and list(engine.seen().values()) == ["running"]
    )
    assert (engine.folder / f"{next(iter(engine.seen()))}.env").read_text() == "DB=old\n"


def test_an_app_whose_secret_the_server_lacks_is_left_as_it_is(agent: AgentProcess, api: FakeApi, engine: FakeEngine) -> None:
    api.place({**WEB, "secrets": ["db"]}, {"name": "other", "image": "web", "generation": 8})
    until("the other runs", runs(engine, "duckconf-sim-other"))
    assert "the secret db is not set" in agent.log.read_text()
