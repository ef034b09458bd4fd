"""What hosts say, and the setting that is named for it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from duckconf import backoff, host_words
from duckconf.command import Completed
from duckconf.engine_output import read_containers
from duckconf.errors import BadInput, EngineUnavailable, LoginRefused
from duckconf.reach.ssh import runner as ssh_runner
from duckconf.reach.ssh.runner import SshRunner
from duckconf.ssh_address import SshAddress, read_address
from tests.waiting import until

LOGIN = "login duckconf:x:998:998::/home/duckconf:/bin/sh\ngroups duckconf\npassword duckconf L\n"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("Too many authentication failures", "MaxAuthTries"),
        ("Not allowed at this time", "PerSourcePenalties"),
        ("Your account has expired; please contact your system administrator.", "chage -l admin"),
        ("This account is currently not available.", "nologin"),
        ("System is going down.", "/run/nologin"),
        ("Welcome", ""),
    ],
)
def test_words_name_the_setting_behind_them(words: str, named: str) -> None:
    found = host_words.setting(words, "admin")
    assert named in found
    assert bool(found) == bool(named)


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("login \n", "there is no login duckconf"),
        (LOGIN + "key\nallowusers admin root\n", "AllowUsers admin root in its sshd_config leaves out duckconf"),
        (LOGIN + "key\nallowusers admin\nallowusers duck*@10.0.0.1\n", ""),
        (LOGIN + "key\ndenyusers duckconf\n", "DenyUsers duckconf in its sshd_config leaves out duckconf"),
        (LOGIN + "key\nallowgroups ssh\n", "AllowGroups ssh in its sshd_config leaves out duckconf"),
        (LOGIN + "key\nallowgroups duckconf\npubkeyauthentication yes\n", ""),
        (LOGIN + "key\npubkeyauthentication no\n", "PubkeyAuthentication no in its sshd_config"),
        (LOGIN, "duckconf has no authorized_keys there"),
        (LOGIN.replace("/bin/sh", "/usr/sbin/nologin"), "its shell is /usr/sbin/nologin"),
    ],
)
def test_what_root_sees_there_names_who_is_left_out(told: str, found: str) -> None:
    assert host_words.likely(told, "duckconf") == found


def test_a_listing_that_is_none_quotes_the_host_and_names_the_forced_command() -> None:
    with pytest.raises(EngineUnavailable, match=r'"Please login as the user admin" \(likely a forced command'):
        read_containers("n", Completed(0, "Please login as the user admin\n", ""))


def test_quoted_words_are_one_short_line_that_no_terminal_acts_upon() -> None:
    assert host_words.quoted("a\x1b[2J\n b ") == '"a [2J b"'
    assert len(host_words.quoted("x" * 1000)) < 210
    assert host_words.quoted(" \n") == ""


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("h", SshAddress("h")),
        ("127.0.0.1:2411", SshAddress("127.0.0.1", 2411)),
        ("admin@h", SshAddress("h", 0, "admin")),
        ("admin@h:22", SshAddress("h", 22, "admin")),
        ("[2001:db8::1]:2222", SshAddress("2001:db8::1", 2222)),
        ("admin@[::1]", SshAddress("::1", 0, "admin")),
        ("2001:db8::1", SshAddress("2001:db8::1")),
        ("ssh://admin@h:2200/", SshAddress("h", 2200, "admin")),
        ("SSH://[::1]", SshAddress("::1")),
    ],
)
def test_an_address_is_understood_as_people_write_it(text: str, address: SshAddress) -> None:
    assert read_address(text) == address
    assert read_address(text, address.port, address.user) == address


@pytest.mark.parametrize(
    ("text", "port", "user", "fault"),
    [
        ("h:22", 23, "", "--port: says 23, and --host says 22"),
        ("a@h", 0, "b", "--user: says b, and --host says a"),
        ("h:ssh", 0, "", "--host: should end with a port"),
        ("h:0", 0, "", "--host: should end with a port"),
        ("[::1", 0, "", "--host: should be"),
        ("a:secret@h", 0, "", "--host: should hold no password"),
    ],
)
def test_what_contradicts_itself_is_refused_by_name(text: str, port: int, user: str, fault: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_address(text, port, user)
    assert fault in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_refused_login_is_asked_less_often_than_a_host_shuts_out_for() -> None:
    pauses = [backoff.delay(tries, first=ssh_runner.REFUSED_LOGIN_RETRY) for tries in range(1, 6)]
    assert pauses == [60, 120, 240, 300, 300]


def test_a_refused_login_is_tried_again_when_somebody_got_in_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_runner, "RETRY_EVERY", 0.02)
    tries = threading.Semaphore(0)

    def connect() -> None:
        tries.release()
        raise LoginRefused("n", "refuses the key of root")

    refused = tmp_path / "refused" / "n"
    runner = SshRunner("n", connect, 1.0, keeps_trying=True, refused=refused)
    with pytest.raises(LoginRefused):
        runner.open()
    assert tries.acquire(timeout=5)
    until("it says that it is refused", refused.exists)
    assert not tries.acquire(timeout=0.3)
    refused.unlink()
    assert tries.acquire(timeout=5)
    runner.close()
