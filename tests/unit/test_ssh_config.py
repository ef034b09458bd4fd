"""What Ansible and OpenSSH themselves make of inventories, ansible.cfg and ssh's configuration, and when they are asked."""

from __future__ import annotations

import getpass
import shutil
from pathlib import Path

import pytest

from duckconf.inventory import Host
from duckconf.reach.inventory import ssh_config
from duckconf.reach.inventory.hosts import load_inventory

needs_ssh = pytest.mark.skipif(shutil.which("ssh") is None, reason="no OpenSSH client here")


@pytest.fixture(autouse=True)
def nothing_else_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_config, "SYSTEM", tmp_path / "none")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("ANSIBLE_CONFIG", "ANSIBLE_SSH_ARGS", "ANSIBLE_REMOTE_USER"):
        monkeypatch.delenv(name, raising=False)


def nodes(folder: Path, lines: str) -> dict[str, Host]:
    (folder / "hosts.ini").write_text(f"[nodes]\n{lines}\n")
    return {host.name: host for host in load_inventory(folder / "hosts.ini", folder, secrets=True).node_hosts()}


# What is said of a host, and what becomes of that.
NAMES: tuple[tuple[str, str, object], ...] = (
    ("ansible_ssh_host=192.0.2.1 ansible_ssh_port=23 ansible_ssh_user=bob", "where", "192.0.2.1:23"),
    ("ansible_ssh_user=bob", "user", "bob"),
    ("ansible_ssh_pass=x", "password", "x"),
    ("ansible_ssh_password=x", "password", "x"),
    ("ansible_private_key_file=/k", "key_file", "/k"),
    ("ansible_ssh_private_key_file=/k", "key_file", "/k"),
    ("ansible_become_pass=x", "become_password", "x"),
    ("ansible_sudo_pass=x", "become_password", "x"),
    ("ansible_sudo_exe=/opt/sudo", "sudo", ("/opt/sudo",)),
    ("ansible_user={{who}} who=bob", "user", "bob"),
)


