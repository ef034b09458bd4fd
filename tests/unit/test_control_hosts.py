"""Hosts of the control plane that cannot be reached: what is said before anything is changed, and how keys are accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from invoke.exceptions import Exit

from duckconf.cli.cluster import agents_up
from duckconf.cli.cluster.agents_up import require_control_plane
from duckconf.cli.cluster.bring_up import up
from duckconf.cli.cluster.etcd import refusal
from duckconf.cli.cluster.etcd_rows import member_rows, outlook_of
from duckconf.cli.cluster.modes import AGENTS
from duckconf.cli.cluster.store import is_in_etcd, note_store
from duckconf.cli.commands import fleet
from duckconf.cli.look import agents
from duckconf.command import Command, Completed
from duckconf.errors import HostKeyRefused, NotFound, SetupError
from duckconf.members import Refused, next_step
from duckconf.members_told import UNREAD, Told, read_told
from duckconf.reach.inventory.project import Project
from duckconf.settings import Settings
from tests.unit.test_members_told import answer

CONTROL = ("control-1", "control-2", "control-3")
HEAD = "[all:vars]\nansible_host=127.0.0.1\nansible_port=1\n[nodes]\nweb-1\n[control_plane]\n"
KEY = "shows the host key SHA256:abc, and none is pinned for 192.0.2.11:22"
REMEDY = "if that is the right machine: ./inv accept-key control-1 SHA256:abc"


def project_of(root: Path, *control: str, variables: str = "") -> Project:
    (root / "hosts.ini").write_text(HEAD.replace("[nodes]", f"{variables}\n[nodes]") + "\n".join(control))
    made = Project(root, Settings(inventory="hosts.ini"), "demo")
    made.state.mkdir(parents=True)
    return made


class Hosts:
    def __init__(self, unknown: str = "") -> None:
        self.unknown = unknown
        self.asked: list[str] = []

    @contextmanager
    def opened(self, _: Project) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(fleet=SimpleNamespace(admin=lambda name: SimpleNamespace(run=partial(self.run, name))))

    def run(self, name: str, command: Command) -> Completed:
        self.asked.append(name)
        if name == self.unknown:
            raise HostKeyRefused(name, KEY, REMEDY)
        return Completed(0, "", "")


def test_the_key_of_a_control_plane_host_can_be_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "project", lambda: project_of(tmp_path, *CONTROL))
    with pytest.raises(Exit, match=r"control-1: shows no host key at 127\.0\.0\.1:1"):
        fleet.accept_key.body(None, "control-1", "SHA256:abc")


def test_a_host_that_there_is_not_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    inventory = project_of(tmp_path, "control-1", "web-1").inventory()
    assert inventory.machine("web-1").name == "web-1"
    with pytest.raises(NotFound, match=r"no host 'control-2'; did you mean control-1.*the hosts are control-1, web-1"):
        inventory.machine("control-2")


class TestBeforeAnythingIsChanged:
    def test_a_host_that_does_not_answer_is_said_with_the_remedy(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        hosts = Hosts("control-1")
        monkeypatch.setattr(agents_up, "open_cluster", hosts.opened)
        monkeypatch.setattr("duckconf.cli.cluster.bring_up.provision", lambda *_, **__: pytest.fail("nothing may be changed"))
        with pytest.raises(SetupError, match=f"{KEY} .{REMEDY}"):
            up(project_of(tmp_path, *CONTROL), AGENTS)
        assert sorted(hosts.asked) == [*CONTROL]

    def test_a_cluster_that_has_begun_goes_on_without_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        hosts = Hosts("control-1")
        monkeypatch.setattr(agents_up, "open_cluster", hosts.opened)
        project = project_of(tmp_path, *CONTROL)
        (project.state / "mode").write_text(f"{AGENTS}\n")
        require_control_plane(project, project.inventory())
        assert hosts.asked == []

    def test_demo_hosts_which_are_made_first_are_not_asked(self, tmp_path: Path) -> None:
        control = (f"{name} ansible_port={port}" for port, name in enumerate(CONTROL, 2))
        project = project_of(tmp_path, *control, variables="duckconf_provider=container")
        require_control_plane(project, project.inventory())

    @pytest.mark.parametrize(
        ("control", "words"), [((), "needs a host in the group control_plane"), (CONTROL[:2], "has 2 hosts, and 2 members")]
    )
    def test_a_number_that_does_not_fit_is_refused(self, tmp_path: Path, control: tuple[str, ...], words: str) -> None:
        with pytest.raises(SetupError, match=words):
            up(project_of(tmp_path, *control), AGENTS)


TOLD = read_told({"b": "bare", "c": "This account is not available."}, {"a": f"{KEY} ({REMEDY})"})
WANTED = {name: f"{name}.example" for name in "abc"}


class TestWhy:
    def test_each_host_that_could_not_be_asked_says_why(self) -> None:
        notes = {row["member"]: row["note"] for row in member_rows(WANTED, TOLD)}
        assert notes == {"a": f"{KEY} ({REMEDY})", "b": "has no data", "c": UNREAD}
        assert outlook_of(WANTED, TOLD) == "no member can be asked: NOTE says why"

    def test_members_that_are_all_empty_have_no_cluster_yet_or_have_lost_it(self) -> None:
        told = read_told(dict.fromkeys("abc", "bare"), {})
        assert outlook_of(WANTED, told) == "there is no cluster yet: ./inv up agents begins one, --restore one from a snapshot"
        assert "all members are gone, and apps run on as they are: " in outlook_of(WANTED, told, has_state=True)

    def test_a_lost_member_says_it_too(self) -> None:
        told = read_told({"a": answer("abc", "ab", "a"), "b": answer("abc", "ab", "a")}, {"c": "no answer"})
        assert [row["note"] for row in member_rows(WANTED, told)] == ["", "", "no answer"]

    def test_one_that_answers_and_knows_no_leader_is_not_called_lost(self) -> None:
        told = read_told({"a": answer("abc", "a")}, {"b": "no answer", "c": "no answer"})
        assert [row["state"] for row in member_rows(WANTED, told)] == ["no leader", "lost", "lost"]

    def test_so_does_what_is_refused_for_it(self) -> None:
        todo = next_step(WANTED, TOLD.seen)
        assert isinstance(todo, Refused)
        refused = refusal(todo, TOLD)
        assert f"whether there is a cluster: a {KEY} ({REMEDY}); c {UNREAD}" in refused.message
        assert refusal(todo, Told(TOLD.seen)).message == todo.reason


@pytest.mark.parametrize(
    ("mode", "store", "has_state"),
    [("agents", "etcd", True), ("agents", "files", False), ("reconcile", "etcd", False), ("", "", False)],
)
def test_a_running_control_plane_that_keeps_its_state_in_etcd_has_it_there(
    tmp_path: Path, mode: str, store: str, has_state: bool
) -> None:
    project = project_of(tmp_path, *CONTROL)
    if mode:
        (project.state / "mode").write_text(f"{mode}\n")
        note_store(project, store)
    assert is_in_etcd(project) is has_state


@pytest.mark.parametrize("show", [agents.ps, agents.nodes])
def test_what_is_shown_without_a_majority_says_how_old_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], show: Callable[..., int]
) -> None:
    project = project_of(tmp_path, *CONTROL)
    api = SimpleNamespace(call=lambda *_: {"apps": [], "nodes": []}, stale="")
    monkeypatch.setattr(agents, "api_client", lambda _: api)
    show(project, "", as_json=False)
    assert "majority" not in capsys.readouterr().err
    api.stale = "130.12"
    show(project, "", as_json=False)
    assert "known 130 s ago: the control plane has no majority (see ./inv members)" in capsys.readouterr().err
