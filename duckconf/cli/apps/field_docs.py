"""docs/fields.md, written from the declaration of an app's fields in duckconf/model.py. Called by `./inv field-docs`."""

from __future__ import annotations

import json
from pathlib import Path

from duckconf.errors import Fault
from duckconf.model import DECLARED, Declaration

PAGE = Path("docs") / "fields.md"
HEAD = """\
# The fields of an app

Written by `./inv field-docs` from the declaration in `duckconf/model.py`; change it there. A field has the same name and
meaning in the body of `POST /app/start` and `PUT /app/NAME`, as a column of the state file and, under its option, in
`./inv start-app`. A cell of the state file has the words as a shell would split them.

| field | example (JSON) | cell of the state file | option | engine | what it is |
|---|---|---|---|---|---|
"""
FOOT = """
Two specs that say the same in other words are equal: `1024m` and `1g`, `0.50` and `0.5` cores, `80:80/tcp` and `80:80`. No
container is replaced for such a change.

A port `CONTAINER` without `HOST` is published on a port that the engine chooses.
"""


def write_page(root: Path) -> Path:
    path = root / PAGE
    path.write_text(page(), "utf-8")
    return path


def page() -> str:
    return HEAD + "".join(_row(name, declared) for name, declared in DECLARED.items()) + FOOT


def _row(name: str, declared: Declaration) -> str:
    faults: list[Fault] = []
    value = declared.kind.check(name, declared.example, faults)
    example, cell = json.dumps(declared.example), declared.kind.cell(value)
    option = f"`--{declared.option}`" if declared.option else "`IMAGE`" if name == "image" else ""
    again = ", again for each" if declared.option and declared.kind.repeated else ""
    flag = f"`{declared.flag}`" if declared.flag else ""
    where = " (agents mode, set by the scheduler)" if declared.placement else ""
    return f"| `{name}` | `{example}` | `{cell}` | {option}{again} | {flag} | {declared.help}{where} |\n"
