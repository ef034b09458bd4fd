"""The compose files that were typed, read and translated. What is ignored and what is refused is said line by line, before
anything is done."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from duckconf.cli.terminal.edge import typed_path
from duckconf.compose_file.loading import load
from duckconf.compose_file.stack import Stack, stack_of
from duckconf.compose_file.translation import Translated, translate
from duckconf.counts import counted
from duckconf.errors import BadInput, DuckconfError, Fault
from duckconf.reach.stacks.files import reader_for
from duckconf.reach.stacks.schema import faults_of


class Asked(NamedTuple):
    """What was typed. `name` is "" where the file or its folder says it."""

    files: Sequence[str]
    name: str = ""
    env_files: Sequence[str] = ()
    profiles: Sequence[str] = ()


class Told(NamedTuple):
    """A stack as its files have it. `here` is the folder as it was typed, with what parts it from a name in it."""

    stack: Stack
    translated: Translated
    folder: str
    here: str

    def shown(self, text: str) -> str:
        return shown(text, self.folder, self.here)


def read_stack(asked: Asked, environ: Mapping[str, str]) -> Told:
    """Raises BadInput for files that are no compose files, and where anything of them is refused."""
    files = [str(Path(typed_path(file)).resolve()) for file in asked.files]
    folder = os.path.dirname(files[0])
    try:
        told = _read(asked, files, folder, environ)
    except BadInput as bad:
        here = as_typed(asked.files[0], folder)
        raise BadInput(*(Fault(shown(fault.path, folder, here), fault.message) for fault in bad.faults)) from None
    for finding in told.translated.findings:
        print(told.shown(str(finding)), file=sys.stderr)
    _require_none(told.translated.refused, files[0])
    return told


def as_typed(file: str, folder: str) -> str:
    """The folder in front of a name in it: whole where the file was typed so, else from where it was typed."""
    here = folder if os.path.isabs(file) else os.path.relpath(folder, typed_path(".") or ".")
    return "" if here == "." else f"{here}/"


def shown(text: str, folder: str, here: str) -> str:
    """With paths as they were typed."""
    return text.replace(f"{folder}/", here)


def _read(asked: Asked, files: Sequence[str], folder: str, environ: Mapping[str, str]) -> Told:
    reader = reader_for(folder)
    env_files = [typed_path(file) for file in asked.env_files]
    model, known = load(reader, files, folder, environ, env_files)
    here = as_typed(asked.files[0], folder)
    faults = faults_of(model)
    for fault in faults:
        what, _, why = fault.message.partition(": ")
        print(shown(f"{fault.path}: {what}: refused: {why}", folder, here), file=sys.stderr)
    _require_none(faults, files[0])
    stack = stack_of(model, asked.name, known, folder, asked.profiles)
    return Told(stack, translate(stack, reader, known), folder, here)


def _require_none(refused: Iterable[object], file: str) -> None:
    if number := len(list(refused)):
        what = f"{counted(number, 'entry', 'entries')} refused, see above; nothing was changed"
        raise DuckconfError(f"{os.path.basename(file)}: {what}", "docs/stacks.md says what is supported")
