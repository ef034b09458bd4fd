"""What ssh's and Ansible's options mean for one host, and which are refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from duckconf.become import as_root
from duckconf.command import Command
from duckconf.inventory import Host, Inventory, read_inventory
from duckconf.route import jump_argv, route
from duckconf.ssh_config import (
    Question,
    has_effect,
    includes,
    names_users,
    question,
    read_answer,
    varies,
)

DEBIANS = """\
# This is the ssh client system-wide configuration file.
Include /etc/ssh/ssh_config.d/*.conf
Host *
    SendEnv LANG LC_*
    HashKnownHosts yes
    GSSAPIAuthentication yes
"""


def node(answer: dict[str, list[str]] | None = None, origins: dict[str, Any] | None = None, **variables: object) -> Host:
    document: dict[str, Any] = {"hosts": {"n": variables}, "groups": {"nodes": ["n"]}, "origins": {"n": origins or {}}}
    if answer is not None:
        document["ssh"] = {"n": answer}
    return read_inventory(document).node("n")


class TestAsking:
    def test_the_words_stand_in_the_order_of_the_roles_ssh(self) -> None:
        variables = {
            "ansible_ssh_args": "-F 'my file'",
            "ansible_ssh_common_args": "-J gw",
            "ansible_port": 2222,
            "ansible_user": "admin",
            "ansible_ssh_private_key_file": "~/k",
        }
        asked = question("web", variables)
        assert asked.argv == (
            *("ssh", "-G", "-T", "-o", "User=admin", "-o", "Port=2222", "-o", 'IdentityFile="~/k"'),
            *("-F", "my file", "-J", "gw", "--", "web"),
        )
        assert (asked.file, asked.added) == ("my file", ("-F", "my file", "-J", "gw"))

    def test_of_several_files_the_last_one_counts(self) -> None:
        assert Question("n", ("-F", "a", "-Fb")).file == "b"

    def test_what_distributions_write_says_nothing_of_a_host(self) -> None:
        assert not has_effect([DEBIANS])
        assert includes(DEBIANS) == ["/etc/ssh/ssh_config.d/*.conf"]

    @pytest.mark.parametrize(
        "line", ["HostName 10.0.0.1", "port=22", "Match all", " ProxyJump gw", "IdentitiesOnly yes", "User = x"]
    )
    def test_a_file_that_says_anything_has_ssh_asked(self, line: str) -> None:
        assert has_effect([DEBIANS, f"Host x\n{line}\n"])

    def test_a_user_is_found_in_files_and_arguments(self) -> None:
        assert names_users(["Host x\n  User bob\n"])
        assert names_users([], ["-o", "User=bob"])
        assert names_users([], ["-lbob"])
        assert not names_users(["Match user bob\n"], ["-o", "UserKnownHostsFile=x"])

    @pytest.mark.parametrize(
        ("text", "changes"),
        [
            ('Match host x exec "nc -z gw 22"\n', True),
            ("Match localnetwork 10.0.0.0/8\n", True),
            ("IdentityFile ${KEYS}/id\n", True),
            ("Match host exec-1\n", False),
            ("Host exec\n", False),
        ],
    )
    def test_what_can_change_by_itself_is_not_remembered(self, text: str, changes: bool) -> None:
        assert varies([text]) is changes

    def test_the_answer_is_read_with_keywords_in_any_case_and_lists_kept(self) -> None:
        found = read_answer("hostname 10.0.0.9\nciphers a,b\nidentityfile ~/.ssh/a\nidentityfile ~/.ssh/b b\n")
        assert found == {"hostname": ["10.0.0.9"], "identityfile": ["~/.ssh/a", "~/.ssh/b b"]}


class TestAnswers:
    def test_an_alias_is_reached_at_its_address_and_port(self) -> None:
        host = node({"hostname": ["10.0.0.9"], "port": ["2222"], "user": ["bob"], "hostkeyalias": ["web"]})
        assert (host.where, host.user, host.way.alias, host.own_login) == ("10.0.0.9:2222", "bob", "web", True)

    def test_who_is_said_by_ansible_wins_over_the_configuration_and_root_is_the_last(self) -> None:
        assert node({"hostname": ["n"], "user": ["bob"]}, ansible_user="eve").user == "eve"
        assert node({"hostname": ["n"]}).user == "root"

    def test_keys_agents_and_known_hosts_are_the_configurations(self) -> None:
        answer = {
            "identityfile": ["~/.ssh/a"],
            "identitiesonly": ["yes"],
            "userknownhostsfile": ["/x/a /x/b"],
            "globalknownhostsfile": ["none"],
        }
        way = node(answer).way
        assert (way.key_files, way.agent, way.known_hosts) == (("~/.ssh/a",), False, ("/x/a", "/x/b"))

    def test_a_jump_is_ssh_itself_which_checks_keys_and_asks_nobody(self) -> None:
        found = route(Question("n", ("-F", "conf")), {"hostname": ["10.0.0.9"], "proxyjump": ["me@gw:2200"]}).way
        assert found.jump == "the jump host me@gw:2200"
        assert found.proxy[:3] == ("ssh", "-F", "conf")
        assert found.proxy[-8:] == ("-l", "me", "-p", "2200", "-W", "[10.0.0.9]:22", "--", "gw")
        assert {"BatchMode=yes", "StrictHostKeyChecking=yes"} <= set(found.proxy)

    def test_each_of_several_jumps_goes_through_those_before_it(self) -> None:
        argv = jump_argv(("ssh",), ["a", "b", "d"], "[t]:22")
        (proxy,) = (word for word in argv if word.startswith("ProxyCommand="))
        assert argv[-1] == "d"
        assert "'[%h]:%p'" in proxy
        # The tokens of the jump before are left for its own ssh.
        assert proxy.count("[%%h]:%%p") == 1
        assert proxy.endswith("-- b")
        assert "StrictHostKeyChecking=yes" in proxy

    @pytest.mark.parametrize("answer", [{"proxyjump": ["none"]}, {"proxycommand": ["none"]}, {}])
    def test_no_jump_is_no_jump(self, answer: dict[str, list[str]]) -> None:
        assert node({"hostname": ["n"], **answer}).way.proxy == ()

    @pytest.mark.parametrize("answer", [{"proxyjump": [","]}, {"proxyjump": ["a,,b"]}, {"proxycommand": [" "]}])
    def test_a_jump_without_a_host_and_a_command_without_a_word_are_refused_by_name(self, answer: dict[str, list[str]]) -> None:
        refused = node({"hostname": ["n"], **answer}).refused
        assert refused is not None
        assert "in which a host is missing" in refused.reason or "a ProxyCommand that is blank" in refused.reason

    def test_the_tokens_of_a_proxy_command_are_filled_in(self) -> None:
        answer = {"hostname": ["10.0.0.9"], "port": ["24"], "proxycommand": ["nc -x %n %h %p %r 100%%"]}
        assert node(answer, ansible_user="bob").way.proxy == ("sh", "-c", "exec nc -x n 10.0.0.9 24 bob 100%")

    def test_files_have_their_tokens_filled_in_and_may_have_spaces(self) -> None:
        answer = {
            "hostname": ["web"],
            "hostkeyalias": ["w"],
            "identityfile": ["%d/my keys/%h"],
            "certificatefile": ["~/my keys/web-cert.pub"],
            "userknownhostsfile": ["/a b/k /root/%k"],
            "globalknownhostsfile": ["none"],
        }
        host = node(answer)
        assert host.way.key_files == ("~/my keys/web",)
        assert host.way.known_hosts == ("/a b/k", "/root/w")
        assert host.refused is None

    @pytest.mark.parametrize(
        ("answer", "word"),
        [
            ({"identityfile": ["~/%u"]}, "IdentityFile with %u"),
            ({"proxycommand": ["nc %C"]}, "ProxyCommand with %C"),
            ({"proxyusefdpass": ["yes"]}, "ProxyUseFdpass"),
            ({"revokedhostkeys": ["/x"]}, "RevokedHostKeys /x"),
            ({"pkcs11provider": ["/x.so"]}, "PKCS11Provider /x.so"),
            ({"bindinterface": ["eth1"]}, "BindInterface eth1"),
            ({"certificatefile": ["~/c-cert.pub"], "identityfile": ["~/k"]}, "CertificateFile ~/c-cert.pub"),
            ({"proxyjump": ["gw:port"]}, "ProxyJump gw:port"),
            ({"error": ["line 3: Bad configuration option: foo"]}, "line 3: Bad configuration option"),
        ],
    )
    def test_what_only_ssh_can_do_is_refused_by_name(self, answer: dict[str, list[str]], word: str) -> None:
        refused = node({"hostname": ["n"], **answer}).refused
        assert refused is not None
        assert word in refused.reason
        assert refused.remedy

    def test_a_certificate_beside_its_key_is_used(self) -> None:
        assert node({"certificatefile": ["~/k-cert.pub"], "identityfile": ["~/k"]}).refused is None


class TestAnsiblesVariables:
    @pytest.mark.parametrize(
        ("name", "value", "word"),
        [
            ("ansible_connection", "local", "is local, and only ssh is supported"),
            ("ansible_connection", "community.docker.docker", "is community.docker.docker"),
            ("ansible_private_key", True, "holds a key"),
            ("ansible_ssh_pkcs11_provider", "/x.so", "/x.so"),
            ("ansible_ssh_common_args", "-o 'x", "a quote that does not close"),
        ],
    )
    def test_what_only_ansible_can_do_is_refused_with_its_place(self, name: str, value: object, word: str) -> None:
        refused = node(None, {name: ["the_name", "hosts.yml:7"]}, **{name: value}).refused
        assert refused is not None
        assert refused.reason.startswith("the_name (hosts.yml:7) ")
        assert word in refused.reason

    @pytest.mark.parametrize("connection", ["ssh", "smart", "ansible.builtin.ssh"])
    def test_ssh_under_each_of_its_names_is_ssh(self, connection: str) -> None:
        assert node(ansible_connection=connection).refused is None

    @pytest.mark.parametrize(
        "variables", [{"ansible_become_method": "su"}, {"ansible_become_user": "web"}, {"ansible_become": False}]
    )
    def test_another_way_to_root_is_refused_where_root_is_needed_and_daily_work_goes_on(self, variables: dict[str, Any]) -> None:
        host = node(ansible_user="admin", **variables)
        assert host.refused is None
        assert host.root_refused is not None
        assert next(iter(variables)) in host.root_refused.reason

    def test_who_is_root_needs_no_way_to_become_it(self) -> None:
        assert node(ansible_become_method="su", ansible_become=False).root_refused is None

    def test_sudos_program_and_options_are_the_inventorys(self) -> None:
        host = node(ansible_user="admin", ansible_become_exe="/opt/sudo", ansible_become_flags="-H -S -n -E")
        assert as_root(Command(("true",)), host).argv[2:7] == ("/opt/sudo", "-H", "-E", "-n", "--")

    def test_a_host_that_is_not_used_is_not_judged(self) -> None:
        hosts: dict[str, Any] = {"n": {}, "printer": {"ansible_connection": "local"}}
        found: Inventory = read_inventory({"hosts": hosts, "groups": {"nodes": ["n"], "office": ["printer"]}})
        assert found.hosts["n"].refused is None

    def test_a_demo_host_has_nothing_of_ansible_cfg(self) -> None:
        origins = {"ansible_user": ["remote_user", "/etc/ansible/ansible.cfg"], "ansible_port": ["ansible_port", "hosts.yml:3"]}
        host = node(None, origins, ansible_user="bob", ansible_port=2201, duckconf_provider="container")
        assert (host.user, host.port) == ("root", 2201)
