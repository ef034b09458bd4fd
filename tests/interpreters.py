"""The Python interpreters of this machine, for what must also run on hosts that have an older or a newer one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

# The oldest and the newest that hosts have, and the one of Debian 12.
VERSIONS = ("3.9", "3.11", "3.13")
# The quick tests take the Python that most hosts have.
OFTEN = "3.11"
EACH_VERSION = [pytest.param(version, marks=() if version == OFTEN else pytest.mark.slow) for version in VERSIONS]


def interpreter(version: str) -> str:
    """A `python3.N` that runs, from PATH or from pyenv where several are kept; the test is skipped without one."""
    candidates = [shutil.which(f"python{version}"), "/usr/bin/python3"]
    if shutil.which("pyenv"):
        root = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=True).stdout.strip()
        candidates += map(str, sorted(Path(root, "versions").glob(f"{version}.*/bin/python{version}")))
    say = "import sys; print('%d.%d' % sys.version_info[:2])"
    for candidate in candidates:
        done = candidate and subprocess.run([candidate, "-I", "-c", say], capture_output=True, text=True, check=False)
        if candidate and done and done.stdout.strip() == version:
            return candidate
    pytest.skip(f"there is no Python {version} on this machine")
