"""The edge of the command line: errors become one line on stderr and an exit code, once and here."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from duckconf.errors import BadInput, DuckconfError, Fault
from duckconf.reach.inventory.project import Project, load_project

DIFFERENCES = 2
SOME_UNREACHABLE = 4
ROOT = Path(__file__).resolve().parents[3]


def project() -> Project:
    return load_project(ROOT, os.environ)


def typed_path(text: str) -> str:
    """As it was meant where the command was typed: `./inv` itself works in its own folder. ~ stays, for other people."""
    return text if not text or text.startswith("~") else str(Path(os.environ.get("DUCKCONF_TYPED_IN", "."), text).absolute())


def command(
    *args: Any, least: Mapping[str, int] = MappingProxyType({}), **options: Any
) -> Callable[[Callable[..., int | None]], Any]:
    """An Invoke task whose function returns its exit code (None for 0) and may raise DuckconfError.

    A parameter with a number as its default takes whole numbers, from the one in `least` on, else from 0.
    """

    def decorate(function: Callable[..., int | None]) -> Any:
        signature = inspect.signature(function)
        # To Invoke they are words: what is no number would end in a traceback there.
        numbers = [name for name, parameter in signature.parameters.items() if type(parameter.default) is int]

        @functools.wraps(function)
        def run(context: Context, *positional: Any, **named: Any) -> None:
            try:
                named |= {name: _whole_number(name, named[name], least.get(name, 0)) for name in numbers if name in named}
                code = function(context, *positional, **named)
            except DuckconfError as error:
                raise Exit(" ".join(f"error: {error}".split()), error.exit_code) from None
            except KeyboardInterrupt:
                raise Exit("interrupted", 130) from None
            except BrokenPipeError:
                raise Exit("", 141) from None
            if code:
                raise Exit("", code)

        words = [
            parameter.replace(default=str(parameter.default)) if parameter.name in numbers else parameter
            for parameter in signature.parameters.values()
        ]
        run.__signature__ = signature.replace(parameters=words)  # type: ignore[attr-defined]
        return task(*args, **options)(run)

    return decorate


def _whole_number(name: str, typed: str, least: int) -> int:
    if typed.isascii() and typed.isdigit() and len(typed) < 19 and int(typed) >= least:
        return int(typed)
    raise BadInput(Fault(f"--{name}", f"should be a whole number from {least} on, got {typed!r}"))
