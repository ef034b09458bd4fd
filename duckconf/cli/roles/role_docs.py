"""docs/roles.md, written from what the roles say of themselves in meta/argument_specs.yml. Called by `./inv role-docs`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

PAGE = Path("docs") / "roles.md"
HEAD = """\
# The roles and their variables

Written by `./inv role-docs` from `roles/*/meta/argument_specs.yml`; change it there. `./inv provision` runs the roles and
sets what is required; the others may be set in the inventory.
"""


def write_page(root: Path) -> Path:
    path = root / PAGE
    path.write_text(page(root), "utf-8")
    return path


def page(root: Path) -> str:
    specs = sorted((root / "roles").glob("*/meta/argument_specs.yml"))
    parts = [_role(path.parts[-3], yaml.safe_load(path.read_text("utf-8"))["argument_specs"]["main"]) for path in specs]
    return "\n".join([HEAD, *parts])


def _role(name: str, spec: Mapping[str, Any]) -> str:
    lines = [f"## {name}", "", f"{spec['short_description']}.", "", *_paragraphs(spec["description"])]
    lines += ["| variable | type | default | what it is |", "|---|---|---|---|"]
    lines += [_row(variable, option) for variable, option in spec["options"].items()]
    return "\n".join([*lines, ""])


def _paragraphs(texts: Iterable[str]) -> Iterable[str]:
    for text in texts:
        yield from (" ".join(text.split()), "")


def _row(variable: str, option: Mapping[str, Any]) -> str:
    default = "required" if option.get("required") else f"`{_value(option['default'])}`"
    choices = f" One of {', '.join(option['choices'])}." if "choices" in option else ""
    kind = f"list of {option['elements']}" if option["type"] == "list" else option["type"]
    what = " ".join(str(option["description"]).split())
    return f"| `{variable}` | {kind} | {default} | {what}{choices} |".replace("||", "\\|\\|")


def _value(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return '""' if default == "" else str(default)
