"""What a call of `./inv`, and the API server where it has no way to a node, do not load."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import json, sys
import duckconf.cli.terminal.program
loaded = [name for name in ("unittest.mock", "asyncio", "ssl") if name in sys.modules]
from unittest.mock import Mock
print(json.dumps([loaded, Mock(return_value=1)()]))
"""
SERVER = """
import json, sys
import api.serve
print(json.dumps([name for name in ("fabric", "paramiko", "duckconf.reach.ssh.fleet") if name in sys.modules]))
"""


def test_invoke_comes_without_the_tools_of_tests_and_who_needs_them_has_them() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [[], 1]


def test_the_api_server_has_ssh_in_push_mode_alone() -> None:
    done = subprocess.run([sys.executable, "-c", SERVER], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == []
