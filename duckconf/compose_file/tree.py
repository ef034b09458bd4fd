"""A YAML document as a tree whose every value knows its file and line, so that each fault can name them. Pure.

A value that cannot be used carries its own fault. It counts only where the value is still there in the end: not in what another
file overrides, nor in a service that no profile asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Union

from duckconf.errors import BadInput, Fault

Scalar = Union[None, bool, int, float, str]
Path = Sequence[Union[str, int]]

INTEGER = re.compile(r"[-+]?[0-9]+")
OCTAL = re.compile(r"0o?[0-7]+")
HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
WORDS: Mapping[str, Scalar] = MappingProxyType(
    {"": None, "~": None}
    | {
        spelled: value
        for word, value in (("null", None), ("true", True), ("false", False))
        for spelled in (word, word.title(), word.upper())
    }
)


@dataclass(frozen=True)
class Place:
    """Where a value stands. Relative paths in it are meant from `folder`."""

    file: str
    line: int
    folder: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class Node:
    """A scalar, a list or a mapping. The place of an entry of a mapping is that of its key. `tag` is `!reset`, `!override`
    or ""."""

    value: Union[Scalar, tuple[Node, ...], Mapping[str, Node]]
    place: Place
    tag: str = ""
    fault: str = field(default="", compare=False)

    @property
    def entries(self) -> Mapping[str, Node]:
        """Those of a mapping; none of anything else."""
        return self.value if isinstance(self.value, Mapping) else {}

    @property
    def items(self) -> tuple[Node, ...]:
        """Those of a list; none of anything else."""
        return self.value if isinstance(self.value, tuple) else ()

    @property
    def text(self) -> str:
        """A scalar as text, "" for null and for what is none."""
        return "" if self.value is None or isinstance(self.value, (tuple, Mapping)) else text_of(self.value)

    def get(self, key: str) -> Node | None:
        """What stands under a key, unless that is null."""
        found = self.entries.get(key)
        return None if found is None or found.value is None else found

    def with_entries(self, entries: Mapping[str, Node]) -> Node:
        return replace(self, value=dict(entries))

    def without(self, *keys: str) -> Node:
        return self.with_entries({key: node for key, node in self.entries.items() if key not in keys})

    def refuse(self, message: str) -> BadInput:
        return BadInput(Fault(str(self.place), message))


def text_of(value: Scalar) -> str:
    """As Docker Compose writes it into a variable."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def scalar(text: str) -> Scalar:
    """What a plain scalar means in YAML 1.2, which the Compose Spec is written in, with the octal numbers of YAML 1.1: a `no`, an
    `on` and a `22:22` are text."""
    if text in WORDS:
        return WORDS[text]
    if HEXADECIMAL.fullmatch(text):
        return int(text, 16)
    if OCTAL.fullmatch(text):
        return int(text.replace("o", ""), 8)
    if INTEGER.fullmatch(text) and len(text) < 20:
        return int(text)
    return float(text) if FLOAT.fullmatch(text) and not INTEGER.fullmatch(text) and len(text) < 40 else text


def plain(node: Node) -> Any:
    """The same as Python's own values."""
    if isinstance(node.value, Mapping):
        return {key: plain(entry) for key, entry in node.value.items()}
    return [plain(item) for item in node.value] if isinstance(node.value, tuple) else node.value


def at(node: Node, path: Path) -> Node:
    """What stands at the path, or the nearest above it that there is."""
    for step in path:
        if isinstance(step, str) and step in node.entries:
            node = node.entries[step]
        elif str(step).isdigit() and int(step) < len(node.items):
            node = node.items[int(step)]
        else:
            break
    return node


def find(node: Node, path: Path) -> Node | None:
    """What stands at the path, None where nothing or null does."""
    for step in path:
        below = node.entries.get(step) if isinstance(step, str) else None
        if below is None or below.value is None:
            return None
        node = below
    return node


def walk(node: Node, path: tuple[Union[str, int], ...] = ()) -> Iterator[tuple[tuple[Union[str, int], ...], Node]]:
    """The node and all below it, each with its path."""
    yield path, node
    for key, entry in node.entries.items():
        yield from walk(entry, (*path, key))
    for number, item in enumerate(node.items):
        yield from walk(item, (*path, number))


def faults_in(node: Node, path: tuple[Union[str, int], ...] = ()) -> list[Fault]:
    """What the values of the tree say of themselves, each once: an alias repeats what it stands for."""
    found = {
        Fault(str(below.place), f"{'/'.join(map(str, where))}: {below.fault}" if where else below.fault): None
        for where, below in walk(node, path)
        if below.fault
    }
    return list(found)
