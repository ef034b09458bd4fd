"""Reads a compose file as a tree with lines. What it may cost is bounded: its size, its depth, and the values that its aliases
stand for (a file of one kilobyte can mean a billion of them)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from duckconf.compose_file.merging import OVERRIDE, RESET
from duckconf.compose_file.tree import Node, Place, Scalar, scalar
from duckconf.errors import BadInput, Fault

LARGEST = 512 * 1024
MOST_NODES = 100_000
DEEPEST = 60
MERGE = "<<"
PLAIN = "!plain"
SIMPLE = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """Leaves plain scalars as they are written: what they mean is ours to say. In Python: libyaml's loader ends the process where
    a file is nested too deeply."""

    yaml_implicit_resolvers = {None: [(PLAIN, re.compile(""))]}  # noqa: RUF012 (PyYAML's own attribute)


def read_tree(path: str, folder: str) -> Node:
    """Raises BadInput with file and line."""
    return parse_tree(read_text(path), path, folder)


def read_text(path: str) -> str:
    """Raises BadInput for a file that cannot be read, is too large, or is no text."""
    try:
        # A named pipe that nobody writes into is never opened.
        if Path(path).exists() and not Path(path).is_file():
            raise BadInput(Fault(path, "is no plain file"))
        with Path(path).open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise BadInput(Fault(path, f"cannot be read: {error.strerror}")) from None
    if len(content) > LARGEST:
        raise BadInput(Fault(path, f"should have {LARGEST // 1024} KiB at most"))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(Fault(f"{path}:{content[: error.start].count(10) + 1}", "should be text in UTF-8")) from None


def parse_tree(text: str, path: str, folder: str) -> Node:
    """Raises BadInput with file and line."""
    try:
        documents = list(yaml.compose_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = " ".join(part for part in (error.context, error.problem) if part)
        raise BadInput(Fault(f"{path}:{mark.line + 1}" if mark else path, f"is no YAML: {words}")) from None
    except yaml.YAMLError as error:
        raise BadInput(Fault(path, f"is no YAML: {' '.join(str(error).split())}")) from None
    except RecursionError:
        raise BadInput(Fault(path, f"is nested deeper than {DEEPEST} levels")) from None
    if len(documents) > 1:
        raise BadInput(Fault(f"{path}:{documents[1].start_mark.line + 1}", "should have one YAML document"))
    if not documents:
        raise BadInput(Fault(f"{path}:1", "is empty; should be a compose file with the key services"))
    return _Reading(path, folder).node(documents[0], 0)


class _Reading:
    def __init__(self, path: str, folder: str) -> None:
        self._path = path
        self._folder = folder
        self._count = 0

    def node(self, found: yaml.Node, depth: int, line: int = 0) -> Node:
        self._count += 1
        place = Place(self._path, line or found.start_mark.line + 1, self._folder)
        if self._count > MOST_NODES or depth > DEEPEST:
            what = f"stands for more than {MOST_NODES} values" if self._count > MOST_NODES else f"is nested deeper than {DEEPEST}"
            raise BadInput(Fault(str(place), f"{what}: aliases that name each other?"))
        tag = found.tag if found.tag in (RESET, OVERRIDE) else ""
        if isinstance(found, yaml.MappingNode):
            return Node(self._mapping(found, depth), place, tag)
        if isinstance(found, yaml.SequenceNode):
            return Node(tuple(self.node(item, depth + 1) for item in found.value), place, tag)
        if isinstance(found, yaml.ScalarNode):
            return Node(self._scalar(found, place), place, tag)
        raise self._wrong(place.line, "is no YAML")

    def _mapping(self, found: yaml.MappingNode, depth: int) -> dict[str, Node]:
        merged: dict[str, Node] = {}
        entries: dict[str, Node] = {}
        for key, value in found.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise self._wrong(line, "has a key that is no text")
            if key.value == MERGE and key.tag == PLAIN:
                for above in self._above(value, depth, line):
                    merged = {**above.entries, **merged}
                continue
            if key.value in entries:
                raise self._wrong(line, f"has the key {key.value} twice; the first is in line {entries[key.value].place.line}")
            entries[key.value] = self.node(value, depth + 1, line)
        return {**merged, **entries}

    def _above(self, value: yaml.Node, depth: int, line: int) -> Iterator[Node]:
        """The mappings that a merge key names, the strongest first."""
        for one in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if not isinstance(one, yaml.MappingNode):
                raise self._wrong(line, "should merge a mapping, or a list of them")
            yield self.node(one, depth + 1)

    def _scalar(self, found: yaml.ScalarNode, place: Place) -> Scalar:
        text = str(found.value)
        if found.tag in (PLAIN, RESET, OVERRIDE):
            return scalar(text) if not found.style else text
        kind = found.tag.removeprefix(SIMPLE)
        if kind == "str":
            return text
        if kind in ("int", "float", "bool", "null"):
            return scalar(text)
        raise BadInput(Fault(str(place), f"has the tag {found.tag}, which no compose file has"))

    def _wrong(self, line: int, message: str) -> BadInput:
        return BadInput(Fault(f"{self._path}:{line}", message))
