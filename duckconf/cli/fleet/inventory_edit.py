"""Adds a host to a YAML inventory and takes one out, and leaves every other byte as it is.

The YAML parser only says where things are; the edit itself is made on the lines, and is refused when the result does
not read as the old inventory with just this change. What cannot be edited so is told, with the lines to write by hand.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, TaggedScalar
from ruamel.yaml.error import YAMLError

from duckconf.errors import SetupError
from duckconf.reach.state.files import write_durably

SUFFIXES = (".yml", ".yaml")
STEP = 2
# A key whose value is nothing, in any of YAML's spellings.
NOTHING = re.compile(r"(?P<begin>\s*)(?P<key>[\w.-]+)\s*:(?:\s*(?:\{\s*\}|~|null))?(?P<end>\s*(?:\s#.*)?\n?)")

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
    texts = {path: path.read_text("utf-8") for path in _files(inventory, remedy)}
    trees = {path: _read(path, text) for path, text in texts.items()}
    places = {path: parent for path, tree in trees.items() if (parent := _parent(tree, group)) is not None}
    if not places:
        raise SetupError(f"no YAML file of the inventory has a group {group}", remedy)
    path = max(places, key=lambda path: _fitness(places[path][group]))
    text, tree = texts[path], trees[path]
    after = _with_host(text, places[path], group, name, variables)
    wanted = _plain(tree)
    body = _parent(wanted, group)[group] or {}
    _parent(wanted, group)[group] = {**body, "hosts": {**(body.get("hosts") or {}), name: dict(variables)}}
    if after is None or _parsed(after) != wanted:
        raise SetupError(f"{path.name} has a form that cannot be edited automatically", remedy)
    return Edit(path, text, after)


def removing(inventory: Path, name: str) -> list[Edit]:
    """The edits that take a host out of all groups; raises SetupError when one has to be made by hand."""
    remedy = f"remove {name} from the inventory by hand"
    edits = []
    for path in _files(inventory, remedy):
        before = text = path.read_text("utf-8")
        while (found := next(_places_of(_read(path, text), name), None)) is not None:
            wanted = _plain(_read(path, text))
            del next(hosts for _, hosts in _hosts_of(wanted) if name in hosts)[name]
            after = _without_host(text, found, name)
            if after is None or _pruned(_parsed(after)) != _pruned(wanted):
                raise SetupError(f"{path.name} has a form from which {name} cannot be removed automatically", remedy)
            text = after
        if text != before:
            edits.append(Edit(path, before, text))
    if not edits:
        raise SetupError(f"no file of the inventory has a separate line for {name} (a range?)", remedy)
    return edits


def host_lines(name: str, variables: Variables, indent: int, step: int = STEP) -> list[str]:
    """A host as it stands under `hosts:`; JSON's form of a value is YAML's too."""
    inner = [f"{' ' * (indent + step)}{key}: {_scalar(value)}" for key, value in variables.items()]
    return [f"{' ' * indent}{name}:", *inner]


def _scalar(value: object) -> str:
    stream = io.StringIO()
    YAML().dump({"v": value}, stream)
    text = stream.getvalue().removeprefix("v:").strip()
    # Ansible reads YAML 1.1, to which 2001:20:30:1:2:3:4:5 is a number with the base 60.
    return text if text and "\n" not in text and yaml.safe_load(text) == value else json.dumps(value)


def _files(inventory: Path, remedy: str) -> list[Path]:
    paths = sorted(path for path in inventory.iterdir() if path.is_file()) if inventory.is_dir() else [inventory]
    found = [path for path in paths if path.suffix in SUFFIXES]
    if not found:
        raise SetupError(f"the inventory {inventory.name} is not a YAML file, and only YAML files can be edited", remedy)
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
    """Every mapping of groups, the top level's and their children's, with the name of each group in it."""
    for name, body in tree.items() if isinstance(tree, Mapping) else ():
        if isinstance(body, Mapping) or body is None:
            yield name, tree
            yield from _groups((body or {}).get("children"))


def _parent(tree: Any, group: str) -> Any:
    """The mapping in which the group has its hosts, else the best other one; None when it is nowhere."""
    found = [parent for name, parent in _groups(tree) if name == group]
    return max(found, key=lambda parent: _fitness(parent[group]), default=None)


def _fitness(body: Any) -> int:
    """A host belongs where its group has hosts, else where something else is written of it, else where it is named."""
    return 0 if body is None else 2 if body.get("hosts") else 1


def _hosts_of(tree: Any) -> Iterator[tuple[Any, Any]]:
    for name, parent in _groups(tree):
        if parent[name] and isinstance(parent[name].get("hosts"), Mapping):
            yield parent[name], parent[name]["hosts"]


def _places_of(tree: Any, name: str) -> Iterator[CommentedMap]:
    yield from (hosts for _, hosts in _hosts_of(tree) if name in hosts)


def _pruned(value: Any) -> Any:
    """A group whose last host has left has no hosts, or none: both mean the same."""
    if isinstance(value, Mapping):
        return {key: _pruned(item) for key, item in value.items() if not (key == "hosts" and not item)}
    return value


def _with_host(text: str, parent: CommentedMap, name: str, host: str, variables: Variables) -> str | None:
    """After the last host of the group `name`, indented as its first one."""
    lines = text.splitlines(keepends=True)
    group = parent[name]
    hosts = group.get("hosts") if group else None
    if isinstance(hosts, CommentedMap) and hosts:
        if hosts.fa.flow_style():
            return None
        first, last = next(iter(hosts)), list(hosts)[-1]
        column = hosts.lc.key(first)[1]
        at = _end_of(lines, hosts.lc.key(last)[0], column)
        step = _inner_step(hosts, column)
    elif group and "hosts" in group:
        line, column = group.lc.key("hosts")
        if hosts or not _open_key(lines, line, "hosts"):
            return None
        at, column, step = line + 1, column + STEP, STEP
    elif not group and _open_key(lines, parent.lc.key(name)[0], name):
        line, column = parent.lc.key(name)
        at, column, step = *_begin_hosts(lines, line + 1, column + STEP), STEP
    elif group and not group.fa.flow_style():
        line, column = group.lc.key(list(group)[-1])
        at, column, step = *_begin_hosts(lines, _end_of(lines, line, column), column), STEP
    else:
        return None
    _end_line(lines, at)
    lines[at:at] = [f"{line}\n" for line in host_lines(host, variables, column, step)]
    return "".join(lines)


def _without_host(text: str, hosts: CommentedMap, name: str) -> str | None:
    if hosts.fa.flow_style() or name not in hosts.lc.data:
        return None
    lines = text.splitlines(keepends=True)
    line, column = hosts.lc.key(name)
    del lines[line : _end_of(lines, line, column)]
    return "".join(lines)


def _begin_hosts(lines: list[str], at: int, column: int) -> tuple[int, int]:
    """Insert a line `hosts:`; where the first host goes."""
    _end_line(lines, at)
    lines.insert(at, f"{' ' * column}hosts:\n")
    return at + 1, column + STEP


def _end_line(lines: list[str], at: int) -> None:
    """What comes at `at` begins a line of its own, also after a last line without an end."""
    if not lines[at - 1].endswith("\n"):
        lines[at - 1] += "\n"


def _open_key(lines: list[str], at: int, key: str) -> bool:
    """Whether the line holds this key and no value, or nothing that `{}` or `~` stands for: that is taken away."""
    match = NOTHING.fullmatch(lines[at])
    if match is None or match["key"] != key:
        return False
    lines[at] = f"{match['begin']}{key}:{match['end']}"
    return True


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
