"""What is run once is no app: its name, its words, and those of it that nobody attends any more."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from duckconf import engine
from duckconf.cli.apps.run import entrypoint_note, exit_code
from duckconf.cli.terminal.typed import asking_for_help, with_command
from duckconf.model import App
from duckconf.reach.state.runs import Runs


def test_what_is_run_once_is_attended_under_its_own_name() -> None:
    app = App("busybox", command=("ls", "-l"), env={"A": "b"})
    words = engine.attended_run("c", app, {"x": "y"}, {}).argv
    assert words[:2] == ("sh", "-c")
    assert words[4:] == ("c", "docker", "run", "--rm", "--name", "c", "--env=A=b", "--label=x=y", "busybox", "ls", "-l")


@pytest.mark.parametrize(
    ("code", "caught", "ours"),
    [
        (0, [], 0),
        (7, [], 7),
        (0, [2], 130),
        (0, [15, 2], 143),
        (42, [2], 42),
        (137, [2, 2], 137),
        (None, [2], 130),
        (None, [], 130),
    ],
)
def test_what_was_interrupted_never_ends_well(code: int | None, caught: list[int], ours: int) -> None:
    assert exit_code(code, caught) == ours


def test_a_command_that_goes_to_an_entrypoint_is_told_with_the_way_around() -> None:
    app = App("web", command=("ls", "-l"))
    assert entrypoint_note(app, '["/serve", "it"]') == (
        "web starts /serve it with the arguments ls -l; to run them in its place: ./inv run web --entrypoint ls -- -l"
    )
    assert entrypoint_note(App("web", command=("ls",)), '["/serve"]').endswith("./inv run web --entrypoint ls")
    for quiet, entrypoint in ((app, "null"), (app, "[]"), (app, ""), (App("web"), '["/serve"]')):
        assert entrypoint_note(quiet, entrypoint) == ""
    assert entrypoint_note(App("web", command=("ls",), entrypoint=("sh",)), '["/serve"]') == ""


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["inv", "run", "x", "--", "sh", "-c", "a  'b"], ["inv", "run", "x", "--command", "sh -c 'a  '\"'\"'b'"]),
        (["inv", "start-app", "x", "--", ""], ["inv", "start-app", "x", "--command", "''"]),
        (["inv", "run", "x", "--"], ["inv", "run", "x"]),
        (["inv", "ps", "--", "run"], ["inv", "ps", "--", "run"]),
        (["inv", "run", "x"], ["inv", "run", "x"]),
    ],
)
def test_the_words_after_two_dashes_are_the_command_as_they_were_typed(typed: list[str], words: list[str]) -> None:
    assert with_command(typed) == words


def test_runs_that_nobody_attends_any_more_are_found_by_their_node_and_turns_go_on(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "state")
    assert [runs.take_turn() for _ in range(3)] == [0, 1, 2]
    runs.begin("mine", "n1", os.getpid())
    runs.begin("left", "n1", 2**22 + 1)
    runs.begin("elsewhere", "n2", 2**22 + 1)
    assert Runs(tmp_path / "state").left_on("n1") == ["left"]
    runs.settle("left")
    assert (runs.left_on("n1"), runs.left_on("n2"), runs.take_turn()) == ([], ["elsewhere"], 3)
    (tmp_path / "state" / "run-turn").write_text("damaged")
    assert runs.take_turn() == 0


def test_help_is_asked_for_after_a_task_too_and_never_of_a_command() -> None:
    assert asking_for_help(["inv", "run", "--help"]) == ["inv", "--help", "run"]
    assert asking_for_help(["inv", "start-app", "x", "--help"]) == ["inv", "--help", "start-app"]
    for typed in (["inv", "run", "x", "--", "ls", "--help"], ["inv", "--help", "run"], ["inv"], ["inv", "ps"]):
        assert asking_for_help(typed) == typed
