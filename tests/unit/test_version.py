"""Which Duckconf this is, wherever it is asked for."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from api.openapi import document
from duckconf.version import VERSION

ROOT = Path(__file__).parents[2]


def test_everywhere_it_is_the_same() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION
    assert document("agents")["info"]["version"] == VERSION
    argv = [sys.executable, "-m", "duckconf.cli.terminal.program", "--version"]
    assert subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout == f"Duckconf {VERSION}\n"
