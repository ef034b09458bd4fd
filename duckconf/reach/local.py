"""Runs commands on this machine: the local engine, and the tests' floor. No shell is involved."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from duckconf.command import Command, Completed
from duckconf.engine_output import NOT_EXECUTABLE, NOT_FOUND
from duckconf.errors import BadInput, Fault, Unreachable

DEFAULT_DEADLINE = 60.0


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


def _shell_code(returncode: int) -> int:
    return 128 - returncode if returncode < 0 else returncode


def _text(output: bytes) -> str:
    return output.decode("utf-8", errors="replace")
