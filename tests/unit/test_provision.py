"""Tokens, certificates and the run of the playbook, with a stand-in for ansible-playbook where one is needed."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

from duckconf.cli.cluster.store import note_store, require_same_store, store_move
from duckconf.cli.fleet.limits import chosen_hosts, remember_failed
from duckconf.cli.roles import provision as provisioning
from duckconf.cli.roles import provision_task
from duckconf.cli.roles.left import look
from duckconf.cli.roles.playbook import Playbook
from duckconf.cli.roles.provision import api_names, candidates, provision, server_urls
from duckconf.command import Command, Completed
from duckconf.control_plane import ETCD, Tls
from duckconf.errors import DuckconfError, NotFound, SetupError, Unreachable
from duckconf.inventory import Host, Inventory
from duckconf.reach.inventory.project import Project
from duckconf.settings import Settings
from tests.fakes import FakeNode

NODES = ("node-1", "node-2", "node-3")
FLEET = Inventory({name: Host(name, "127.0.0.1", demo=True) for name in ("control-1", *NODES)}, NODES, ("control-1",))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestChoosingHosts:
    """What the pattern language means stands in test_patterns.py."""

    @pytest.mark.parametrize(
        ("limit", "only", "wanted"),
        [
            ("", (), ["control-1", *NODES]),
            ("control_plane,node-3", (), ["control-1", "node-3"]),
            ("!control_plane", (), [*NODES]),
            ("", ("control_plane",), ["control-1"]),
            ("", ("node", "agent"), [*NODES]),
            ("node-?", ("agent",), [*NODES]),
        ],
    )
    def test_of_the_groups_that_the_roles_are_for(
        self, tmp_path: Path, limit: str, only: tuple[str, ...], wanted: list[str]
    ) -> None:
        project = Project(tmp_path, Settings(), "demo")
        assert [host.name for host in chosen_hosts(project, FLEET, limit, candidates(FLEET, only))] == wanted

    def test_those_that_failed_are_kept_until_they_are_done(self, tmp_path: Path) -> None:
        project = Project(tmp_path, Settings(), "demo")
        with pytest.raises(NotFound, match="no host failed"):
            chosen_hosts(project, FLEET, "@failed", NODES)
        remember_failed(project, NODES, ["node-1", "node-3"])
        assert [host.name for host in chosen_hosts(project, FLEET, "@failed", NODES)] == ["node-1", "node-3"]
        remember_failed(project, ["node-1", "node-2"], ["node-2"])
        assert [host.name for host in chosen_hosts(project, FLEET, "@failed", NODES)] == ["node-2", "node-3"]
        remember_failed(project, NODES, [])
        with pytest.raises(NotFound, match="no host failed"):
            chosen_hosts(project, FLEET, "@failed", NODES)

    def test_a_file_lists_hosts_too(self, tmp_path: Path) -> None:
        (tmp_path / "mine").write_text("node-2\nnode-3\n")
        project = Project(tmp_path, Settings(), "demo")
        assert [host.name for host in chosen_hosts(project, FLEET, f"@{tmp_path / 'mine'}", NODES)] == ["node-2", "node-3"]
        with pytest.raises(NotFound, match="cannot be read"):
            chosen_hosts(project, FLEET, "@nothing-here", NODES)


class TestRefusing:
    """Before anything is asked of a host."""

    def provision(self, root: Path, hosts: str, url: str = "http://127.0.0.1:8080") -> None:
        (root / "hosts.ini").write_text(hosts)
        provision(Project(root, Settings(inventory="hosts.ini", api_url=url), "demo"))

    @pytest.mark.parametrize(
        ("hosts", "reason"),
        [
            ("[nodes]\na\n", "needs a host in the group control_plane, got none"),
            ("[nodes]\na\n[control_plane]\nb\nc\n", "has 2 hosts, and 2 members of etcd survive 0 failures, as 1 does"),
            ("[nodes]\na\nb\n[control_plane]\na duckconf_provider=container\n", "should be in one"),
            ("[nodes]\na\n[control_plane]\nb duckconf_tls=true\n", "https"),
        ],
    )
    def test_an_inventory_that_does_not_fit(self, tmp_path: Path, hosts: str, reason: str) -> None:
        with pytest.raises(SetupError, match=reason):
            self.provision(tmp_path, hosts)

    def test_an_address_that_promises_more_than_the_inventory(self, tmp_path: Path) -> None:
        with pytest.raises(SetupError, match="speaks http, and api_url says https"):
            self.provision(tmp_path, "[nodes]\na\n[control_plane]\nb\n", "https://127.0.0.1:8080")


def test_the_certificate_is_for_every_name_that_agents_and_commands_use(tmp_path: Path) -> None:
    hosts = {"c": Host("c", "192.0.2.7"), "d": Host("d", "192.0.2.9"), "n": Host("n", "192.0.2.8")}
    inventory = Inventory(hosts, ("n",), ("c", "d"), tls=Tls(), api_urls={"c": "https://in:8080,https://side:8080"}, store=ETCD)
    project = Project(tmp_path, Settings(api_url="https://one:8443, https://two:8443"), "demo")
    assert api_names(project, inventory) == ["c", "192.0.2.7", "d", "192.0.2.9", "one", "two", "in", "side"]
    assert server_urls(project, inventory) == {"c": "https://in:8080,https://side:8080", "d": "https://192.0.2.9:8443"}


def test_another_store_waits_for_up(tmp_path: Path) -> None:
    (tmp_path / "hosts.ini").write_text("[nodes]\na\n[control_plane]\nb duckconf_store=etcd\n")
    project = Project(tmp_path, Settings(inventory="hosts.ini"), "demo")
    project.state.mkdir(parents=True)
    (project.state / "mode").write_text("agents\n")
    with pytest.raises(SetupError, match="is kept in files, and by the inventory it should be in etcd"):
        provision(project)
    assert store_move(project, project.inventory()) == "into-etcd"
    note_store(project, ETCD)
    require_same_store(project, project.inventory())
    (tmp_path / "hosts.ini").write_text("[nodes]\na\n[control_plane]\nb\n")
    assert store_move(project, project.inventory()) == "into-files"


def test_of_several_servers_each_has_an_address_and_the_certificate_names_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, demo = Host("c", "2001:db8::7"), Host("control-1", "127.0.0.1", demo=True)
    monkeypatch.setattr(provisioning, "api_hosts", lambda _: [real, demo])
    inventory = Inventory({host.name: host for host in (real, demo)}, (), ("c", "control-1"))
    project = Project(tmp_path, Settings(api_url="http://one:81,http://two:82"), "demo")
    assert server_urls(project, inventory) == {"c": "http://[2001:db8::7]:81", "control-1": "http://control-1:8080"}
    assert api_names(project, inventory) == ["c", "2001:db8::7", "control-1", "127.0.0.1", "one", "two"]


# Tells how it was called, then speaks as our callback does.
ANSIBLE = """#!/usr/bin/env python3
import json, os, sys
seen = {"argv": sys.argv[1:]}
json.dump(seen, open(os.environ["SEEN"], "w"))
print(open(os.environ["SAYS"]).read(), end="")
sys.stderr.write("[ERROR]: the reason\\n")
sys.exit(int(os.environ.get("CODE", "0")))
"""


class TestPlaybook:
    @pytest.fixture
    def says(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        program = tmp_path / "bin" / "ansible-playbook"
        program.parent.mkdir()
        program.write_text(ANSIBLE)
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program.with_name("python")))
        monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
        monkeypatch.setenv("SAYS", str(tmp_path / "says"))
        (tmp_path / "says").write_text("")
        return tmp_path / "says"

    def playbook(self, root: Path) -> Playbook:
        project = Project(root, Settings(), "demo")
        hosts = [FLEET.hosts["node-1"], Host("far", "192.0.2.1", user="admin")]
        return Playbook(project, hosts, {"duckconf_x": "/a/file"}, {"duckconf_y": 1}, ("node", "agent"))

    def line(self, event: str, host: str, **facts: object) -> str:
        return json.dumps({"event": event, "host": host, "task": "agent : Install it", **facts}) + "\n"

    def test_variables_travel_in_files_that_only_we_read(self, says: Path, tmp_path: Path) -> None:
        says.write_text(self.line("ok", "node-1", changed=True) + self.line("ok", "far", changed=False))
        self.playbook(tmp_path).run()
        argv = json.loads((tmp_path / "seen").read_text())["argv"]
        assert "/a/file" not in " ".join(argv)
        files = sorted((tmp_path / ".duckconf" / "demo" / "provision").iterdir())
        assert [mode(path) for path in files] == [0o600, 0o600]
        assert f"@{files[1]}" in argv

    def test_unknown_host_keys_are_refused(self, says: Path, tmp_path: Path) -> None:
        says.write_text(self.line("ok", "node-1", changed=True) + self.line("ok", "far", changed=False))
        self.playbook(tmp_path).run()
        hosts, variables = (json.loads(path.read_text()) for path in sorted((tmp_path / ".duckconf/demo/provision").iterdir()))
        for host in hosts["all"]["hosts"].values():
            assert "StrictHostKeyChecking=yes" in host["duckconf_ssh_args"]
            assert str(tmp_path / ".duckconf" / "demo" / "known_hosts") in host["duckconf_ssh_args"]
        assert variables["ansible_ssh_args"] == "{{ duckconf_ssh_args }}"
        assert variables["ansible_host_key_checking"] is variables["ansible_ssh_host_key_checking"] is True

    def test_one_result_per_host_and_the_first_failure_does_not_win(
        self, says: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("CODE", "4")
        says.write_text(self.line("unreachable", "far", reason="no route") + self.line("ok", "node-1", changed=True))
        outcomes = self.playbook(tmp_path).run()
        assert isinstance(outcomes["far"].failure, Unreachable)
        assert (outcomes["node-1"].failure, outcomes["node-1"].changed) == (None, 1)
        told = capsys.readouterr()
        assert "node-1: install it: changed" in told.err
        assert "far: install it: unreachable: no route" in told.err
        assert told.out == ""

    @pytest.mark.parametrize(
        "words",
        ["Channel was disconnected while connection attempt was in progress; …", "Mitogen was disconnected from the remote …"],
    )
    def test_a_connection_that_is_lost_in_the_middle_is_told_in_our_words(self, says: Path, tmp_path: Path, words: str) -> None:
        says.write_text(
            self.line("unreachable", "far", reason=f"Task failed: {words}") + self.line("failed", "node-1", reason=words)
        )
        for lost in (outcome.failure for outcome in self.playbook(tmp_path).run().values()):
            assert isinstance(lost, Unreachable)
            assert lost.reason == "install it: the connection broke, or nothing came for 15 s"

    def test_a_host_that_was_never_reached_is_not_called_done(
        self, says: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CODE", "2")
        says.write_text(self.line("failed", "far", reason="no python3"))
        outcomes = self.playbook(tmp_path).run()
        assert isinstance(outcomes["node-1"].failure, DuckconfError)
        assert "batch" in str(outcomes["node-1"].failure)

    def test_an_ansible_that_cannot_run_says_why(self, says: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CODE", "4")
        with pytest.raises(SetupError, match="the reason"):
            self.playbook(tmp_path).run()


class OftenSilent(FakeNode):
    """A host that does not answer the first `silences` times."""

    silences = 1
    may_have_run = False

    def run(self, command: Command) -> Completed:
        self.asked.append(command)
        if len(self.asked) <= self.silences:
            raise Unreachable(self.name, "no answer within 10 s", may_have_run=self.may_have_run)
        return Completed(0, "", "")


def test_a_host_that_is_silent_once_is_looked_at_again_and_one_that_stays_silent_is_not_asked_for_ever() -> None:
    once, always = OftenSilent("node-1"), OftenSilent("node-2")
    always.silences = 99
    assert set(look("n", once, ("agent",))) == {"agent"}
    with pytest.raises(Unreachable):
        look("n", always, ("agent",))
    assert (len(once.asked), len(always.asked)) == (2, 2)


def test_a_host_that_falls_silent_after_the_question_is_not_waited_for_twice() -> None:
    frozen = OftenSilent("node-1")
    frozen.may_have_run = True
    with pytest.raises(Unreachable):
        look("n", frozen, ("agent",))
    assert len(frozen.asked) == 1


def test_what_a_login_file_prints_belongs_to_no_role() -> None:
    class Printing:
        def __init__(self, noise: str) -> None:
            self._noise = noise

        def run(self, command: Command) -> Completed:
            return Completed(0, f"{self._noise}role node\nabc  /etc/duckconf/node\n", "")

    assert look("n", Printing("Welcome\n"), ["node"]) == look("n", Printing(""), ["node"])


def test_provision_of_demo_hosts_alone_says_that_up_makes_them_ready_and_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Project, "inventory", lambda self: FLEET)
    provision_task.run(Project(tmp_path, Settings(), "demo"), "", full=False, as_json=True)
    printed = capsys.readouterr()
    assert json.loads(printed.out) == []
    assert "`./inv up` makes ready; to provision one, name it: --limit NODE" in printed.err
