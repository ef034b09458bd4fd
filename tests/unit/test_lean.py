"""What a call of `./inv` does not load."""

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


def test_invoke_comes_without_the_tools_of_tests_and_who_needs_them_has_them() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [[], 1]
