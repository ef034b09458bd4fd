"""Reads compose files that a test writes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from duckconf.compose_file.loading import load
from duckconf.compose_file.stack import Stack, stack_of
from duckconf.compose_file.tree import plain
from duckconf.reach.stacks.files import reader_for


def stack(
    folder: Path, *files: str, environ: Mapping[str, str] | None = None, profiles: Collection[str] = (), name: str = "shop"
) -> Stack:
    """The stack of these files, in the folder."""
    known = environ or {}
    paths = [str(folder / file) for file in files or ("compose.yaml",)]
    model, _ = load(reader_for(str(folder)), paths, str(folder), known)
    return stack_of(model, name, known, str(folder), profiles)


def services(folder: Path, *files: str, **more: Any) -> dict[str, Any]:
    return {name: plain(node) for name, node in stack(folder, *files, **more).services.items()}


def write(folder: Path, **texts: str) -> None:
    """Each text as a file: `compose` is compose.yaml, `dotenv` is .env, `sub__x` is sub/x.yaml."""
    for name, text in texts.items():
        path = folder / (".env" if name == "dotenv" else f"{name.replace('__', '/')}.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
