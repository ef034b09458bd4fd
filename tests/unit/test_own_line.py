"""The agent's line to the engine of its machine: over a program that stays, and by commands where there is none."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from duckconf import engine
from duckconf.command import Command
from duckconf.errors import Unreachable
from duckconf.inventory import Host
from duckconf.reach.nodes import own_line
from duckconf.reach.nodes.own_line import OwnRunner
from duckconf.reach.nodes.sensor import observe
from tests.waiting import until

HOST = Host("node-1", "localhost")
# Says "[]" to whatever is asked, as a command or over a line, and notes each start of itself.
DOCKER = """\
import os, sys
with open(os.environ["NOTES"], "a") as notes:
    notes.write(" ".join(sys.argv[1:3]) + "\\n")
if sys.argv[1:3] != ["system", "dial-stdio"]:
    print("[]")
    sys.exit()
asked = os.environ["ASKED"]
for line in iter(sys.stdin.buffer.readline, b""):
    if line == b"\\r\\n" and not os.path.exists(asked + ".silent"):
        sys.stdout.buffer.write(b"HTTP/1.1 200 OK\\r\\nLibpod-API-Version: 5\\r\\nContent-Length: 2\\r\\n\\r\\n[]")
        sys.stdout.buffer.flush()
open(asked, "w").close()
"""


class Machine:
    def __init__(self, folder: Path) -> None:
        self.notes = folder / "notes"
        self.asked = folder / "asked"
        self.runner = OwnRunner("node-1")

    def look(self) -> None:
        assert observe("demo", HOST, self.runner) == ()

    def starts(self) -> list[str]:
        return self.notes.read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    (tmp_path / "program.py").write_text(DOCKER)
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\nexec {sys.executable} -S {tmp_path}/program.py "$@"\n')
    docker.chmod(0o755)
    (tmp_path / "node").write_text("node-1\n")
    made = Machine(tmp_path)
    for name, value in {"NOTES": made.notes, "ASKED": made.asked, "DUCKCONF_NODE_FILE": tmp_path / "node"}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    yield made
    made.runner.engine_line.give_up()


def test_many_looks_start_one_program(machine: Machine) -> None:
    for _ in range(5):
        machine.look()
    assert machine.starts() == ["ps -a", "system dial-stdio"]


def test_what_can_be_said_to_the_engine_starts_no_program_either(machine: Machine) -> None:
    machine.look()
    machine.look()
    assert machine.runner.run(engine.start_again("duckconf-web")).ok
    assert machine.starts() == ["ps -a", "system dial-stdio"]


def test_a_line_that_answers_under_another_name_is_not_believed(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """And costs no question after the name: the agent looks at that itself."""
    monkeypatch.setattr(machine, "runner", OwnRunner("node-2"))
    for _ in range(3):
        machine.look()
    assert machine.starts().count("system dial-stdio") <= 1
    assert machine.starts().count("ps -a") == 3
    assert not machine.runner.engine_line.failed


def test_an_engine_that_hangs_is_given_up_at_the_deadline(machine: Machine) -> None:
    machine.look()
    assert machine.runner.run(engine.start_again("a")).ok
    machine.asked.with_suffix(".silent").touch()
    begun = time.monotonic()
    with pytest.raises(Unreachable, match="did not answer within its deadline") as caught:
        machine.runner.run(Command(("docker", "start", "a"), b"", 0.2, engine.start_again("a").request))
    assert caught.value.may_have_run
    assert time.monotonic() - begun < 5


def test_the_program_ends_when_its_input_does(machine: Machine) -> None:
    """As when the agent is killed: nobody closes anything then."""
    dialogue = own_line.LocalDialogue("node-1", engine.dial())
    assert dialogue.receive(100, time.monotonic() + 10) == b"node-1\n"
    dialogue._near.close()
    until("it has ended", machine.asked.exists)
    dialogue.close()


def test_a_program_that_is_not_there_is_said(machine: Machine) -> None:
    with pytest.raises(Unreachable, match="cannot be started"):
        own_line.LocalDialogue("node-1", Command(("/no/such/program",)))
