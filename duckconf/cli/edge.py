"""The edge of the command line: errors become one line on stderr and an exit code, once and here."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from duckconf.errors import DuckconfError
from duckconf.reach.project import Project, load_project

DIFFERENCES = 2
SOME_UNREACHABLE = 4
ROOT = Path(__file__).resolve().parents[2]


def project() -> Project:
    return load_project(ROOT, os.environ)


def command(*args: Any, **options: Any) -> Callable[[Callable[..., int | None]], Any]:
    """An Invoke task whose function returns its exit code (None for 0) and may raise DuckconfError."""

    def decorate(function: Callable[..., int | None]) -> Any:
        @functools.wraps(function)
        def run(context: Context, *positional: Any, **named: Any) -> None:
            try:
                code = function(context, *positional, **named)
            except DuckconfError as error:
                raise Exit(" ".join(f"error: {error}".split()), error.exit_code) from None
            except KeyboardInterrupt:
                raise Exit("interrupted", 130) from None
            except BrokenPipeError:
                raise Exit("", 141) from None
            if code:
                raise Exit("", code)

        return task(*args, **options)(run)

    return decorate
