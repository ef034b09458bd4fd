"""What a person is told who names an app or a service that is not there."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from duckconf.cli.cluster.modes import AGENTS, RECONCILE
from duckconf.cli.demo.demo_roles import require_free
from duckconf.cli.look import absent
from duckconf.cli.look.control import AGENT, CONTROL_UNITS
from duckconf.errors import DuckconfError, NotFound, SetupError
from duckconf.inventory import Host
from duckconf.reach.inventory.project import Project
from duckconf.settings import Settings


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path, Settings(), "demo")
    made.state.mkdir(parents=True)
    return made


class Api:
    def __init__(self, entry: dict[str, Any] | None) -> None:
        self.entry = entry

    def call(self, *_: object, **__: object) -> dict[str, Any]:
        if self.entry is None:
            raise DuckconfError("no app 'web' is declared")
        return self.entry


@pytest.mark.parametrize("mode", [RECONCILE, AGENTS])
def test_an_app_that_waits_for_a_node_is_told_as_that(project: Project, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    (project.state / "mode").write_text(f"{mode}\n")
    entry = {"status": "pending", "note": "no node fits: 3 cordoned"}
    monkeypatch.setattr(absent, "api_client", lambda _: Api(entry))
    assert "web is declared and does not run: pending, because: no node fits: 3 cordoned" in str(
        absent.why_absent(project, "web")
    )
    monkeypatch.setattr(absent, "api_client", lambda _: Api(None))
    assert absent.why_absent(project, "web") is None


def test_an_instance_is_told_by_its_own_state_and_one_that_runs_is_not_called_absent(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.state / "mode").write_text(f"{RECONCILE}\n")
    instances = [{"slot": 1, "status": "running"}, {"slot": 2, "status": "unreachable", "note": "node-2 is silent"}]
    entry = {"name": "web", "status": "running", "instances": instances}
    monkeypatch.setattr(absent, "api_client", lambda _: Api(entry))
    said = str(absent.why_absent(project, "web.2"))
    assert "web.2 is declared and does not run: unreachable, because: node-2 is silent" in said
    assert "./inv stop-app web)" in said
    assert [absent.why_absent(project, name) for name in ("web", "web.7")] == [None, None]


def test_what_may_come_back_is_declared_and_in_push_mode_nothing_is(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = {"apps": [{"name": "web"}, {"name": "db", "stack": "shop"}]}
    monkeypatch.setattr(absent, "api_client", lambda _: Api(listing))
    assert not absent.is_declared(project, "web")
    (project.state / "mode").write_text(f"{AGENTS}\n")
    assert [absent.is_declared(project, name) for name in ("web", "web.3", "shop", "gone")] == [True, True, True, False]
    monkeypatch.setattr(absent, "api_client", lambda _: Api(None))
    assert absent.is_declared(project, "gone")


@pytest.mark.parametrize(("name", "mode"), [("agent@node-1", AGENTS), ("scheduler", AGENTS), ("reconciler", RECONCILE)])
def test_a_service_of_another_mode_is_told_with_its_mode(project: Project, name: str, mode: str) -> None:
    (project.state / "mode").write_text("push\n")
    with pytest.raises(NotFound, match=rf"{name} needs mode {mode}, and cluster demo is in mode push"):
        absent.require_mode_of_service(project, name, AGENT, CONTROL_UNITS)
    absent.require_mode_of_service(project, "web", AGENT, CONTROL_UNITS)


def test_a_port_that_another_cluster_holds_is_told_with_its_name() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        host = Host("node-1", "127.0.0.1", held.getsockname()[1])
        with pytest.raises(SetupError, match=r"node-2 of cluster other in /srv has it"):
            require_free(host, lambda _: "node-2 of cluster other in /srv")
        with pytest.raises(SetupError, match="in use"):
            require_free(host, lambda _: "")
