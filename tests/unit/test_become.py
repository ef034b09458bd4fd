"""Logins: who is who in the inventory, sudo's command lines, and its refusals in clear words."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import cast

import pytest

from duckconf.become import as_root, refusal
from duckconf.command import Command, Completed, Secret
from duckconf.errors import LoginRefused
from duckconf.inventory import Host, read_inventory
from duckconf.reach.ssh.dialogue import Attended
from duckconf.reach.ssh.fleet import Fleet
from duckconf.reach.ssh.host_keys import KnownHosts
from duckconf.reach.ssh.root import RootRunner

ADMIN = Host("n", "192.0.2.1", user="admin", become_password=Secret("hunter2"))
NO_PASSWORD = Host("n", "192.0.2.1", user="admin")
LOOK = Command(("systemctl", "is-active", "x y"))


def node(**variables: object) -> Host:
    return read_inventory({"hosts": {"n": variables}, "groups": {"nodes": ["n"]}}).node("n")


class TestInTheInventory:
    @pytest.mark.parametrize(
        ("variables", "own"),
        [
            ({}, False),
            ({"ansible_user": "root"}, False),
            ({"ansible_user": "admin"}, True),
            ({"ansible_user": "admin", "duckconf_become": False}, False),
            ({"ansible_user": "admin", "duckconf_become": "False"}, False),
            ({"duckconf_become": True}, True),
        ],
    )
    def test_who_is_not_root_gets_a_login_of_its_own_unless_told_otherwise(self, variables: dict[str, object], own: bool) -> None:
        assert node(**variables).own_login is own

    def test_a_control_plane_that_is_no_node_has_no_such_login(self) -> None:
        hosts = {"n": {}, "c": {"ansible_user": "admin"}}
        found = read_inventory({"hosts": hosts, "groups": {"nodes": ["n"], "control_plane": ["c"]}})
        assert not found.hosts["c"].own_login

    def test_the_password_for_sudo_is_a_secret(self) -> None:
        host = node(ansible_user="admin", ansible_become_password="hunter2")
        assert host.become_password == "hunter2"
        assert "hunter2" not in repr(host)

    def test_nonsense_is_refused(self) -> None:
        refused = node(duckconf_become="perhaps").refused
        assert refused is not None
        assert "duckconf_become: should be true or false, got 'perhaps'" in refused.reason

    def test_daily_work_carries_no_password_and_administration_does(self) -> None:
        host = node(ansible_user="admin", ansible_password="a", ansible_become_password="b")
        daily = host.daily()
        assert (daily.user, daily.password, daily.become_password) == ("duckconf", None, None)
        assert host.administered() == Host("n", "n", user="admin", password=Secret("a"), become_password=Secret("b"))

    def test_without_a_login_of_its_own_daily_work_is_done_by_the_one_there_is(self) -> None:
        host = node()
        assert host.daily() == host == host.administered()


class TestBecomingRoot:
    def test_root_needs_nothing(self) -> None:
        assert as_root(LOOK, Host("n", "192.0.2.1")) is LOOK

    def test_the_password_is_on_stdin_and_nowhere_else(self) -> None:
        command = as_root(LOOK, ADMIN)
        assert command.stdin == b"hunter2\n"
        assert "hunter2" not in command.shell_line()

    def test_without_a_password_sudo_must_not_ask(self) -> None:
        command = as_root(LOOK, NO_PASSWORD)
        assert command.argv[2:5] == ("sudo", "-n", "--")
        assert command.stdin == b""

    @pytest.mark.parametrize("host", [ADMIN, NO_PASSWORD], ids=["password", "none"])
    def test_the_program_gets_its_arguments_and_not_the_password(self, host: Host, tmp_path: Path) -> None:
        """With a sudo that asks for none, as after NOPASSWD."""
        (tmp_path / "sudo").write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n')
        (tmp_path / "sudo").chmod(0o755)
        command = as_root(Command(("sh", "-c", 'printf "<%s>" "$@"; cat', "sh", "a b", "$c")), host)
        environ = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        done = subprocess.run(command.argv, input=command.stdin, env=environ, capture_output=True, check=True, timeout=20)
        assert done.stdout == b"<a b><$c>"


@pytest.mark.parametrize(
    ("code", "said", "words"),
    [
        (1, "Sorry, try again.\nsudo: no password was provided\nsudo: 1 incorrect password attempt", "refuses the password of"),
        (1, "sudo: interactive authentication is required", "asks admin for a password"),
        (1, "sudo: Authentication required but not attempted", "asks admin for a password"),
        (1, "sudo: Maximum 3 incorrect authentication attempts", "refuses the password of"),
        (1, "sudo: I'm sorry admin. I'm afraid I can't do that", "may not use sudo"),
        (1, "Sorry, user admin may not run /usr/bin/sh on web-1.", "may not use sudo"),
        (1, "sudo: sorry, you must have a tty to run sudo", "requiretty"),
        (1, "sudo: Account or password is expired, reset your password and try again", "chage -l admin"),
        (1, "sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set", "repair sudo"),
        (1, "doas: Operation not permitted", "may not use sudo"),
        (1, "sudo: invalid configuration: syntax error", 'sudo says: "sudo: invalid configuration: syntax error"'),
        (1, "sudo: a password is required", "asks admin for a password, and the inventory has none"),
        (1, "admin is not in the sudoers file.", "may not use sudo"),
        (127, "env: 'sudo': No such file or directory", "has no sudo"),
    ],
)
def test_sudos_no_is_told_in_clear_words(code: int, said: str, words: str) -> None:
    found = refusal(Completed(code, "", said), NO_PASSWORD)
    assert isinstance(found, LoginRefused)
    assert words in str(found)


@pytest.mark.parametrize(
    "done",
    [
        Completed(0, "", ""),
        Completed(3, "inactive", "no such unit"),
        Completed(127, "", "sudo: x: command not found"),
        Completed(1, "", "sudo: unable to resolve host n"),
    ],
)
def test_what_the_command_itself_says_is_no_refusal(done: Completed) -> None:
    assert refusal(done, ADMIN) is None


class Node:
    """Gives one answer to whatever it is asked, also piece by piece."""

    def __init__(self) -> None:
        self.answer = Completed(1, "", "sudo: a password is required")
        self.fed: list[bytes] = []

    def run(self, command: Command) -> Completed:
        return self.answer

    def attend(self, command: Command) -> Attended:
        return cast(Attended, self)

    def feed(self, pieces: Iterable[bytes]) -> None:
        self.fed += pieces

    def pump(self, out: Callable[[bytes], None], err: Callable[[bytes], None]) -> int:
        out(self.answer.stdout.encode())
        err(self.answer.stderr.encode())
        return self.answer.code

    def close(self) -> None:
        self.fed.append(b"closed")


def test_a_refusal_is_raised_and_an_answer_passed_on() -> None:
    node = Node()
    with pytest.raises(LoginRefused):
        RootRunner(NO_PASSWORD, node).run(LOOK)
    node.answer = Completed(3, "inactive", "")
    assert RootRunner(NO_PASSWORD, node).run(LOOK) == node.answer


def test_what_is_followed_as_root_comes_piece_by_piece_and_a_refusal_is_raised() -> None:
    node, told = Node(), list[bytes]()
    with pytest.raises(LoginRefused):
        RootRunner(NO_PASSWORD, node).follow(LOOK, told.append)
    node.answer = Completed(0, "a line", "")
    RootRunner(NO_PASSWORD, node).follow(LOOK, told.append)
    assert told[-1] == b"a line"
    assert node.fed.count(b"closed") == 2


def test_a_missing_login_key_says_what_makes_it(tmp_path: Path) -> None:
    host = Host("n", "192.0.2.1", user="admin", own_login=True)
    fleet = Fleet([host], KnownHosts(tmp_path / "pins"), tmp_path / "id_ed25519", 1.0)
    with pytest.raises(LoginRefused, match=r"`\./inv provision` makes it"):
        fleet.runner("n").open()
