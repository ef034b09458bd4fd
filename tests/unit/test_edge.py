"""What the edge of the command line makes of what a person typed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from duckconf.cli.terminal.edge import ROOT
from duckconf.cli.terminal.program import READER_LEFT, Duckconf
from duckconf.version import VERSION

PROGRAM = (sys.executable, "-m", "duckconf.cli.terminal.program")


def typed(*words: str, folder: Path = ROOT, cluster: str = "never-up") -> subprocess.CompletedProcess[str]:
    """What `./inv` hands on. Not through the wrapper: it would first make .venv anew, under the feet of this test run, where
    that was not made by it, and say so."""
    environ = {**os.environ, "DUCKCONF_TYPED_IN": str(folder), "DUCKCONF_CLUSTER": cluster}
    return subprocess.run([*PROGRAM, *words], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)


def refused(*words: str) -> str:
    """The one line on stderr."""
    done = typed(*words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
    assert done.stderr.startswith("error: ")
    return done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("events", "--limit", "many"),
        ("events", "--limit", "-3"),
        ("events", "--limit=1_0"),
        ("logs", "api", "--tail", "1.5"),
        ("logs", "api", "--tail=-1"),
        ("bench", "push", "-r=x"),
        ("bench", "push", "-r=0"),
    ],
)
def test_a_number_that_cannot_be_meant_is_told_in_one_line(words: tuple[str, ...]) -> None:
    said = refused(*words)
    assert said.startswith(("error: --limit:", "error: --tail:", "error: --rounds:"))
    assert "should be a whole number" in said


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_what_the_caller_closed_ends_in_no_traceback(closed: str) -> None:
    line = f'exec "$@" {closed}'
    argv = ["sh", "-c", line, "sh", *PROGRAM, "history", "nobody"]
    environ = {**os.environ, "DUCKCONF_CLUSTER": "never-up"}
    done = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr


def test_a_path_means_what_it_means_where_it_was_typed(tmp_path: Path) -> None:
    done = typed("add-node", "web-9", "--host", "192.0.2.1", "--key-file", "missing", folder=tmp_path)
    assert done.stderr == f"error: --key-file: {tmp_path}/missing does not exist\n"


@pytest.mark.parametrize(
    ("words", "wrong", "right"),
    [
        (("stat",), "there is no task 'stat'", "did you mean stats?"),
        (("statsu",), "there is no task 'statsu'", "did you mean status?"),
        (("--help", "statsu"), "there is no task 'statsu'", "did you mean status?"),
        (("start-app",), "start-app: IMAGE is missing", "./inv start-app nginx --port 8081:80"),
        (("run", "nginx", "--secret", "db"), "run has no option --secret (", "such as ./inv run"),
        (("start-app", "nginx", "--prot", "80"), "start-app has no option --prot", "did you mean --port?"),
        (("events", "--limit"), "events: --limit needs a value", "./inv events -f"),
        (("ps", "node-1"), "ps: 'node-1' is not expected here", "./inv ps --node node-1"),
    ],
)
def test_what_invoke_does_not_understand_is_told_with_what_would_be_right(words: tuple[str, ...], wrong: str, right: str) -> None:
    said = refused(*words)
    assert (wrong in said, right in said) == (True, True), said


def test_a_topology_that_is_none_is_refused_before_anything_is_done() -> None:
    assert refused("up", "push", "--topology", "bogus").startswith("error: --topology: should be shared or own")


@pytest.mark.parametrize(("task", "mode"), [("stop-api", "agents"), ("start-api", "agents"), ("diff", "reconcile")])
def test_a_task_of_another_mode_says_which_mode_it_needs_before_the_first_up_too(task: str, mode: str) -> None:
    said = refused(task)
    assert ("cluster never-up is not up" in said, f"./inv up {mode}" in said, "push" in said) == (True, True, False)


def test_a_reader_that_leaves_early_sees_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    argv = [*PROGRAM, "--list"]
    done = subprocess.run(argv, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (READER_LEFT, "")


@pytest.mark.parametrize("words", [("--help", "ps"), ("--help=ps",), ("ps", "--help"), ("-hps",)])
def test_the_help_of_a_task_is_there_however_it_is_asked_for(words: tuple[str, ...]) -> None:
    assert "./inv [--core-opts] ps [--options]" in typed(*words).stdout


def test_only_the_tasks_that_were_typed_are_read_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    """That is a fifth of a call; where none was typed, any may be meant."""
    program = Duckconf(VERSION, name="Duckconf", binary="./inv")
    program.run(["inv", "--help", "ps"], exit=False)
    assert set(program.parser.contexts) == {"ps"}
    program.run(["inv", "--list"], exit=False)
    assert {"ps", "up", "start-app"} < set(program.parser.contexts)


def test_a_secret_in_push_mode_and_a_wrong_action_are_refused_with_what_is_right() -> None:
    assert "should be set, list or remove, got 'show'" in refused("secret", "show")
    assert "./inv up reconcile" in refused("secret", "set", "db")
