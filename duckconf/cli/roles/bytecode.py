"""Sources as a Python compiles them: the modules of a zip file are else compiled anew at each start of their program.

`compiled` runs this file as a program of its own, because the bytes hang on what else a process has loaded.
"""

from __future__ import annotations

import importlib.util
import json
import marshal
import os
import subprocess
import sys
from collections.abc import Mapping

# Of a compiled file: it goes by its own hash, and nobody compares that with the source.
UNCHECKED = (1).to_bytes(4, "little")
# Every byte is a character of it.
BYTES = "latin-1"


def compiled(sources: Mapping[str, bytes]) -> dict[str, bytes]:
    """The compiled file of each source; both have paths as names, from the top of the zip file."""
    asked = json.dumps({name: content.decode(BYTES) for name, content in sources.items()}).encode()
    environ = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run((sys.executable, "-S", __file__), input=asked, env=environ, capture_output=True, check=True)
    return {name: content.encode(BYTES) for name, content in json.loads(done.stdout).items()}


def _compile(name: str, source: bytes) -> bytes:
    code = compile(source, name, "exec", dont_inherit=True)
    return importlib.util.MAGIC_NUMBER + UNCHECKED + importlib.util.source_hash(source) + marshal.dumps(code)


if __name__ == "__main__":
    given = {name: content.encode(BYTES) for name, content in json.load(sys.stdin).items()}
    json.dump({f"{name}c": _compile(name, source).decode(BYTES) for name, source in given.items()}, sys.stdout)
