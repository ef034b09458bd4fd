"""Adds a host to a YAML inventory and takes one out, and leaves every other byte as it is.

The YAML parser only says where things are; the edit itself is made on the lines, and is refused when the result does
not read as the old inventory with just this change. What cannot be edited so is told, with the lines to write by hand.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, TaggedScalar
from ruamel.yaml.error import YAMLError

from duckconf.errors import SetupError
from duckconf.reach.files import write_durably

SUFFIXES = (".yml", ".yaml")
STEP = 2

Variables = Mapping[str, Any]


@dataclass(frozen=True)
class Edit:
    """One file's new content, ready to be written."""

    path: Path
    before: str
    after: str

    def write(self) -> None:
        """Atomic and durable. Raises SetupError when somebody has changed the file since it was read."""
        path = self.path.resolve()
        if path.read_text("utf-8") != self.before:
            raise SetupError(f"{path.name} was changed meanwhile; nothing was written", "try again")
        write_durably(path, self.after.encode(), path.stat().st_mode & 0o777)


def adding(inventory: Path, group: str, name: str, variables: Variables) -> Edit:
    """The edit that puts a host into a group; raises SetupError with the lines to write where that is not possible."""
    lines = host_lines(name, variables, 0)
    remedy = f"add by hand to the group {group}: {' | '.join(lines)}"
    for path in _files(inventory, remedy):
        text = path.read_text("utf-8")
        if (found := _group(_read(path, text), group)) is None:
            continue
        after = _with_host(text, found, name, variables)
        wanted = _plain(_read(path, text))
        _group_in(wanted, group)["hosts"] = {**(_group_in(wanted, group).get("hosts") or {}), name: dict(variables)}
        if after is None or _parsed(after) != wanted:
            raise SetupError(f"{path.name} is written in a way that cannot be added to", remedy)
        return Edit(path, text, after)
    raise SetupError(f"no YAML file of the inventory has a group {group}", remedy)


def removing(inventory: Path, name: str) -> list[Edit]:
    """The edits that take a host out of all groups; raises SetupError when one has to be made by hand."""
    remedy = f"take {name} out of the inventory by hand"
    edits = []
    for path in _files(inventory, remedy):
        before = text = path.read_text("utf-8")
        while (found := next(_places_of(_read(path, text), name), None)) is not None:
            wanted = _plain(_read(path, text))
            del next(hosts for _, hosts in _hosts_of(wanted) if name in hosts)[name]
            after = _without_host(text, found, name)
            if after is None or _pruned(_parsed(after)) != _pruned(wanted):
                raise SetupError(f"{path.name} is written in a way that {name} cannot be taken out of", remedy)
            text = after
        if text != before:
            edits.append(Edit(path, before, text))
    if not edits:
        raise SetupError(f"no file of the inventory has a line of its own for {name} (a range?)", remedy)
    return edits


def host_lines(name: str, variables: Variables, indent: int, step: int = STEP) -> list[str]:
    """A host as it stands under `hosts:`; JSON's form of a value is YAML's too."""
    inner = [f"{' ' * (indent + step)}{key}: {_scalar(value)}" for key, value in variables.items()]
    return [f"{' ' * indent}{name}:", *inner]


def _scalar(value: object) -> str:
    stream = io.StringIO()
    YAML().dump({"v": value}, stream)
    text = stream.getvalue().removeprefix("v:").strip()
    return text if "\n" not in text and text else json.dumps(value)


def _files(inventory: Path, remedy: str) -> list[Path]:
    paths = sorted(path for path in inventory.iterdir() if path.is_file()) if inventory.is_dir() else [inventory]
    found = [path for path in paths if path.suffix in SUFFIXES]
    if not found:
        raise SetupError(f"the inventory {inventory.name} is no YAML file, and only such are edited", remedy)
    return found


def _read(path: Path, text: str) -> Any:
    try:
        return YAML().load(text)
    except YAMLError as error:
        raise SetupError(f"{path.name} cannot be read: {' '.join(str(error).split())}") from None


