"""Runs commands on this machine: the local engine, and the tests' floor. No shell is involved."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, cast

from duckconf.command import Command, Completed
from duckconf.engine_output import NOT_EXECUTABLE, NOT_FOUND
from duckconf.errors import BadInput, Fault, Unreachable

DEFAULT_DEADLINE = 60.0
CHUNK = 65536
# The program ends with us, however we end: its keeper waits for the end of our pipe. The output is the program's alone,
# so that it ends with it.
TIED = '"$@" & exec >&-; read -r _; kill "$!"'


class LocalRunner:
    """A `Runner` for this machine; `name` is what failures call it."""

    def __init__(self, name: str = "localhost", environ: Mapping[str, str] | None = None, folder: Path | None = None) -> None:
        self._name = name
        self._environ = environ
        self._folder = folder

    def run(self, command: Command) -> Completed:
        deadline = command.deadline or DEFAULT_DEADLINE
        try:
            done = subprocess.run(
                list(command.argv),
                input=command.stdin,
                capture_output=True,
                timeout=deadline,
                env=self._environ,
                cwd=self._folder,
                check=False,
            )
        except FileNotFoundError:
            return Completed(NOT_FOUND, "", f"{command.argv[0]}: command not found")
        except PermissionError:
            return Completed(NOT_EXECUTABLE, "", f"{command.argv[0]}: permission denied")
        except subprocess.TimeoutExpired:
            reason = f"{command.argv[0]} did not end within {deadline:g} s"
            raise Unreachable(self._name, reason, may_have_run=True) from None
        except OSError as error:
            raise BadInput(Fault(str(command.argv[0]), f"cannot be started: {error.strerror}")) from error
        return Completed(_shell_code(done.returncode), _text(done.stdout), _text(done.stderr))

    def follow(self, command: Command, on_data: Callable[[bytes], None]) -> None:
        """Hand over what the command prints, piece by piece as it comes, until it ends. Raises OSError."""
        argv = ("sh", "-c", TIED, "sh", *command.argv)
        pipe, none = subprocess.PIPE, subprocess.DEVNULL
        child = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=none, env=self._environ, cwd=self._folder)
        with child:
            try:
                while data := os.read(cast(IO[bytes], child.stdout).fileno(), CHUNK):
                    on_data(data)
            finally:
                cast(IO[bytes], child.stdin).close()


def _shell_code(returncode: int) -> int:
    return 128 - returncode if returncode < 0 else returncode


def _text(output: bytes) -> str:
    return output.decode("utf-8", errors="replace")
