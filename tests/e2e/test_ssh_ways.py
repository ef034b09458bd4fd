"""Hosts as ssh's configuration and ansible.cfg describe them: aliases, jump hosts, keys, known_hosts files of their own.

The nodes are the live cluster's, here as real machines. The first one is the jump host, behind which the second one has no
port of its own on this machine.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from duckconf.cli.demo.host_files import new_key
from duckconf.cli.roles import playbook
from duckconf.cli.roles.playbook import Playbook
from duckconf.command import Command
from duckconf.errors import HostKeyRefused, LoginRefused, NodeFailure, Unreachable
from duckconf.inventory import Inventory
from duckconf.reach.inventory.hosts import load_inventory
from duckconf.reach.inventory.project import load_project
from duckconf.reach.ssh.fleet import Fleet
from duckconf.reach.ssh.host_keys import KnownHosts
from tests.e2e import warm
from tests.e2e.conftest import ROOT, Live
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("pushing")]

PLAY = "- hosts: nodes\n  gather_facts: false\n  become: true\n  tasks:\n    - name: Say hello\n      ansible.builtin.ping:\n"
CONFIG = """\
Include {folder}/jumps
Host inner
  HostName node-2
  ProxyJump {jump}
  HostKeyAlias behind-the-jump
  UserKnownHostsFile {folder}/known_inner
Match host alias
  HostName 127.0.0.1
  Port {ports[2]}
Host node-1
  HostName 127.0.0.1
  Port {ports[0]}
  ProxyJump none
Host *
  User root
  UserKnownHostsFile {folder}/known_others
"""
JUMPS = """\
Host gate
  HostName 127.0.0.1
  Port {port}
Host middle
  HostName node-3
Host gate middle
  IdentityFile {key}
  IdentitiesOnly yes
  UserKnownHostsFile {known}