class TestAnsible:
    def test_every_name_that_ansible_has_for_it_counts(self, tmp_path: Path) -> None:
        found = nodes(tmp_path, "\n".join(f"n{number} {said}" for number, (said, _, _) in enumerate(NAMES)))
        became = [(said, field, getattr(found[f"n{number}"], field)) for number, (said, field, _) in enumerate(NAMES)]
        assert became == list(NAMES)

    def test_ansible_cfg_counts_below_the_inventory_and_is_looked_at_again(self, tmp_path: Path) -> None:
        config = tmp_path / "ansible.cfg"
        config.write_text("[defaults]\nremote_user = bob\nremote_port = 24\nprivate_key_file = /k\n")
        found = nodes(tmp_path, "a\nb ansible_user=eve ansible_port=25")
        assert [(host.user, host.port, host.key_file) for host in found.values()] == [("bob", 24, "/k"), ("eve", 25, "/k")]
        config.write_text("[defaults]\nremote_user = carol\n")
        assert nodes(tmp_path, "a\nb ansible_user=eve ansible_port=25")["a"].user == "carol"

    def test_the_environment_of_ansible_counts(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert nodes(tmp_path, "n")["n"].user == "root"
        monkeypatch.setenv("ANSIBLE_REMOTE_USER", "bob")
        assert nodes(tmp_path, "n")["n"].user == "bob"

    def test_a_refusal_names_the_place_and_leaves_the_others_alone(self, tmp_path: Path) -> None:
        (tmp_path / "ansible.cfg").write_text("[privilege_escalation]\nbecome_method = doas\n")
        found = nodes(tmp_path, "a ansible_connection=local\nb ansible_user=admin\nc")
        assert found["a"].refused is not None
        assert found["a"].refused.reason.startswith(f"ansible_connection ({tmp_path / 'hosts.ini'}")
        assert found["b"].root_refused is not None
        assert f"become_method ({tmp_path / 'ansible.cfg'}) is doas" in found["b"].root_refused.reason
        assert found["c"].refused is found["c"].root_refused is None

    def test_a_port_that_is_none_is_a_fault_of_its_host(self, tmp_path: Path) -> None:
        refused = nodes(tmp_path, "n ansible_port=many")["n"].refused
        assert refused is not None
        assert "ansible_port: should be a port from 1 to 65535, got 'many'" in refused.reason


@needs_ssh
class TestOpenSsh:
    def config(self, folder: Path, text: str) -> str:
        (folder / "conf").write_text(text)
        return f"ansible_ssh_common_args='-F {folder}/conf'"

    def test_match_include_and_alias_are_read_as_ssh_reads_them(self, tmp_path: Path) -> None:
        (tmp_path / "more").write_text("Host web\n  HostName 192.0.2.7\n  HostKeyAlias w\n")
        args = self.config(
            tmp_path,
            f"Include {tmp_path}/more\nMatch host 192.0.2.7\n  Port 2222\n  User bob\nHost *\n  Port 24\n  ProxyJump gw\n",
        )
        found = nodes(tmp_path, f"web {args}\nother {args}")
        web, other = found["web"], found["other"]
        assert (web.where, web.user, web.way.alias) == ("192.0.2.7:2222", "bob", "w")
        assert (other.where, other.user) == ("other:24", "root")
        assert web.way.jump == other.way.jump == "the jump host gw"

    def test_a_user_who_is_also_the_one_here_counts_where_the_configuration_says_so(self, tmp_path: Path) -> None:
        args = self.config(tmp_path, f"Host a\n  User {getpass.getuser()}\nHost b\n  Port 24\n")
        found = nodes(tmp_path, f"a {args}\nb {args}")
        assert (found["a"].user, found["b"].user) == (getpass.getuser(), "root")

    def test_a_configuration_that_ssh_cannot_read_is_a_result_of_each_host_with_ssh_s_words(self, tmp_path: Path) -> None:
        found = nodes(tmp_path, f"a {self.config(tmp_path, 'Prot 24')}\nb")
        assert found["a"].refused is not None
        assert "conf: line 1: Bad configuration option: prot" in found["a"].refused.reason
        assert found["b"].refused is None

    def test_ssh_is_asked_once_per_content_of_its_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        args = self.config(tmp_path, "Host a\n  Port 24\n")
        assert nodes(tmp_path, f"a {args}")["a"].port == 24
        with monkeypatch.context() as patch:
            patch.setattr(ssh_config, "_ask", None)
            assert nodes(tmp_path, f"a {args}")["a"].port == 24
        self.config(tmp_path, "Host a\n  Port 25\n")
        assert nodes(tmp_path, f"a {args}")["a"].port == 25

    def test_a_program_in_the_configuration_runs_once_for_a_process_and_its_answer_is_not_kept(self, tmp_path: Path) -> None:
        ran = tmp_path / "ran"
        args = self.config(tmp_path, f'Match host a exec "echo x >>{ran}"\n  Port 24\n')
        for _ in range(3):
            assert nodes(tmp_path, f"a {args}")["a"].port == 24
        assert ran.read_text() == "x\n"
        assert not list((tmp_path / ".duckconf").glob("ssh-*"))

    def test_nobody_is_asked_where_no_file_says_anything(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / ".ssh").mkdir()
        (tmp_path / ".ssh" / "config").write_text("Host *\n  ServerAliveInterval 30\n")
        monkeypatch.setattr(ssh_config, "_ask", None)
        assert nodes(tmp_path, "a\nb ansible_user=bob")["b"].user == "bob"


def test_without_a_client_paramiko_reads_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "conf").write_text("Host a\n  HostName 192.0.2.7\n  Port 24\n  User bob\nHost b\n  ProxyJump gw\n")
    lines = "\n".join(f"{name} ansible_ssh_executable=/no/ssh ansible_ssh_common_args='-F {tmp_path}/conf'" for name in "ab")
    found = nodes(tmp_path, lines)
    assert (found["a"].where, found["a"].user) == ("192.0.2.7:24", "bob")
    assert found["b"].refused is not None
    assert "needs an OpenSSH client" in found["b"].refused.reason


def test_without_a_client_nothing_of_the_inventory_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "conf").write_text("Host *\n  Port 23\n")
    common = "ansible_ssh_executable=/no/ssh ansible_port=2222"
    found = nodes(
        tmp_path,
        f"a {common} ansible_ssh_common_args='-F {tmp_path}/conf'\nb {common} ansible_ssh_common_args='-J bastion -l bob'",
    )
    assert found["a"].port == 2222
    assert found["b"].refused is not None
    assert "-J bastion -l bob needs an OpenSSH client" in found["b"].refused.reason


def test_a_client_that_is_no_program_refuses_the_hosts_that_use_it_by_name(tmp_path: Path) -> None:
    broken, common = tmp_path / "ssh", "ansible_ssh_common_args='-o Port=24'"
    broken.write_bytes(b"\x7fELF no program")
    broken.chmod(0o755)
    found = nodes(tmp_path, f"a ansible_ssh_executable={broken} {common}\nb {common}")
    assert found["a"].refused is not None
    assert f"ansible_ssh_executable {broken}" in found["a"].refused.reason
    assert (found["b"].refused, found["b"].port) == (None, 24)
