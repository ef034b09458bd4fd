"""A host of a test that stands still."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from duckconf.errors import SetupError


def pause(engine: Callable[..., object], host: str) -> None:
    """By the `pause` of an engine that raises. On a busy machine the kernel does not freeze everything in the time that runc
    gives it. Asked again, it does."""
    try:
        engine("pause", host)
    except (subprocess.CalledProcessError, SetupError):
        engine("pause", host)