"""


@dataclass(frozen=True)
class Place:
    """A folder with an inventory, ansible.cfg and ssh configuration, of which the live cluster's nodes know nothing."""

    live: Live
    folder: Path

    @property
    def inventory(self) -> Path:
        return self.folder / "hosts.ini"

    @property
    def environ(self) -> dict[str, str]:
        return {
            **self.live.environ, "DUCKCONF_INVENTORY": str(self.inventory), "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
        }  # fmt: skip

    def inv(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return warm.inv(words, {**self.environ, **environ}, timeout=120)

    def loaded(self) -> Inventory:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ANSIBLE_CONFIG", self.environ["ANSIBLE_CONFIG"])
            return load_inventory(self.inventory, self.folder, secrets=True)

    def fleet(self, deadline: float = 5.0, pins: str = "pins") -> Fleet:
        return Fleet(self.loaded().node_hosts(), KnownHosts(self.folder / pins), self.folder / "no-key", deadline)

    def hosts(self, *lines: str) -> None:
        self.inventory.write_text("\n".join(["[nodes]", *lines, ""]))

    def configure(self, jump: str = "gate", known: str = "known_gate") -> None:
        ports = [host.port for host in self.live.project.inventory().node_hosts()]
        (self.folder / "conf").write_text(CONFIG.format(folder=self.folder, jump=jump, ports=ports))
        facts = {"port": ports[0], "key": self.live.project.login_key, "known": self.folder / known}
        (self.folder / "jumps").write_text(JUMPS.format(**facts))


@pytest.fixture
def place(live: Live, tmp_path: Path) -> Place:
    """Three nodes: one by its own name, one behind it, one by an alias. User, key and configuration stand in ansible.cfg."""
    made = Place(live, tmp_path)
    keys = {line.split()[0]: " ".join(line.split()[1:]) for line in live.project.pins.read_text().splitlines() if line}
    first, second, third = (keys[f"[127.0.0.1]:{host.port}"] for host in live.project.inventory().node_hosts())
    ports = [host.port for host in live.project.inventory().node_hosts()]
    (tmp_path / "known_gate").write_text(f"[127.0.0.1]:{ports[0]} {first}\nnode-3 {third}\n")
    (tmp_path / "known_inner").write_text(f"behind-the-jump {second}\n")
    (tmp_path / "known_others").write_text(f"[127.0.0.1]:{ports[0]} {first}\n[127.0.0.1]:{ports[2]} {third}\n")
    settings = f"[defaults]\nremote_user = root\nprivate_key_file = {live.project.login_key}\n"
    (tmp_path / "ansible.cfg").write_text(f"{settings}[ssh_connection]\nssh_args = -F {tmp_path}/conf\n")
    made.configure()
    made.hosts("node-1", "node-2 ansible_host=inner", "node-3 ansible_host=alias")
    return made


@pytest.fixture
def no_child_is_left() -> Iterator[None]:
    """Whatever ended a connection, its program is ended and awaited."""
    before = set(psutil.Process().children(recursive=True))
    yield
    until("no child is left", lambda: set(psutil.Process().children(recursive=True)) <= before, 10)


def test_listings_find_every_host_as_ssh_would(place: Place) -> None:
    for words in (("nodes", "--json"), ("ps", "--json")):
        done = place.inv(*words)
        assert done.returncode == 0, done.stderr
    listed = place.inv("nodes", "--json")
    assert {row["name"]: row["status"] for row in json.loads(listed.stdout)} == dict.fromkeys(
        ("node-1", "node-2", "node-3"), "ready"
    )


def test_doctor_goes_the_same_way(place: Place) -> None:
    done = place.inv("doctor", "node-2", "--json")
    found = {row["check"]: row["detail"] for row in json.loads(done.stdout)}
    assert found["port"] == "node-2:22 is open, through the jump host gate"
    assert "is pinned" in found["host key"]
    assert found["login"] == "as root, by key"


@pytest.mark.usefixtures("no_child_is_left")
def test_a_connection_through_a_jump_serves_many_commands_and_leaves_nothing_behind(place: Place) -> None:
    with closing(place.fleet()) as fleet:
        for _ in range(3):
            assert fleet.runner("node-2").run(Command(("cat", "/etc/duckconf/node"))).stdout.strip() == "node-2"
        poured = fleet.runner("node-2").pour(Command(("wc", "-c")), [b"x" * 300_000] * 10)
        assert poured.stdout.strip() == "3000000"


@pytest.mark.usefixtures("no_child_is_left")
def test_a_chain_of_jumps_is_a_chain(place: Place) -> None:
    place.configure(jump="gate,middle")
    with closing(place.fleet()) as fleet:
        assert fleet.runner("node-2").run(Command(("echo", "hi"))).stdout == "hi\n"


@pytest.mark.usefixtures("no_child_is_left")
def test_a_jump_host_whose_key_is_not_known_or_has_changed_is_refused_by_name(place: Place) -> None:
    place.configure(known="known_nobody")
    port = place.live.project.inventory().node_hosts()[0].port
    for content in ("", f"[127.0.0.1]:{port} {new_key()[1]}\n"):
        (place.folder / "known_nobody").write_text(content)
        with closing(place.fleet()) as fleet:
            with pytest.raises(HostKeyRefused, match="the host key of the jump host gate is not known, or has changed"):
                fleet.runner("node-2").open()
            fleet.runner("node-3").open()


@pytest.mark.usefixtures("no_child_is_left")
def test_a_jump_host_that_refuses_the_login_or_is_away_is_named_with_its_words(place: Place) -> None:
    jumps = (place.folder / "jumps").read_text()
    (place.folder / "jumps").write_text(f"Host gate\n  User nobody\n{jumps}")
    with closing(place.fleet()) as fleet, pytest.raises(LoginRefused, match=r"the jump host gate refuses the login.*Permission"):
        fleet.runner("node-2").open()
    (place.folder / "jumps").write_text(f"Host gate\n  Port 9\n{jumps}")
    with closing(place.fleet()) as fleet, pytest.raises(Unreachable, match=r"through the jump host gate.*Connection refused"):
        fleet.runner("node-2").open()


@pytest.mark.usefixtures("no_child_is_left")
def test_a_host_behind_a_jump_shows_its_own_key(place: Place) -> None:
    (place.folder / "known_inner").write_text(f"behind-the-jump {new_key()[1]}\n")
    with closing(place.fleet()) as fleet, pytest.raises(HostKeyRefused, match="node-2: its host key has changed"):
        fleet.runner("node-2").open()


@pytest.mark.usefixtures("no_child_is_left")
def test_a_jump_that_never_answers_costs_its_own_deadline(place: Place) -> None:
    config = (place.folder / "conf").read_text()
    (place.folder / "conf").write_text(config.replace("ProxyJump gate", "ProxyCommand sleep 600"))
    with closing(place.fleet(deadline=2.0)) as fleet, pytest.raises(NodeFailure, match=r"node-2: no answer.* within 2 s"):
        fleet.runner("node-2").open()


def test_a_key_is_accepted_under_its_alias_and_the_roles_take_it(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = (place.folder / "known_inner").read_text()
    (place.folder / "known_inner").write_text("")
    refused = place.inv("ps")
    assert refused.returncode == 4
    shown = next(word for word in refused.stderr.split() if word.startswith("SHA256:")).rstrip(",;:")
    pins = place.live.project.pins
    before = pins.read_bytes()
    try:
        accepted = place.inv("accept-key", "node-2", shown)
        assert accepted.returncode == 0, accepted.stderr
        assert key.strip() in pins.read_text()
        assert place.inv("ps").returncode == 0
        play = place.folder / "play.yml"
        play.write_text(PLAY)
        monkeypatch.setattr(playbook, "PLAYBOOK", play)
        for name, value in place.environ.items():
            monkeypatch.setenv(name, value)
        outcomes = Playbook(load_project(ROOT, place.environ), place.loaded().node_hosts(), {}, {}, ("all",)).run()
        assert {name: outcome.failure for name, outcome in outcomes.items()} == dict.fromkeys(outcomes)
    finally:
        pins.write_bytes(before)


def test_an_alias_of_a_node_is_that_node(place: Place) -> None:
    (place.folder / "hosts.yml").write_text("nodes:\n  hosts:\n    node-1:\n")
    same = place.inv("add-node", "web-2", "--host", "gate", DUCKCONF_INVENTORY=str(place.folder / "hosts.yml"))
    assert same.returncode == 1
    assert "is in the inventory already: node-1" in same.stderr


def test_a_login_without_any_key_says_what_would_be_one(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    found = place.loaded().node("node-3")
    nobody = dataclasses.replace(found, key_file=None, way=dataclasses.replace(found.way, key_files=()))
    with (
        closing(Fleet([nobody], KnownHosts(place.folder / "pins"), place.folder / "no-key", 5.0)) as fleet,
        pytest.raises(LoginRefused, match="there is no key and no password to log in with as root"),
    ):
        fleet.runner("node-3").open()


def test_what_is_not_supported_is_a_result_of_its_host(place: Place) -> None:
    place.hosts(
        "node-1 ansible_connection=local", "node-2 ansible_host=inner ansible_become_method=su", "node-3 ansible_host=alias"
    )
    done = place.inv("nodes", "--json")
    assert done.returncode == 4
    assert f"node-1: ansible_connection ({place.inventory}" in done.stderr
    assert {row["name"]: row["status"] for row in json.loads(done.stdout)} == {
        "node-1": "unreachable", "node-2": "ready", "node-3": "ready",
    }  # fmt: skip
    looked = place.inv("doctor", "node-1", "--json")
    assert (
        "is local, and only ssh is supported" in {row["check"]: row["detail"] for row in json.loads(looked.stdout)}["inventory"]
    )
