"""`exec`: what is run on the node, and the process id that the command tells first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckconf.cli.terminal.typed import with_command
from duckconf.frame import Frame
from duckconf.inside import Greeting, Inside, run_inside

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(
    ("said", "process", "passed"),
    [
        (f"{TOKEN} 42\nquack\n".encode(), 42, b"quack\n"),
        (f"{TOKEN} 42\r\n$ ".encode(), 42, b"$ "),
        (b"sh: not found\n", None, b"sh: not found\n"),
        (b"0123 looks like it", None, b"0123 looks like it"),
        (f"{TOKEN} no number\nx".encode(), None, f"{TOKEN} no number\nx".encode()),
        (b"0123", None, b"0123"),
        (b"", None, b""),
    ],
)
def test_the_process_id_is_taken_out_and_nothing_else(said: bytes, process: int | None, passed: bytes) -> None:
    for size in (1, 7, 100):
        greeting = Greeting(TOKEN)
        found = b"".join(greeting.after(said[begin : begin + size]) for begin in range(0, len(said), size)) + greeting.end()
        assert (greeting.process, found) == (process, passed)


@given(st.binary(max_size=50))
def test_words_that_are_no_greeting_pass_as_they_are(said: bytes) -> None:
    greeting = Greeting(TOKEN)
    assert greeting.after(said) + greeting.end() == said


def test_what_is_typed_is_an_argument_and_no_shell_text() -> None:
    odd = ("printf", "%s", "$(reboot); 'a b'", "")
    argv = run_inside("web", Inside(odd, "me; reboot", ""), TOKEN, terminal=False).argv
    assert argv[3:] == ("sh", TOKEN, "web", "-i", "me; reboot", "", *odd)
    assert run_inside("web", Inside(()), TOKEN, terminal=True).argv[-4:] == ("-it", "", "", "sh")


def test_the_command_stands_after_two_dashes() -> None:
    words = ["./inv", "exec", "web", "--", "sh", "-c", "echo 'a b'"]
    assert with_command(words) == ["./inv", "exec", "web", "--command", "sh -c 'echo '\"'\"'a b'\"'\"''"]


def test_a_terminal_ends_the_mark_of_a_command_in_its_own_way() -> None:
    frame = Frame("abcd")
    assert frame.opening(terminal=True).after(b"hello\r\nabcd\r\n$ ") == b"$ "
    assert frame.opening().after(b"hello\nabcd\nx") == b"x"