def _parsed(text: str) -> Any:
    try:
        return _plain(YAML().load(text))
    except YAMLError:
        return None


def _plain(value: Any) -> Any:
    """Without comments and positions; anchors and merges filled in."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, TaggedScalar):
        # A vault's text, for one.
        return (str(value.tag), value.value)
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _groups(tree: Any) -> Iterator[tuple[str, Any]]:
    """Every group that is written out, with its name: the top level's, and their children."""
    for name, body in tree.items() if isinstance(tree, Mapping) else ():
        if isinstance(body, Mapping):
            yield name, body
            yield from _groups(body.get("children"))
        elif body is None:
            yield name, {}


def _group(tree: Any, group: str) -> CommentedMap | None:
    """The place where the group has its hosts, else the first where it is written out."""
    found = [body for name, body in _groups(tree) if name == group and isinstance(body, CommentedMap)]
    return next((body for body in found if body.get("hosts")), found[0] if found else None)


def _group_in(plain: Any, group: str) -> Any:
    found = [body for name, body in _groups(plain) if name == group and body]
    return next((body for body in found if body.get("hosts")), found[0])


def _hosts_of(tree: Any) -> Iterator[tuple[Any, Any]]:
    for _, body in _groups(tree):
        if isinstance(body.get("hosts"), Mapping):
            yield body, body["hosts"]


def _places_of(tree: Any, name: str) -> Iterator[CommentedMap]:
    yield from (hosts for _, hosts in _hosts_of(tree) if name in hosts)


def _pruned(value: Any) -> Any:
    """A group whose last host has left has no hosts, or none: both mean the same."""
    if isinstance(value, Mapping):
        return {key: _pruned(item) for key, item in value.items() if not (key == "hosts" and not item)}
    return value


def _with_host(text: str, group: CommentedMap, name: str, variables: Variables) -> str | None:
    """After the group's last host, indented as its first one."""
    lines = text.splitlines(keepends=True)
    hosts = group.get("hosts")
    if isinstance(hosts, CommentedMap) and hosts:
        if hosts.fa.flow_style():
            return None
        first, last = next(iter(hosts)), list(hosts)[-1]
        column = hosts.lc.key(first)[1]
        at = _end_of(lines, hosts.lc.key(last)[0], column)
        step = _inner_step(hosts, column)
    elif "hosts" in group:
        line, column = group.lc.key("hosts")
        if hosts is not None or lines[line].split("#")[0].strip() != "hosts:":
            return None
        at, column, step = line + 1, column + STEP, STEP
    elif group and not group.fa.flow_style():
        column = group.lc.key(next(iter(group)))[1]
        at, step = _end_of(lines, group.lc.key(list(group)[-1])[0], column), STEP
        lines.insert(at, f"{' ' * column}hosts:\n")
        at, column = at + 1, column + STEP
    else:
        return None
    if lines and not lines[at - 1].endswith("\n"):
        lines[at - 1] += "\n"
    lines[at:at] = [f"{line}\n" for line in host_lines(name, variables, column, step)]
    return "".join(lines)


def _without_host(text: str, hosts: CommentedMap, name: str) -> str | None:
    if hosts.fa.flow_style() or name not in hosts.lc.data:
        return None
    lines = text.splitlines(keepends=True)
    line, column = hosts.lc.key(name)
    del lines[line : _end_of(lines, line, column)]
    return "".join(lines)


def _inner_step(hosts: CommentedMap, column: int) -> int:
    """How far the file indents a host's variables."""
    for body in hosts.values():
        if isinstance(body, CommentedMap) and body and not body.fa.flow_style():
            return max(1, int(body.lc.key(next(iter(body)))[1]) - column)
    return STEP


def _end_of(lines: list[str], start: int, column: int) -> int:
    """The line after the block that begins at `start`: blank lines and comments at its end belong to what follows."""
    end = start + 1
    for number in range(start + 1, len(lines)):
        text = lines[number].strip()
        if not text or text.startswith("#"):
            continue
        if len(lines[number]) - len(lines[number].lstrip()) <= column:
            break
        end = number + 1
    return end
