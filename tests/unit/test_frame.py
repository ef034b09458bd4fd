"""The answer of a command is told from what a login file prints before it."""

from __future__ import annotations

import subprocess

import pytest

from duckconf.command import Command
from duckconf.frame import Frame

FRAME = Frame("0123456789abcdef")


@pytest.mark.parametrize("noise", ["", "echo Welcome", "printf 'no newline'", "set -x", "printf '\\377\\000'"])
def test_what_is_printed_before_the_command_is_not_its_answer(noise: str) -> None:
    line = FRAME.line(Command(("printf", "%s", "a b\n$HOME")))
    done = subprocess.run(["sh", "-c", f"{noise}\n{line}"], capture_output=True, check=True)
    assert FRAME.answer(done.stdout) == (b"a b\n$HOME", True)
    for size in (1, 7, 1000):
        opening = FRAME.opening()
        pieces = [done.stdout[begin : begin + size] for begin in range(0, len(done.stdout), size)]
        assert b"".join(map(opening.after, pieces)) == b"a b\n$HOME"
        assert opening.held == b""


def test_a_program_that_does_not_exist_is_code_127() -> None:
    done = subprocess.run(["sh", "-c", FRAME.line(Command(("no-such-program",)))], capture_output=True, check=False)
    assert (done.returncode, FRAME.answer(done.stdout)) == (127, (b"", True))


def test_without_the_mark_another_program_has_answered() -> None:
    assert FRAME.answer(b"Please login as the user admin\n") == (b"Please login as the user admin\n", False)
    opening = FRAME.opening()
    assert (opening.after(b"Please login "), opening.after(b"as root\n"), opening.held) == (b"", b"", b"Please login as root\n")
