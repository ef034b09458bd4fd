"""The contract of `Runner`, held against a node over SSH, one behind a jump host, and this machine; test_engine_contract.py
holds the fake."""

from __future__ import annotations

import dataclasses
import json
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from duckconf.cli.cluster.nodes import open_cluster
from duckconf.command import Command, Runner
from duckconf.errors import BadInput, NodeFailure
from duckconf.inventory import Host
from duckconf.reach.nodes.local import LocalRunner
from duckconf.reach.ssh.fleet import Fleet
from duckconf.reach.ssh.host_keys import KnownHosts
from duckconf.route import Way
from tests.e2e.conftest import Live

HARD = ["", " ", "a b", "'", '"', "$HOME", "`id`", "a\nb", "*", "\\", "-n", "é ✓", "--", "!!", "~"]


def behind_a_jump(live: Live) -> Host:
    """The second node at its address behind the first one, with the key that is pinned for its port here."""
    first, second, _ = live.project.inventory().node_hosts()
    options = ("BatchMode=yes", f"UserKnownHostsFile={live.project.pins}", f"IdentityFile={live.project.login_key}")
    words = (word for option in options for word in ("-o", option))
    argv = ("ssh", "-F", "/dev/null", *words, "-p", str(first.port), "-W", "[node-2]:22", f"root@{first.address}")
    way = Way(proxy=argv, jump="the jump host node-1", alias=f"[{second.address}]:{second.port}")
    return dataclasses.replace(second, address="node-2", port=22, way=way)


@pytest.fixture(params=["ssh", "jump", "local"])
def runner(request: pytest.FixtureRequest, live: Live) -> Iterator[Runner]:
    if request.param == "local":
        yield LocalRunner()
        return
    if request.param == "jump":
        host, project = behind_a_jump(live), live.project
        with closing(Fleet([host], KnownHosts(project.pins), project.login_key, 5.0)) as fleet:
            yield fleet.runner(host.name)
        return
    with open_cluster(live.project) as cluster:
        yield cluster.fleet.runner("node-1")


def test_arguments_arrive_byte_for_byte(runner: Runner) -> None:
    done = runner.run(Command(("python3", "-c", "import sys, json; print(json.dumps(sys.argv[1:]))", *HARD)))

    assert json.loads(done.stdout) == HARD


def test_input_output_and_exit_code_come_through(runner: Runner) -> None:
    done = runner.run(Command(("sh", "-c", "cat; echo problem >&2; exit 7"), stdin=b"x" * 300_000))
    assert (len(done.stdout), done.stderr, done.code) == (300_000, "problem\n", 7)


def test_much_output_on_both_streams_does_not_block(runner: Runner) -> None:
    program = "import sys\nfor _ in range(300):\n sys.stdout.write('o' * 10000); sys.stderr.write('e' * 10000)"
    done = runner.run(Command(("python3", "-c", program)))
    assert (len(done.stdout), len(done.stderr), done.code) == (3_000_000, 3_000_000, 0)


def test_a_program_that_does_not_exist_is_127(runner: Runner) -> None:
    assert runner.run(Command(("no-such-program",))).code == 127


def test_a_program_that_reads_no_input_still_answers(runner: Runner) -> None:
    assert runner.run(Command(("true",), stdin=b"x" * 1_000_000)).code == 0


def test_a_killed_program_has_a_code_of_128_or_more(runner: Runner) -> None:
    assert runner.run(Command(("sh", "-c", "kill -9 $$"))).code >= 128


def test_output_that_is_not_text_is_replaced(runner: Runner) -> None:
    assert runner.run(Command(("printf", r"\377ok"))).stdout == "\ufffdok"


def test_a_deadline_ends_the_wait_and_says_that_it_may_have_run(runner: Runner) -> None:
    begun = time.monotonic()
    with pytest.raises(NodeFailure) as caught:
        runner.run(Command(("sleep", "60"), deadline=1.0))
    assert caught.value.may_have_run
    assert time.monotonic() - begun < 6


def test_a_command_too_long_is_bad_input(runner: Runner) -> None:
    with pytest.raises(BadInput):
        runner.run(Command(("true", "x" * 200_000)))


def test_a_shell_reads_the_line_back_as_the_same_arguments() -> None:
    line = Command(("printf", "%s\\0", *HARD)).shell_line()
    output = subprocess.run(["sh", "-c", line], capture_output=True, check=True).stdout
    assert output.decode().split("\0")[:-1] == HARD
    assert shlex.split(line)[2:] == HARD
