"""Reads a token from its file: the only way that one reaches a process. It is never an argument and never printed."""

from __future__ import annotations

from pathlib import Path

from duckconf.command import Secret
from duckconf.errors import SetupError


def read_token(path: Path) -> Secret:
    """Raises SetupError when there is none."""
    try:
        token = path.read_text("utf-8").strip()
    except OSError as error:
        raise SetupError(f"the token in {path} cannot be read: {error.strerror}") from error
    if not token:
        raise SetupError(f"{path} should hold a token, and is empty", "remove the file and run ./inv provision")
    return Secret(token)
