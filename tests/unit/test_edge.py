"""What the edge of the command line makes of what a person typed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from duckconf.cli.terminal.edge import ROOT


def typed(*words: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """What `./inv` hands on. Not through the wrapper: it would first make .venv anew, under the feet of this test run, where
    that was not made by it, and say so."""
    argv = [sys.executable, "-m", "invoke", *words]
    environ = {**os.environ, "DUCKCONF_TYPED_IN": str(folder)}
    return subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("words", [("events", "--limit", "many"), ("logs", "api", "--lines", "1.5"), ("bench", "push", "-r=x")])
def test_a_number_that_is_none_is_told_in_one_line(words: tuple[str, ...]) -> None:
    done = typed(*words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(("error: --limit:", "error: --lines:", "error: --rounds:"))
    assert "should be a whole number" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_path_means_what_it_means_where_it_was_typed(tmp_path: Path) -> None:
    done = typed("add-node", "web-9", "--host", "192.0.2.1", "--key-file", "missing", folder=tmp_path)
    assert done.stderr == f"error: --key-file: {tmp_path}/missing does not exist\n"
