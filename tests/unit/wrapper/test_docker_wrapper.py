"""What the docker-wrapper passes on, and what it leaves alone."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from typing import NamedTuple

import pytest

from tests.unit.wrapper.stub import (
    CREATE,
    DETACHED,
    DOCKER_SAYS,
    FOREGROUND,
    NODE,
    ODD_VALUES,
    PODMAN_SAYS,
    WRAPPER,
    Stub,
    line_of,
    split_table,
)


class Passing(NamedTuple):
    """A command that is no start, and how many words stand before the filter that it gets, if it gets one."""

    argv: tuple[str, ...]
    filter_at: int | None = None


LISTS = [
    Passing(("ps",), 1),
    Passing(("ps", "-a", "--filter", "label=a=b", "--filter=status=running", "--format", "{{.Names}}"), 1),
    Passing(("--log-level", "debug", "-r", "ps", "-q"), 4),
    Passing(("-H", "ps", "ps", "--no-trunc"), 3),
    Passing(("container", "ls", "-a"), 2),
    Passing(("container", "ps"), 2),
    Passing(("container", "list"), 2),
    Passing(("--debug", "container", "--log-level", "debug", "ls"), 5),
]
OTHER_COMMANDS = """
    --log-level debug | --log-level | -D --tls=false | --version | --help run --name x web | '' | -
    -v run --name x web | container | container container run | container rm run | ls | list
    image ls | pod ps | pod create --name x | network create run | exec x ps | stop run
    exec -it x docker run --name x web | rm -f ps | --url run inspect run
