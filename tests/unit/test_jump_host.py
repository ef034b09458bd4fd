"""Programs that are connections: their words, their end, and a jump host's failure that is everybody's."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from duckconf.errors import HostKeyRefused, LoginRefused, NodeFailure, Unreachable
from duckconf.inventory import Host
from duckconf.reach.ssh.fleet import Fleet
from duckconf.reach.ssh.host_keys import KnownHosts, shown_key
from duckconf.reach.ssh.jump_host import AT_ONCE, JumpHost
from duckconf.reach.ssh.line import AtJump, JumpKeyRefused, JumpUnreachable
from duckconf.route import Way
from tests.waiting import until


def behind(script: str) -> Host:
    way = Way(proxy=("sh", "-c", script), jump="the jump host gate")
    return Host("n", "192.0.2.1", way=way)


@pytest.mark.parametrize(
    ("words", "kind", "own"),
    [
        ("Host key verification failed.", HostKeyRefused, True),
        ("me@gate: Permission denied (publickey).", LoginRefused, True),
        ("ssh: connect to host gate port 22: Connection refused", Unreachable, True),
        ("channel 0: open failed: connect failed: No route to host\nstdio forwarding failed", Unreachable, False),
    ],
)
def test_what_the_program_says_tells_the_jump_hosts_failure_from_that_of_the_host_behind_it(
    words: str, kind: type[NodeFailure], own: bool
) -> None:
    with pytest.raises(kind, match="the jump host gate") as caught:
        shown_key(behind(f"echo '{words}' >&2; exit 255"), 5.0)
    assert isinstance(caught.value, AtJump) is own
    assert words.split("\n")[0] in caught.value.reason


def test_a_program_that_never_answers_is_ended_with_what_it_has_started(tmp_path: Path) -> None:
    host = behind(f"sleep 600 & echo $! $$ >{tmp_path}/pids; sleep 600")
    with closing(Fleet([host], KnownHosts(tmp_path / "pins"), tmp_path / "key", 1.0)) as fleet:
        with pytest.raises(Unreachable, match=r"no answer from 192\.0\.2\.1:22 through the jump host gate within 1 s"):
            fleet.runner("n").open()
        pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
        until("nothing of it runs", lambda: not any(map(psutil.pid_exists, pids)), 10)


def test_so_many_log_in_through_one_jump_host_at_once_and_the_others_learn_of_its_failure() -> None:
    jump, inside, go = JumpHost(), threading.Semaphore(0), threading.Event()
    failures: dict[str, NodeFailure] = {}

    def connect(name: str) -> None:
        try:
            with jump.through(name):
                inside.release()
                go.wait(10)
                raise JumpKeyRefused(name, "the jump host's key is not known", "look at it")
        except NodeFailure as failure:
            failures[name] = failure

    threads = [threading.Thread(target=connect, args=(f"n{number}",)) for number in range(AT_ONCE + 5)]
    for thread in threads:
        thread.start()
    for _ in range(AT_ONCE):
        assert inside.acquire(timeout=10)
    assert not inside.acquire(blocking=False)
    go.set()
    for thread in threads:
        thread.join(10)
    assert not inside.acquire(blocking=False)
    assert {name: failure.node for name, failure in failures.items()} == {f"n{number}": f"n{number}" for number in range(13)}
    assert {type(failure) for failure in failures.values()} == {JumpKeyRefused}


def test_the_failure_of_a_host_behind_it_is_not_the_others() -> None:
    jump = JumpHost()
    with pytest.raises(Unreachable), jump.through("a"):
        raise Unreachable("a", "no answer")
    with jump.through("b"):
        pass
    with pytest.raises(JumpUnreachable), jump.through("a"):
        raise JumpUnreachable("a", "no answer")
    with pytest.raises(JumpUnreachable, match="b: no answer"), jump.through("b"):
        raise AssertionError


def test_an_agent_that_cannot_be_asked_is_named_with_what_would_do(tmp_path: Path) -> None:
    host = Host("n", "192.0.2.1", way=Way(key_files=(), agent=False, other_agent="~/.agent.sock"))
    with (
        closing(Fleet([host], KnownHosts(tmp_path / "pins"), tmp_path / "key", 1.0)) as fleet,
        pytest.raises(LoginRefused, match=r"IdentityAgent ~/\.agent\.sock.*SSH_AUTH_SOCK=~/\.agent\.sock"),
    ):
        fleet.runner("n").open()