"""
OTHERS = [Passing(()), *(Passing(tuple(shlex.split(line))) for line in split_table(OTHER_COMMANDS))]
ODD_ARGUMENTS = [Passing(("exec", "x", "echo", value, "run")) for value in ODD_VALUES]


@pytest.mark.parametrize("passing", [*LISTS, *OTHERS, *ODD_ARGUMENTS], ids=line_of)
def test_anything_else_reaches_the_engine_as_it_came(stub: Stub, passing: Passing) -> None:
    stub.wrap(*passing.argv)
    expected = list(passing.argv)
    if passing.filter_at is not None:
        expected[passing.filter_at : passing.filter_at] = ["--filter", f"label=node={NODE}"]
    assert stub.calls == [tuple(expected)]


@dataclass(frozen=True)
class Foreign:
    id: str
    argv: tuple[str, ...]
    says: str = PODMAN_SAYS
    code: int = 125
    facts: str = "0f10ad true -f x node-2\n"


FOREIGN = [
    Foreign("detached", DETACHED),
    Foreign("foreground", FOREGROUND),
    Foreign("create", CREATE),
    Foreign("docker", DETACHED, DOCKER_SAYS, facts="0f10ad true -f /x node-2\n"),
    Foreign("docker's create", CREATE, DOCKER_SAYS, 1, facts="0f10ad true -f /x node-2\n"),
    Foreign("no label", DETACHED, facts="0f10ad true -f x \n"),
    Foreign("no label as docker shows it", DETACHED, facts="0f10ad true -f /x <no value>\n"),
    Foreign("name begins like ours", DETACHED, facts="0f10ad true -f x node-10\n"),
    Foreign("name ends like ours", DETACHED, facts="0f10ad true -f x other node-1\n"),
    Foreign("another, found by its id", FOREGROUND, facts="x0f10ad true -f y node-1\n"),
    Foreign("empty answer", FOREGROUND, facts="\n"),
]


@pytest.mark.parametrize("foreign", FOREIGN, ids=lambda foreign: foreign.id)
def test_a_foreign_container_is_left_alone_and_the_engine_says_why(stub: Stub, foreign: Foreign) -> None:
    stub.holds("x", says=foreign.says, code=foreign.code, facts=foreign.facts)
    result = stub.wrap(*foreign.argv)
    assert not {"stop", "rm"} & set(stub.verbs)
    assert (result.returncode, result.stderr.decode()) == (foreign.code, foreign.says % "x" + "\n")


@pytest.mark.parametrize(("argv", "code"), [(DETACHED, 125), (CREATE, 1)], ids=["run", "create"])
def test_dockers_words_for_a_taken_name_are_known(stub: Stub, argv: tuple[str, ...], code: int) -> None:
    stub.holds("x", says=DOCKER_SAYS, code=code, facts=f"0f10ad true -f /x {NODE}\n")
    stub.wrap(*argv)
    assert stub.verbs == [argv[0], "inspect", "stop", "rm", argv[0]]


def test_a_container_that_has_ended_is_not_stopped_again(stub: Stub) -> None:
    stub.holds("x", facts=f"0f10ad false -f x {NODE}\n")
    stub.wrap(*DETACHED)
    assert stub.verbs == ["run", "inspect", "rm", "run"]


def test_a_container_that_cannot_be_removed_is_tried_once_and_named(stub: Stub) -> None:
    stub.holds("x")
    stub.tell(stuck="device is busy\n")
    result = stub.wrap(*DETACHED)
    assert stub.verbs == ["run", "inspect", "stop", "rm", "run"]
    assert (result.returncode, result.stderr.decode()) == (125, "device is busy\n" + PODMAN_SAYS % "x" + "\n")


@pytest.mark.parametrize(
    ("code", "err"),
    [
        (125, 'Error: the container name "y" is already in use by 1'),
        (125, "docker: Error: Bind for 0.0.0.0:80 failed: port is already allocated."),
        (125, "Error: no such image\n\n\n"),
        (126, "listen tcp4 0.0.0.0:80: bind: address already in use\n"),
        (127, PODMAN_SAYS % "x"),
        (0, PODMAN_SAYS % "x" + "\n"),
        (0, "  warning: \\n %s $HOME\n"),
    ],
)
def test_any_other_outcome_of_a_detached_start_is_passed_on(stub: Stub, code: int, err: str) -> None:
    stub.tell(err=err, code=f"{code}\n")
    result = stub.wrap(*DETACHED)
    assert len(stub.calls) == 1
    assert (result.returncode, result.stderr.decode()) == (code, err)


@pytest.mark.parametrize("argv", [DETACHED, FOREGROUND, CREATE, ("ps",), ("logs", "x"), ("run", "web")], ids=" ".join)
def test_streams_and_exit_code_pass_unchanged(stub: Stub, argv: tuple[str, ...]) -> None:
    every_byte = bytes(range(256)) * 40
    stub.tell(out=every_byte, err=every_byte[1:256] + b"\n\n", code="42\n", reads="")
    result = stub.wrap(*argv, stdin=every_byte)
    assert result.stdout == every_byte * 2
    assert result.stderr == every_byte[1:256] + b"\n\n"
    assert result.returncode == 42


@pytest.mark.parametrize("argv", [FOREGROUND, DETACHED], ids=["foreground", "detached"])
def test_the_input_is_for_the_new_container_and_not_for_a_look(stub: Stub, argv: tuple[str, ...]) -> None:
    stub.holds("x")
    stub.tell(reads="")
    assert stub.wrap(*argv, stdin=b"for the new one").stdout == b"for the new one"


@pytest.mark.parametrize("argv", [FOREGROUND, ("run", "-d", "web"), ("ps",), ("exec", "x", "ps")], ids=" ".join)
def test_the_engine_takes_the_wrappers_place_and_so_its_signals(stub: Stub, argv: tuple[str, ...]) -> None:
    with subprocess.Popen([WRAPPER, *argv], env=stub.env, stdin=subprocess.DEVNULL) as process:
        assert process.wait(timeout=20) == 0
    assert int((stub.folder / "pid").read_text()) == process.pid


def test_a_child_of_the_engine_that_keeps_stderr_open_delays_nobody(stub: Stub) -> None:
    stub.tell(stays="", err="started\n")
    try:
        assert stub.wrap(*DETACHED).stderr == b"started\n"
    finally:
        os.kill(int((stub.folder / "stays").read_text()), 9)


def test_the_engine_inherits_none_of_the_wrappers_files(stub: Stub) -> None:
    stub.tell(lists="")
    assert not {"8", "9"} & set(stub.wrap(*DETACHED).stdout.decode().split())


def test_nothing_is_left_in_the_temporary_folder(stub: Stub) -> None:
    stub.holds("x")
    stub.wrap(*DETACHED)
    assert list((stub.folder / "tmp").iterdir()) == []


def test_without_a_temporary_folder_it_looks_before_it_starts(stub: Stub) -> None:
    stub.holds("x")
    result = stub.wrap(*DETACHED, TMPDIR=str(stub.folder / "nowhere"))
    assert stub.verbs == ["inspect", "stop", "rm", "run"]
    assert result.stderr == b""
